"""What a program around the engine hears of jobs, and what it can do itself (feature C5)."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from avtomatika.errors import BlueprintError, InvalidInput, NotFound
from tests.integration.http.blueprints import flow, straight
from tests.integration.http.conftest import OPERATOR_TOKEN, Start

Heard = list[tuple[str, str, Mapping[str, Any]]]


async def heard(heard: Heard, count: int) -> None:
    """Returns when so many have been heard of."""
    async with asyncio.timeout(10):
        while len(heard) < count:
            await asyncio.sleep(0.01)


async def test_the_program_hears_of_every_job_that_ends_once(start: Start) -> None:
    node = await start(straight(), flow())
    ends: Heard = []

    async def finished(job_id: str, status: str, state: Mapping[str, Any]) -> None:
        ends.append((job_id, status, state))

    node.engine.on_job_finished.append(finished)
    first = await node.create({"n": 1}, "/api/v1/jobs/straight")
    second = await node.create()
    await node.post(f"/api/v1/jobs/{second}/cancel")
    await heard(ends, 2)
    by_id = {job_id: (status, state) for job_id, status, state in ends}
    status, state = by_id[first]
    assert (status, state["result"], state["initial_data"]) == ("finished", {"n": 1}, {"n": 1})
    status, state = by_id[second]
    assert (status, state["error_code"]) == ("cancelled", "CANCELLED")
    assert len(ends) == 2


async def test_the_program_hears_what_workers_tell(start: Start) -> None:
    node = await start(flow())
    told: list[tuple[str, Mapping[str, Any]]] = []

    async def hear(worker_id: str, event: Mapping[str, Any]) -> None:
        told.append((worker_id, event))

    node.engine.on_worker_event.append(hear)
    worker = await node.worker("cam-01")
    job_id = await node.create()
    task = await worker.take()
    event = {
        "event_id": "e-1",
        "worker_id": worker.id,
        "origin_worker_id": worker.id,
        "event_type": "progress",
        "payload": {"progress": 0.5},
        "target_task_id": task["task_id"],
        "lease_token": task["lease_token"],
    }
    assert (await worker.call("POST", "/_worker/events", event))[0] == 200
    async with asyncio.timeout(10):
        while not told:
            await asyncio.sleep(0.01)
    ((name, said),) = told
    assert name == "cam-01"
    assert (said["job_id"], said["event_type"], said["payload"]) == (job_id, "progress", {"progress": 0.5})


async def test_a_hook_that_raises_harms_nobody(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    node = await start(straight())

    async def broken(job_id: str, status: str, state: Mapping[str, Any]) -> None:
        raise RuntimeError("my own fault")

    node.engine.on_job_finished.append(broken)
    job = await node.ended(await node.create({}, "/api/v1/jobs/straight"))
    assert job["status"] == "finished"
    async with asyncio.timeout(10):
        while "hook.failed" not in caplog.text:
            await asyncio.sleep(0.01)
    caplog.clear()


async def test_the_program_can_create_and_cancel_jobs_which_operators_see(start: Start) -> None:
    node = await start(flow())
    job_id = await node.engine.create_background_job("flow", {"n": 1.0, "none": None}, source="nightly")
    assert (await node.get(f"/api/v1/jobs/{job_id}"))[0] == 404
    status, job = await node.get(f"/api/v1/jobs/{job_id}", token=OPERATOR_TOKEN, detailed="true")
    assert (status, job["source"], job["initial_data"]) == (200, "nightly", {"n": 1.0, "none": None})
    assert await node.engine.cancel_job(job_id)
    assert not await node.engine.cancel_job(job_id)
    assert not await node.engine.cancel_job("nobody")


async def test_a_job_in_the_background_is_checked_like_any_other(start: Start) -> None:
    node = await start(flow())
    with pytest.raises(NotFound, match="no blueprint 'nothing'"):
        await node.engine.create_background_job("nothing")
    with pytest.raises((InvalidInput, Exception), match="JSON"):
        await node.engine.create_background_job("flow", {"n": object()})
    await node.engine.stop()
    with pytest.raises(BlueprintError, match="once the engine was started"):
        await node.engine.create_background_job("flow")
