"""Lost answers, restarts, wrong clocks and replaced servers: what a worker makes of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from avtomatika_worker import Worker
from rxon.http import client, conversation
from rxon.http.client import HttpTransport
from rxon.http.keys import Keys
from rxon.messages import Registration, TaskResult
from rxon.testing.gateway import MemoryGateway
from rxon.transport import PollRequest
from rxon.vocabulary import AnswerStatus
from tests.integration.worker.conftest import Server, working
from tests.integration.worker.earlier.book import Job
from tests.integration.worker.earlier.fleet import worker_for
from tests.integration.worker.earlier.releases import O21, O27, O30, RELEASES
from tests.integration.worker.earlier.server import EarlierServer

ALL = pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.__name__)

NO_BEATS = {"HEARTBEAT_INTERVAL": "15"}
"""Heartbeats are told which jobs are over; then the retry of their results is of no use, and left out."""


@asynccontextmanager
async def serving(server: EarlierServer) -> AsyncIterator[None]:
    await server.start()
    try:
        yield
    finally:
        await server.stop()


def busy(folder: Path, *urls: str, **settings: str) -> Worker:
    """A worker with the skill ``work``."""
    worker = worker_for(folder, *urls, **settings)
    worker.skill("work")(lambda: {"ok": True})
    return worker


async def over(job: Job) -> Job:
    async with asyncio.timeout(10):
        await job.over.wait()
    return job


async def test_the_retry_of_a_result_whose_answer_got_lost_counts_as_delivered(tmp_path: Path) -> None:
    """The release remembers the message for a minute, and refuses it when it comes again."""
    server = O30()
    async with serving(server), working(busy(tmp_path, server.url, **NO_BEATS)):
        server.lose.append("result")
        job = await over(await server.dispatch("work"))
        async with asyncio.timeout(10):
            await server.until(lambda: bool(server.refusals))
        again = await over(await server.dispatch("work"))
    assert server.refusals == ["Duplicate message detected (replay attack)"]
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
    assert server.refusals == []


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
    assert server.refusals == []


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
    assert server.refusals == ["Duplicate message detected (replay attack)"]


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
    assert server.refusals == ["Message timestamp expired (replay protection)"]


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


async def test_one_worker_serves_an_earlier_orchestrator_and_one_of_today(
    tmp_path: Path, server: Server, gateway: MemoryGateway
) -> None:
    earlier = O27(token="token")
    async with serving(earlier):
        worker = busy(tmp_path, earlier.url, server.url, WORKER_TOKEN="token")
        async with working(worker):
            task = await gateway.offer("work")
            job = await over(await earlier.dispatch("work"))
            await gateway.result_of(task)
            await gateway.seen(lambda: bool(gateway.beats))
    assert job.status == "finished"
    assert earlier.results[0]["security"]["signature"]
    assert all(result.security is None for result in gateway.results)
    assert earlier.refusals == []


@ALL
async def test_an_earlier_orchestrator_is_replaced_under_a_worker_at_work(
    release: type[EarlierServer], tmp_path: Path, server: Server, gateway: MemoryGateway
) -> None:
    await server.stop()
    earlier = release(token="token")
    earlier.port = server.port
    await earlier.start()
    async with working(busy(tmp_path, earlier.url, WORKER_TOKEN="token")):
        await over(await earlier.dispatch("work"))
        await earlier.stop()
        await server.start()
        await gateway.result_of(await gateway.offer("work"))
        many = [await gateway.offer("work") for _ in range(5)]
        for task in many:
            await gateway.result_of(task)
    assert gateway.polls[-1].limit > 1


@ALL
async def test_a_replacement_is_taken_back_under_a_worker_at_work(
    release: type[EarlierServer], tmp_path: Path, server: Server, gateway: MemoryGateway
) -> None:
    earlier = release(token="token")
    earlier.port = server.port
    async with working(busy(tmp_path, server.url, WORKER_TOKEN="token")):
        await gateway.result_of(await gateway.offer("work"))
        await server.stop()
        await earlier.start()
        job = await over(await earlier.dispatch("work"))
    await earlier.stop()
    assert job.status == "finished"


async def test_a_result_that_is_ready_when_the_server_is_taken_back_is_delivered(
    server: Server, gateway: MemoryGateway
) -> None:
    """Without a word from the earlier server before: the refusal of the unsigned result tells."""
    transport = HttpTransport(server.url, "w1", Keys("token"))
    await transport.register(Registration("w1"))
    await server.stop()
    earlier = O27(token="token")
    earlier.port = server.port
    async with serving(earlier):
        job = earlier.book.open("work", {}, ("success",))
        job.worker, task = "w1", earlier.book.next_task(job)
        (answer,) = await transport.report([TaskResult(job_id=job.id, task_id=task, worker_id="w1")])
        await transport.close()
    assert answer.status == AnswerStatus.ACCEPTED
    assert earlier.refusals == ["Missing required security context"]


class TestTokensThatExpire:
    async def test_they_are_shown_instead_of_the_own_one_which_still_signs(self) -> None:
        server = O27()
        async with serving(server):
            transport = HttpTransport(server.url, "w1", Keys("fleet-token", exchange=True))
            await transport.register(Registration("w1"))
            await transport.poll(PollRequest(timeout=0.1))
            server.token = "changed"  # only the one in exchange is good now
            with pytest.raises(Exception, match="Invalid cryptographic signature"):
                await transport.report([TaskResult(job_id="j", task_id="t", worker_id="w1")])
            server.token = "fleet-token"
            (answer,) = await transport.report([TaskResult(job_id="j", task_id="t", worker_id="w1")])
            await transport.close()
        assert answer.reason == "job_not_found"

    async def test_one_that_is_not_good_any_more_is_replaced(self) -> None:
        server = O27()
        async with serving(server):
            transport = HttpTransport(server.url, "w1", Keys("fleet-token", exchange=True))
            await transport.register(Registration("w1"))
            await transport.poll(PollRequest(timeout=0.1))
            server.access.clear()
            assert await transport.poll(PollRequest(timeout=0.1)) == ()
            assert await transport.poll(PollRequest(timeout=0.1)) == ()
            await transport.close()
        assert server.refusals == ["Unauthorized: No valid token found"]
        assert len(server.refresh) == 2
        assert len(server.access) == 1

    async def test_a_server_that_gives_none_is_served_with_the_own_one(self) -> None:
        server = O21()
        async with serving(server):
            transport = HttpTransport(server.url, "w1", Keys("fleet-token", exchange=True))
            await transport.register(Registration("w1"))
            for _ in range(3):
                assert await transport.poll(PollRequest(timeout=0.1)) == ()
            await transport.close()
        refusals = [text for text in server.refusals if "mTLS" in text]
        assert len(refusals) == 1
