"""A cancelled job is over at once, whatever it was doing."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from avtomatika import ActionFactory, Blueprint
from tests.integration.http.blueprints import fan, flow, straight
from tests.integration.http.conftest import Orchestrator, Start, on_every_store

CANCELLED = (200, {"status": "cancellation_request_accepted"})


async def cancel(node: Orchestrator, job_id: str) -> tuple[int, Any]:
    return await node.post(f"/api/v1/jobs/{job_id}/cancel")


async def stays_cancelled(node: Orchestrator, job_id: str) -> None:
    """The job is over, and whoever comes later is told so and changes nothing."""
    job = await node.job(job_id)
    assert (job["status"], job["error"]["code"]) == ("cancelled", "CANCELLED")
    status, body = await cancel(node, job_id)
    assert (status, body["error"]["code"]) == (409, "already_over")
    assert "cancelled" in body["error"]["message"]
    assert await node.job(job_id) == job


async def test_a_job_that_is_over_cannot_be_cancelled(start: Start) -> None:
    node = await start(straight())
    job_id = await node.create({}, "/api/v1/jobs/straight")
    await node.ended(job_id)
    status, body = await cancel(node, job_id)
    assert (status, body["error"]["code"]) == (409, "already_over")
    assert "finished" in body["error"]["message"]


@on_every_store
async def test_a_task_that_waits_is_withdrawn(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    job_id = await node.create()
    assert (await node.job(job_id, wait=0.3))["status"] == "waiting_for_worker"
    assert await cancel(node, job_id) == CANCELLED
    assert await worker.poll(timeout=0.2) is None
    await stays_cancelled(node, job_id)


@on_every_store
@pytest.mark.parametrize("token", [True, False])
async def test_a_task_that_is_worked_on_is_called_back_and_its_result_refused(
    start: Start, token: bool
) -> None:
    node = await start(flow())
    worker = await node.worker()
    job_id = await node.create()
    task = await worker.take()
    assert await cancel(node, job_id) == CANCELLED
    assert await worker.beat(task["task_id"]) == (200, {"status": "ok", "cancel_task_ids": [task["task_id"]]})
    status, body = await worker.report(task, {"n": 1}, token=token)
    if token:
        assert (status, body["status"], body["code"]) == (409, "refused", "stale_lease")
    else:
        assert (status, body["status"], body["reason"]) == (200, "ignored", "job_cancelled")
    await stays_cancelled(node, job_id)


@on_every_store
async def test_every_branch_of_a_fan_out_is_withdrawn(start: Start) -> None:
    node = await start(fan())
    worker = await node.worker()
    job_id = await node.create({"items": [1, 2, 3]}, "/api/v1/jobs/fan")
    first, second = await worker.take(), await worker.take()
    await worker.report(first)
    assert await cancel(node, job_id) == CANCELLED
    assert await worker.poll(timeout=0.2) is None
    assert (await worker.beat(second["task_id"]))[1]["cancel_task_ids"] == [second["task_id"]]
    assert (await worker.report(second))[0] == 409
    await stays_cancelled(node, job_id)


async def test_a_task_that_waits_for_its_next_attempt_is_withdrawn(start: Start) -> None:
    node = await start(flow(), RETRY_BACKOFF_SECONDS=0.3)
    worker = await node.worker()
    job_id = await node.create()
    await worker.fail(await worker.take(), "TRANSIENT_ERROR")
    assert await cancel(node, job_id) == CANCELLED
    assert await worker.poll(timeout=0.5) is None
    await stays_cancelled(node, job_id)


def slow(begun: asyncio.Event, go_on: asyncio.Event, then: Callable[[ActionFactory], None]) -> Blueprint:
    blueprint = Blueprint("slow", api_version="v1", api_endpoint="/jobs/flow")

    @blueprint.handler(is_start=True)
    async def start(actions: ActionFactory) -> None:
        begun.set()
        await go_on.wait()
        then(actions)

    @blueprint.handler(is_end=True)
    async def done() -> None:
        return None

    return blueprint


def crash(actions: ActionFactory) -> None:
    raise RuntimeError("no luck")


@pytest.mark.parametrize(
    "then",
    [lambda actions: actions.go_to("done"), lambda actions: actions.dispatch_task("work"), crash],
    ids=["goes on", "dispatches", "crashes"],
)
async def test_what_a_running_handler_decides_later_does_not_count(
    start: Start, then: Callable[[ActionFactory], None]
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    node = await start(slow(begun, go_on, then))
    worker = await node.worker()
    job_id = await node.create()
    await begun.wait()
    assert await cancel(node, job_id) == CANCELLED
    go_on.set()
    assert await worker.poll(timeout=0.2) is None
    await stays_cancelled(node, job_id)


async def test_a_handler_that_waits_for_its_next_attempt_does_not_run_again(start: Start) -> None:
    runs: list[str] = []
    blueprint = Blueprint("crashing", api_version="v1", api_endpoint="/jobs/flow")

    @blueprint.handler(is_start=True)
    async def start_here(job_id: str) -> None:
        runs.append(job_id)
        raise RuntimeError("no luck")

    node = await start(blueprint, RETRY_BACKOFF_SECONDS=2.0, JOB_MAX_RETRIES=1)
    job_id = await node.create()
    await until(lambda: noted(node, job_id))
    assert await cancel(node, job_id) == CANCELLED
    await asyncio.sleep(2.2)
    assert runs == [job_id]
    await stays_cancelled(node, job_id)


async def noted(node: Orchestrator, job_id: str) -> bool:
    return "error" in await node.job(job_id)


async def until(what: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await what():
            await asyncio.sleep(0.01)


@on_every_store
async def test_cancel_and_result_at_once_have_one_winner(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    for _ in range(20):
        job_id = await node.create()
        task = await worker.take()
        (cancelled, _), (reported, _) = await asyncio.gather(
            cancel(node, job_id), worker.report(task, {"n": 1})
        )
        job = await node.ended(job_id)
        won = (job["status"], cancelled, reported)
        # A result may come first and the cancellation still in time, before the end state is reached.
        assert won in [("cancelled", 200, 409), ("cancelled", 200, 200), ("finished", 409, 200)]
