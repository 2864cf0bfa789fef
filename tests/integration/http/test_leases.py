"""Who holds a task, for how long, and who gets it next."""

import asyncio
import statistics
from typing import Any

import aiohttp
import pytest

from tests.integration.http.blueprints import fan, flow
from tests.integration.http.conftest import WORKER_TOKEN, Orchestrator, Start, Worker, on_every_store


@on_every_store
async def test_heartbeats_keep_a_task_beyond_its_lease(start: Start) -> None:
    node = await start(flow(), TASK_LEASE_SECONDS=0.5)
    worker, other = await node.worker("w1"), await node.worker("w2")
    job_id = await node.create()
    task = await worker.take()
    waiting = asyncio.ensure_future(other.poll(timeout=1.4))
    for _ in range(12):
        assert await worker.beat(task["task_id"]) == (200, {"status": "ok"})
        await asyncio.sleep(0.1)
    assert await waiting is None
    assert (await worker.report(task, {"n": 1}))[0] == 200
    assert (await node.ended(job_id))["result"] == {"n": 1}


async def test_an_empty_heartbeat_keeps_the_worker_but_no_task(start: Start) -> None:
    node = await start(flow(), TASK_LEASE_SECONDS=0.4)
    worker, other = await node.worker("w1"), await node.worker("w2")
    await node.create()
    await worker.take()
    waiting = asyncio.ensure_future(other.take())
    for _ in range(6):
        assert (await worker.call("PATCH", "/_worker/workers/w1"))[0] == 200
        await asyncio.sleep(0.1)
    await waiting


@on_every_store
async def test_the_task_of_a_dead_worker_goes_to_another(start: Start) -> None:
    node = await start(flow(), TASK_LEASE_SECONDS=1.0)
    worker, other = await node.worker("w1"), await node.worker("w2")
    job_id = await node.create({"n": 1})
    lost = await worker.take()
    found = await other.take()
    assert found["job_id"] == lost["job_id"]
    assert found["params"] == lost["params"]
    assert found["task_id"] != lost["task_id"]
    assert found["lease_token"] != lost["lease_token"]
    status, body = await worker.report(lost, {"by": "w1"})
    assert (status, body["code"]) == (409, "stale_lease")
    assert (await worker.report(lost, {"by": "w1"}, token=False))[1]["reason"] == "stale_task"
    assert (await worker.beat(lost["task_id"]))[1]["cancel_task_ids"] == [lost["task_id"]]
    assert (await other.report(found, {"by": "w2"}))[0] == 200
    assert (await node.ended(job_id))["result"] == {"by": "w2"}


async def test_a_result_after_the_lease_is_refused_though_nobody_else_took_the_task(start: Start) -> None:
    node = await start(flow(), TASK_LEASE_SECONDS=0.2)
    worker = await node.worker()
    job_id = await node.create()
    task = await worker.take()
    await asyncio.sleep(0.3)
    assert (await worker.report(task))[0] == 409
    again = await worker.take()
    assert again["task_id"] != task["task_id"]
    assert (await worker.report(again, {"n": 2}))[0] == 200
    assert (await node.ended(job_id))["result"] == {"n": 2}


async def test_a_heartbeat_names_every_task_that_is_lost_and_only_those(start: Start) -> None:
    node = await start(fan(), TASK_LEASE_SECONDS=30)
    worker, other = await node.worker("w1"), await node.worker("w2")
    job_id = await node.create({"items": [1, 2, 3]}, "/api/v1/jobs/fan")
    kept, done = await worker.take(), await worker.take()
    others = await other.take()
    await worker.report(done)
    listed = [kept["task_id"], done["task_id"], others["task_id"], "nonsense", "a-1-0-1-1", "", "x" * 500]
    status, body = await worker.beat(*listed)
    assert (status, body["cancel_task_ids"]) == (200, listed[1:])
    for task, by in ((kept, worker), (others, other)):
        assert (await by.report(task))[0] == 200
    assert (await node.ended(job_id))["status"] == "finished"


async def test_a_task_that_no_worker_survives_is_quarantined(start: Start) -> None:
    node = await start(flow(), TASK_LEASE_SECONDS=0.1, MAX_DELIVERIES=3)
    worker = await node.worker()
    job_id = await node.create()
    deliveries = 0
    while await worker.poll(timeout=1) is not None:
        deliveries += 1
    assert deliveries == 3
    job = await node.ended(job_id)
    assert (job["status"], job["error"]["code"]) == ("quarantined", "PERMANENT_ERROR")
    assert "3 times" in job["error"]["message"]


@on_every_store
async def test_a_parked_poll_gets_the_task_as_soon_as_there_is_one(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    loop = asyncio.get_running_loop()
    took: list[float] = []
    for _ in range(5):
        poll = asyncio.ensure_future(worker.take(timeout=20))
        await asyncio.sleep(0.05)
        began = loop.time()
        await node.create()
        await worker.report(await poll)
        took.append(loop.time() - began)
    assert statistics.median(took) < 0.5


@on_every_store
async def test_a_parked_poll_gets_a_task_that_becomes_due_later(start: Start) -> None:
    node = await start(flow(), RETRY_BACKOFF_SECONDS=0.4)
    worker = await node.worker()
    await node.create()
    await worker.fail(await worker.take(), "TRANSIENT_ERROR")
    assert await worker.poll(timeout=10) is not None


async def test_a_poll_is_answered_with_nothing_in_time(start: Start) -> None:
    node = await start(flow(), WORKER_POLL_TIMEOUT_SECONDS=0.3)
    worker = await node.worker()
    loop = asyncio.get_running_loop()
    for timeout in (0, 0.1, 60, 1e308):
        began = loop.time()
        assert await worker.poll(timeout=timeout) is None
        assert loop.time() - began < 3


@on_every_store
async def test_many_parked_workers_share_what_comes(start: Start) -> None:
    node = await start(fan())
    workers = [await node.worker(f"w{n}") for n in range(20)]
    polls = [asyncio.ensure_future(worker.take(timeout=20)) for worker in workers]
    await asyncio.sleep(0.1)
    await node.create({"items": list(range(20))}, "/api/v1/jobs/fan")
    tasks = await asyncio.gather(*polls)
    assert sorted(task["params"]["item"] for task in tasks) == list(range(20))


async def gone(node: Orchestrator, worker: Worker, after: float) -> None:
    """The worker's poll, whose connection breaks after that time."""
    url = f"{node.url}/_worker/workers/{worker.id}/tasks/next?timeout=20"
    async with aiohttp.ClientSession(headers={"X-Worker-Token": WORKER_TOKEN}) as session:
        poll = asyncio.ensure_future(session.get(url))
        await asyncio.sleep(after)
        poll.cancel()
        await asyncio.gather(poll, return_exceptions=True)


async def test_a_worker_that_hung_up_gets_nothing(start: Start) -> None:
    node = await start(flow())
    absent, present = await node.worker("w1"), await node.worker("w2")
    for _ in range(5):
        await gone(node, absent, 0.05)
    await asyncio.sleep(0.1)
    poll = asyncio.ensure_future(present.take(timeout=2))
    await node.create()
    assert (await poll)["task_id"].endswith("-1-1")


@on_every_store
async def test_what_a_worker_that_hangs_up_was_about_to_get_goes_to_the_next(start: Start) -> None:
    node = await start(flow(), TASK_LEASE_SECONDS=0.5)
    absent, present = await node.worker("w1"), await node.worker("w2")
    jobs = set()
    for delay in range(20):
        leaving = asyncio.ensure_future(gone(node, absent, 0.001 * delay))
        jobs.add(await node.create())
        await leaving
    for _ in range(20):
        task = await present.take()
        await present.report(task)
        jobs.discard(task["job_id"])
    assert jobs == set()


async def test_parked_polls_are_answered_when_the_node_drains(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    polls = [asyncio.ensure_future(worker.poll_raw(timeout=25)) for _ in range(3)]
    await asyncio.sleep(0.1)
    async with asyncio.timeout(4):
        await node.engine.stop()
        assert await asyncio.gather(*polls) == [(204, None)] * 3


@on_every_store
async def test_a_lease_outlives_a_clean_restart_of_the_node(start: Start, storage: str) -> None:
    if storage.startswith("memory"):
        pytest.skip("nothing outlives the process")
    first = await start(flow(), TASK_LEASE_SECONDS=20)
    worker = await first.worker()
    job_id = await first.create({"n": 1}, Idempotency_Key="k")
    task = await worker.take()
    await first.engine.stop()
    second = await start(flow(), TASK_LEASE_SECONDS=20)
    again = Worker(second, "w1")
    known = 404 if storage.startswith("sqlite") else 204  # nodes of a shared store share the registrations
    assert (await again.poll_raw(timeout=0))[0] == known
    assert (await again.register("work"))[0] == 200
    assert await again.poll(timeout=0.2) is None
    assert await again.beat(task["task_id"]) == (200, {"status": "ok"})
    assert (await again.report(task, {"n": 2}))[0] == 200
    assert (await second.ended(job_id))["result"] == {"n": 2}
    assert await second.create({"n": 1}, Idempotency_Key="k") == job_id
    status, body = await again.report(task, {"n": 2})
    assert (status, body["duplicate"]) == (200, True)


@on_every_store
async def test_work_goes_on_where_a_stopped_node_left_it(start: Start, storage: str) -> None:
    if storage.startswith("memory"):
        pytest.skip("nothing outlives the process")
    first = await start(fan())
    jobs = [await first.create({"items": [1, 2]}, "/api/v1/jobs/fan") for _ in range(5)]
    worker = await first.worker()
    for _ in range(3):
        await worker.report(await worker.take(), "before")
    before: list[Any] = [await first.job(job_id) for job_id in jobs]
    await first.engine.stop()
    second = await start(fan())
    assert [await second.job(job_id) for job_id in jobs] == before
    worker = await second.worker()
    while (task := await worker.poll(timeout=0.3)) is not None:
        await worker.report(task, "after")
    results = [(await second.ended(job_id))["result"] for job_id in jobs]
    assert sorted(value for result in results for value in result) == ["after"] * 7 + ["before"] * 3
