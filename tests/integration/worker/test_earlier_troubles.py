"""Lost answers, restarts and wrong clocks: what a worker makes of them with earlier orchestrators."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from rxon.http import client, conversation
from rxon.http.client import HttpTransport
from rxon.messages import Registration, TaskResult
from rxon.vocabulary import AnswerStatus
from tests.integration.worker.conftest import working
from tests.integration.worker.earlier.fleet import busy, over, serving, worker_for
from tests.integration.worker.earlier.releases import O21, O27, O30, RELEASES
from tests.integration.worker.earlier.server import EarlierServer

ALL = pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.__name__)

NO_BEATS = {"HEARTBEAT_INTERVAL": "15"}
"""Heartbeats are told which jobs are over; then the retry of their results is of no use, and left out."""


async def test_the_retry_of_a_result_whose_answer_got_lost_counts_as_delivered(tmp_path: Path) -> None:
    """The release remembers the message for a minute, and refuses it when it comes again."""
    server = O30()
    async with serving(server), working(busy(tmp_path, server.url, **NO_BEATS)):
        server.lose.append("result")
        job = await over(await server.dispatch("work"))
        async with asyncio.timeout(10):
            await server.until(lambda: len(server.refusals) > 1)
        again = await over(await server.dispatch("work"))
    assert server.refused_later == ["Duplicate message detected (replay attack)"]
    assert (len(job.applied), len(again.applied)) == (1, 1)


@pytest.mark.parametrize("release", [O21, O27])
async def test_a_release_without_memory_gets_the_result_again(
    release: type[EarlierServer], tmp_path: Path
) -> None:
    server = release()
    async with serving(server), working(busy(tmp_path, server.url, **NO_BEATS)):
        server.lose.append("result")
        job = await server.dispatch("work")
        async with asyncio.timeout(10):
            await server.until(lambda: len(server.results) == 2)
        await over(await server.dispatch("work"))
    first, second = server.results[:2]
    assert (first["task_id"], first["data"]) == (second["task_id"], second["data"])
    assert job.status == "finished"


async def test_a_result_that_the_server_failed_on_is_a_new_message_and_is_not_lost(tmp_path: Path) -> None:
    """The release had remembered the message before it failed: the same one would be refused."""
    server = O30()
    async with serving(server), working(busy(tmp_path, server.url)):
        server.fail.append("result")
        job = await over(await server.dispatch("work"))
    assert len(job.applied) == 1
    assert server.refused_later == []


async def test_an_event_that_the_server_failed_on_is_not_lost(tmp_path: Path) -> None:
    server = O30()
    worker = worker_for(tmp_path, server.url)

    @worker.skill("work")
    async def work(send_event: Any) -> None:
        await send_event("found", {"what": "cat"})

    async with serving(server):
        worker.config.ORCHESTRATORS = [{"url": server.url}]
        async with working(worker):
            server.fail.append("events")
            await over(await server.dispatch("work"))
    assert [event["event_type"] for event in server.events] == ["found"]
    assert server.refused_later == []


async def test_an_event_whose_answer_got_lost_arrives_once(tmp_path: Path) -> None:
    server = O30()
    await server.start()
    worker = worker_for(tmp_path, server.url)

    @worker.skill("work")
    async def work(send_event: Any) -> None:
        await send_event("found", {"what": "cat"})

    async with working(worker):
        server.lose.append("events")
        await over(await server.dispatch("work"))
    await server.stop()
    assert [event["event_type"] for event in server.events] == ["found"]
    assert server.refused_later == ["Duplicate message detected (replay attack)"]


@ALL
async def test_a_result_that_waited_for_long_is_not_too_old(release: type[EarlierServer]) -> None:
    server = release()
    async with serving(server):
        transport = HttpTransport(server.url, "w1", "fleet-token")
        await transport.register(Registration("w1"))
        job = server.book.open("work", {}, ("success",))
        job.worker, task = "w1", server.book.next_task(job)
        (answer,) = await transport.report(
            [TaskResult(job_id=job.id, task_id=task, worker_id="w1", timestamp=1)]
        )
        await transport.close()
    assert (answer.status, answer.transition) == (AnswerStatus.ACCEPTED, "success_transition")


@ALL
async def test_a_worker_whose_clock_is_wrong_goes_by_that_of_the_server(
    release: type[EarlierServer], tmp_path: Path
) -> None:
    server = release()
    server.ahead = 3600.0
    async with serving(server), working(busy(tmp_path, server.url)):
        job = await over(await server.dispatch("work"))
        async with asyncio.timeout(10):
            await server.until(lambda: bool(server.beats))
    assert job.status == "finished"
    assert server.refused_later == ["Message timestamp expired (replay protection)"]


@ALL
async def test_a_server_that_comes_back_without_its_memory_learns_of_the_worker_and_gets_its_result(
    release: type[EarlierServer], tmp_path: Path
) -> None:
    server = release()
    await server.start()
    worker, began, go_on = worker_for(tmp_path, server.url), asyncio.Event(), asyncio.Event()

    @worker.skill("work")
    async def work() -> dict[str, Any]:
        began.set()
        await go_on.wait()
        return {"ok": True}

    async with working(worker):
        job = await server.dispatch("work")
        await began.wait()
        await server.stop()
        server.forget_workers()
        go_on.set()
        await server.start()
        await over(job)
        again = await over(await server.dispatch("work"))
    await server.stop()
    assert (job.status, again.status) == ("finished", "finished")


@ALL
async def test_a_server_that_forgot_the_worker_and_says_nothing_hears_of_it_now_and_then(
    release: type[EarlierServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "QUIET", 0.3)
    server = release()
    async with serving(server), working(busy(tmp_path, server.url)):
        await over(await server.dispatch("work"))
        server.forget_workers()
        job = await over(await server.dispatch("work"))
    assert job.status == "finished"


async def test_a_server_that_holds_polls_for_longer_than_was_asked_loses_no_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "POLL_GRACE", 0.05)
    server = O27()
    server.poll_timeout = 5.0
    async with serving(server), working(busy(tmp_path, server.url, TASK_POLL_TIMEOUT="0.05")):
        async with asyncio.timeout(10):
            await server.registered.wait()
        await asyncio.sleep(0.3)  # longer than the worker asked for
        job = await over(await server.dispatch("work"))
    assert job.status == "finished"
