"""A worker of ours does its work for the releases 1.0b21, 1.0b27 and 1.0b30."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from avtomatika_worker import Worker
from avtomatika_worker.errors import PermanentError, TransientError
from tests.integration.worker.conftest import working
from tests.integration.worker.earlier.book import Job
from tests.integration.worker.earlier.fleet import over, worker_for
from tests.integration.worker.earlier.releases import O21, O27, RELEASES
from tests.integration.worker.earlier.server import EarlierServer


@pytest.fixture(params=RELEASES, ids=lambda release: release.__name__)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[EarlierServer]:
    server: EarlierServer = request.param()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def worker(server: EarlierServer, tmp_path: Path) -> Worker:
    return worker_for(tmp_path, server.url, CPU_CORES="4", RAM_GB="16.0", COST_PER_SKILL='{"work": 2.0}')


async def test_a_result_with_nulls_and_floats_is_believed_and_arrives_as_it_is(
    server: EarlierServer, worker: Worker
) -> None:
    data = {"list": [1, None, 2.0, 0.5], "none": None, "whole": 3.0, "text": "grün ☃"}
    worker.skill("work")(lambda: data)
    async with working(worker):
        job = await over(await server.dispatch("work", {"n": 1}))
    assert job.status == "finished"
    (result,) = job.applied
    assert result["data"] == data
    assert result["worker_id"] == "w1"
    assert server.refused_later == []


async def test_it_introduces_itself_as_the_release_understands(server: EarlierServer, worker: Worker) -> None:
    worker.skill("work")(lambda: None)
    async with working(worker):
        async with asyncio.timeout(10):
            await server.registered.wait()
    message = server.registrations[0]
    assert message["supported_skills"][0]["name"] == "work"
    assert message["resources"]["properties"] == {"cpu_cores": 4, "ram_gb": 16.0}
    if isinstance(server, O21):
        wanted = {"cpu_cores": 4, "ram_gb": 16.0, "max_concurrent_tasks": 10}
        assert wanted.items() <= message["resources"].items()


async def test_a_custom_status_follows_its_transition(server: EarlierServer, worker: Worker) -> None:
    worker.skill("work")(lambda: {"status": "needs_review", "data": {"why": "blurred"}})
    async with working(worker):
        job = await over(await server.dispatch("work", transitions=("success", "needs_review")))
    assert job.status == "finished"
    assert job.applied[0]["status"] == "needs_review"


async def test_a_failure_that_may_pass_is_tried_again_and_a_final_one_is_not(
    server: EarlierServer, worker: Worker
) -> None:
    calls: list[str] = []

    @worker.skill("flaky")
    def flaky() -> dict[str, Any]:
        calls.append("flaky")
        if len(calls) == 1:
            raise TransientError("not now")
        return {"ok": True}

    @worker.skill("broken")
    def broken() -> None:
        raise PermanentError("never")

    async with working(worker):
        flaky_job = await over(await server.dispatch("flaky"))
        broken_job = await over(await server.dispatch("broken"))
    codes = [(result.get("error") or {}).get("code") for result in flaky_job.applied]
    assert codes == ["TRANSIENT_ERROR", None]
    assert (flaky_job.status, broken_job.status) == ("finished", "failed")
    assert broken_job.applied[0]["error"] == {"code": "PERMANENT_ERROR", "message": "never"}


async def test_a_handler_that_is_cancelled_itself_says_so(server: EarlierServer, worker: Worker) -> None:
    @worker.skill("work")
    async def work() -> None:
        raise asyncio.CancelledError

    async with working(worker):
        job = await over(await server.dispatch("work"))
    assert job.status == "cancelled"


async def test_progress_and_events_arrive_before_the_result(server: EarlierServer, worker: Worker) -> None:
    @worker.skill("work")
    async def work(send_progress: Any, send_event: Any) -> dict[str, Any]:
        await send_progress(0.5, "half")
        await send_event("found", {"what": "cat", "where": None, "size": 2.0}, priority=1.0)
        return {"events": True}

    async with working(worker):
        job = await over(await server.dispatch("work"))
    assert {event["event_type"] for event in server.events} == {"progress", "found"}
    assert all(event["target_job_id"] == job.id for event in server.events)
    assert server.refused_later == []


async def test_a_cancelled_job_stops_its_task_with_the_next_heartbeat(
    server: EarlierServer, worker: Worker
) -> None:
    began, stopped = asyncio.Event(), asyncio.Event()

    @worker.skill("work")
    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with working(worker):
        job = await server.dispatch("work")
        await began.wait()
        job.status = "cancelled"
        await stopped.wait()
    assert server.results == []


async def test_branches_run_to_their_end_whatever_the_heartbeats_are_answered(
    server: EarlierServer, worker: Worker
) -> None:
    """Release 1.0b21 orders every task to stop whose id is not that of a job."""
    go_on = asyncio.Event()

    @worker.skill("work")
    async def work() -> dict[str, Any]:
        await go_on.wait()
        return {"done": True}

    async with working(worker):
        job = await server.dispatch("work", branches=3)
        async with asyncio.timeout(10):
            await server.until(lambda: sum(bool(beat.get("current_tasks")) for beat in server.beats) >= 3)
        go_on.set()
        async with asyncio.timeout(10):
            await server.until(lambda: len(server.results) == 3)
    assert {result["task_id"] for result in server.results} == set(job.tasks)
    taken = 1 if isinstance(server, O21) else 3  # all that it takes of branches that were out at once
    assert len(job.applied) == taken


async def test_a_server_that_lost_the_skills_gets_them_with_a_heartbeat(tmp_path: Path) -> None:
    server = O27()
    await server.start()
    worker = worker_for(tmp_path, server.url)
    worker.skill("work")(lambda: {"ok": True})
    async with working(worker):
        async with asyncio.timeout(10):
            await server.registered.wait()
            server.workers["w1"]["supported_skills"] = []
            await server.until(lambda: bool(server.workers["w1"].get("supported_skills")))
        job = await over(await server.dispatch("work"))
    assert job.status == "finished"
    assert sum("supported_skills" in beat for beat in server.beats) >= 1
    await server.stop()


async def test_hot_skills_are_told_in_the_form_of_the_release(server: EarlierServer, worker: Worker) -> None:
    worker.skill("work")(lambda: None)
    worker.add_to_hot_cache("work")
    async with working(worker):
        async with asyncio.timeout(10):
            await server.until(lambda: bool(server.beats))
    expected = [{"name": "work", "type": "work"}] if isinstance(server, O21) else ["work"]
    assert server.beats[0]["hot_skills"] == expected
    assert server.refused_later == []


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.__name__)
async def test_a_token_of_its_own_is_shown_and_signed_with(
    release: type[EarlierServer], tmp_path: Path
) -> None:
    """Release 1.0b21 verifies registrations with the token of all, the rest with a digest of this one."""
    server = release(own_tokens={"w1": "own-token"})
    await server.start()
    worker = worker_for(tmp_path, server.url, WORKER_INDIVIDUAL_TOKEN="own-token")
    worker.skill("work")(lambda send_progress: send_progress(0.5))
    async with working(worker):
        job = await over(await server.dispatch("work"))
    assert job.status == "finished"
    assert [event["event_type"] for event in server.events] == ["progress"]
    assert server.beats
    await server.stop()


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.__name__)
async def test_a_wrong_token_gets_no_task(release: type[EarlierServer], tmp_path: Path) -> None:
    server = release(token="another-token")
    await server.start()
    worker = worker_for(tmp_path, server.url)
    worker.skill("work")(lambda: None)
    async with working(worker):
        async with asyncio.timeout(10):
            await server.until(lambda: len(server.refusals) >= 2)
    assert set(server.refusals) == {"Unauthorized: No valid token found"}
    await server.stop()


async def test_a_task_with_a_malformed_part_is_worked_on(tmp_path: Path) -> None:
    """It has left the queue of the server by then: nobody else would."""

    class Sloppy(O27):
        def task(self, job: Job) -> dict[str, Any]:
            sloppy = {"params_metadata": {"src": {"uri": None}}, "priority": "high", "step": 1.5}
            return super().task(job) | sloppy

    server = Sloppy()
    await server.start()
    worker = worker_for(tmp_path, server.url)
    worker.skill("work")(lambda n: {"n": n})
    async with working(worker):
        job = await over(await server.dispatch("work", {"n": 7}))
    assert job.applied[0]["data"] == {"n": 7}
    await server.stop()
