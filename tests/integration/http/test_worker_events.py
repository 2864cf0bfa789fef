"""What workers tell while they work: progress, and events that move the job (features A9 and E6)."""

from itertools import count
from typing import Any

import pytest

from avtomatika.commands.pace import EVENTS_A_SECOND
from tests.integration.http.blueprints import fan, flow
from tests.integration.http.conftest import Orchestrator, Start, Worker

ACCEPTED = (200, {"status": "event_accepted"})
NUMBERS = count(1)


async def tell(
    worker: Worker, task: dict[str, Any] | None, name: str = "progress", payload: Any = None, **fields: Any
) -> tuple[int, Any]:
    """The worker sends an event about the task, or about none."""
    body = {
        "event_id": f"e-{next(NUMBERS)}",
        "worker_id": worker.id,
        "origin_worker_id": worker.id,
        "event_type": name,
        "payload": {} if payload is None else payload,
    }
    if task is not None:
        body |= {"target_task_id": task["task_id"], "target_job_id": task["job_id"]}
        body |= {"origin_task_id": task["task_id"], "lease_token": task["lease_token"]}
    given = body | fields
    return await worker.call("POST", "/_worker/events", {k: v for k, v in given.items() if v is not None})


async def begun(
    start: Start, *, events: int = EVENTS_A_SECOND, **options: Any
) -> tuple[Orchestrator, Worker, str, dict[str, Any]]:
    """A job whose task a worker holds."""
    node = await start(flow(**options), WORKER_EVENTS_PER_SECOND=events)
    worker = await node.worker()
    job_id = await node.create()
    return node, worker, job_id, await worker.take()


async def test_the_last_progress_of_a_task_is_in_the_view_of_its_job(start: Start) -> None:
    node, worker, job_id, task = await begun(start)
    assert "progress" not in await node.job(job_id)
    assert await tell(worker, task, payload={"progress": 0.25, "message": "a quarter"}) == ACCEPTED
    assert (await node.job(job_id))["progress"] == {"value": 0.25, "message": "a quarter"}
    assert await tell(worker, task, payload={"progress": 50}) == ACCEPTED
    assert (await node.job(job_id))["progress"] == {"value": 50}
    assert (await worker.report(task, {"n": 1}))[0] == 200
    job = await node.ended(job_id)
    assert (job["result"], job.get("progress"), job["state_history"]) == ({"n": 1}, None, {"n": 1})


@pytest.mark.parametrize(
    ("payload", "shown"),
    [({"progress": "half", "message": 3}, None), ({"message": "soon"}, {"message": "soon"}), ({}, None)],
)
async def test_progress_of_another_shape_is_shown_as_far_as_it_is_understood(
    start: Start, payload: Any, shown: Any
) -> None:
    node, worker, job_id, task = await begun(start)
    assert await tell(worker, task, payload=payload) == ACCEPTED
    assert (await node.job(job_id)).get("progress") == shown


async def test_an_event_with_a_transition_moves_the_job_and_its_payload_is_kept(start: Start) -> None:
    node, worker, job_id, task = await begun(start, event_transitions={"found": "rescued"})
    assert await tell(worker, task, "seen", {"n": 1}) == ACCEPTED
    assert (await node.job(job_id))["status"] == "waiting_for_worker"
    assert await tell(worker, task, "found", {"at": 1.0}) == ACCEPTED
    job = await node.ended(job_id)
    assert (job["current_state"], job["state_history"]) == ("rescued", {"at": 1.0})
    assert (await worker.beat(task["task_id"]))[1]["cancel_task_ids"] == [task["task_id"]]
    assert (await worker.report(task))[0] == 409
    assert (await tell(worker, task))[0] == 409


async def test_a_fan_out_counts_its_branches_whatever_they_tell(start: Start) -> None:
    node = await start(fan())
    worker = await node.worker()
    job_id = await node.create({"items": [1, 2]}, "/api/v1/jobs/fan")
    tasks = [await worker.take(), await worker.take()]
    for task in tasks:
        assert await tell(worker, task, payload={"progress": 0.5}) == ACCEPTED
    assert (await node.job(job_id))["progress"] == {"done": 0, "total": 2}
    for task in tasks:
        await worker.report(task, 1)
    assert (await node.ended(job_id))["result"] == [1, 1]


async def test_only_the_worker_that_holds_the_task_is_heard(start: Start) -> None:
    node, worker, job_id, task = await begun(start)
    other = await node.worker("w2")
    status, body = await tell(other, task)
    assert (status, body["code"]) == (409, "stale_lease")
    status, body = await tell(worker, task, lease_token="another")
    assert (status, body["code"]) == (409, "stale_lease")
    status, body = await tell(other, task, lease_token=None)
    assert (status, body["code"]) == (403, "forbidden")
    assert "not assigned" in body["error"]
    assert "progress" not in await node.job(job_id)
    assert await tell(worker, task, lease_token=None) == ACCEPTED


async def test_a_worker_speaks_for_itself_only(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker("w1", **{"X-Worker-ID": "w1"})
    status, body = await tell(worker, None, worker_id="w2")
    assert (status, body["code"]) == (403, "forbidden")
    status, body = await worker.call("POST", "/_worker/events", {}, headers={"X-Worker-Token": "wrong"})
    assert status == 400
    status, body = await worker.call(
        "POST", "/_worker/events", EVENT_OF_NO_TASK, headers={"X-Worker-Token": "wrong"}
    )
    assert (status, body["code"]) == (401, "unauthorized")


EVENT_OF_NO_TASK = {
    "event_id": "e",
    "worker_id": "w1",
    "origin_worker_id": "w1",
    "event_type": "x",
    "payload": {},
}


async def test_an_event_about_no_task_is_taken_note_of(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    assert await tell(worker, None, "hot", {"gpu": 90}) == ACCEPTED


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"payload": [1]}, None),
        ({"payload": "text"}, None),
        ({"event_type": ""}, "event_type"),
        ({"event_type": "x" * 256}, "event_type"),
        ({"event_type": 1}, "event_type"),
        ({"worker_id": "a b"}, "worker_id"),
        ({"target_task_id": "nonsense"}, "target_task_id"),
        ({"priority": "high"}, "priority"),
    ],
)
async def test_what_is_no_event_is_refused_by_name(
    start: Start, fields: dict[str, Any], field: str | None
) -> None:
    node = await start(flow())
    worker = await node.worker()
    status, body = await tell(worker, None, **fields)
    assert (status, body["code"], body.get("field")) == (400, "invalid_message", field)
    assert (await worker.call("POST", "/_worker/events", b"{"))[0] == 400


async def test_a_task_has_a_thousand_events_and_no_more(start: Start) -> None:
    node, worker, job_id, task = await begun(start, events=2_000, event_transitions={"found": "rescued"})
    for n in range(1_000):
        assert await tell(worker, task, payload={"progress": n}) == ACCEPTED
    status, body = await tell(worker, task)
    assert (status, body["status"], body["code"]) == (200, "error", "LIMIT_EXCEEDED_ERROR")
    assert (await node.job(job_id))["progress"] == {"value": 999}
    assert await tell(worker, task, "found") == ACCEPTED
    assert (await node.ended(job_id))["current_state"] == "rescued"


async def test_what_was_told_outlives_a_restart(start: Start, storage: str) -> None:
    if storage.startswith("memory"):
        pytest.skip("nothing outlives the process")
    node, worker, job_id, task = await begun(start, event_transitions={"found": "rescued"})
    await tell(worker, task, payload={"progress": 0.5})
    await node.engine.stop()
    second = await start(flow(event_transitions={"found": "rescued"}))
    assert (await second.job(job_id))["progress"] == {"value": 0.5}
    assert await tell(Worker(second, "w1"), task, "found") == ACCEPTED
    assert (await second.ended(job_id))["current_state"] == "rescued"
