"""Several tasks at once, and one aggregation after all of them."""

import asyncio
from typing import Any

import pytest

from avtomatika import ActionFactory, Blueprint
from tests.integration.http.blueprints import fan
from tests.integration.http.conftest import Start, on_every_store

PATH = "/api/v1/jobs/fan"


async def test_the_aggregation_runs_once_after_all_branches(start: Start) -> None:
    node = await start(fan())
    worker = await node.worker()
    job_id = await node.create({"items": list(range(10))}, PATH)
    for left in range(10, 0, -1):
        assert (await node.job(job_id))["progress"] == {"done": 10 - left, "total": 10}
        task = await worker.take()
        await worker.report(task, {"item": task["params"]["item"]})
    job = await node.ended(job_id)
    assert (job["status"], job["result"]) == ("finished", [{"item": n} for n in range(10)])
    assert job["transition_count"] == 3


async def test_results_come_in_the_order_of_the_tasks_not_of_the_reports(start: Start) -> None:
    node = await start(fan())
    worker = await node.worker()
    job_id = await node.create({"items": list(range(12))}, PATH)
    tasks = [await worker.take() for _ in range(12)]
    for task in reversed(tasks):
        await worker.report(task, task["params"]["item"])
    assert (await node.ended(job_id))["result"] == list(range(12))


async def test_an_empty_fan_out_aggregates_at_once(start: Start) -> None:
    node = await start(fan())
    job = await node.ended(await node.create({"items": []}, PATH))
    assert (job["status"], job["result"]) == ("finished", [])


@on_every_store
async def test_reports_of_all_branches_at_once_are_all_counted(start: Start) -> None:
    node = await start(fan())
    workers = [await node.worker(f"w{n}") for n in range(10)]
    job_id = await node.create({"items": list(range(200))}, PATH)
    await node.job(job_id, wait=0.2)
    batches = await asyncio.gather(*(worker.poll_batch(20) for worker in workers))
    reports = [
        worker.report(task, task["params"]["item"])
        for worker, tasks in zip(workers, batches, strict=True)
        for task in tasks
    ]
    answers = await asyncio.gather(*reports)
    assert [status for status, _ in answers] == [200] * 200
    assert (await node.ended(job_id))["result"] == list(range(200))


async def test_the_first_final_failure_ends_the_job_and_calls_the_others_back(start: Start) -> None:
    node = await start(fan())
    worker = await node.worker()
    job_id = await node.create({"items": [1, 2, 3]}, PATH)
    first, second = await worker.take(), await worker.take()
    await worker.fail(first, "PERMANENT_ERROR")
    job = await node.ended(job_id)
    assert (job["status"], job["error"]["code"]) == ("quarantined", "PERMANENT_ERROR")
    assert job["error"]["task_id"] in first["task_id"]
    assert (await worker.beat(second["task_id"]))[1]["cancel_task_ids"] == [second["task_id"]]
    assert (await worker.report(second))[0] == 409
    assert await worker.poll(timeout=0.1) is None
    assert await worker.fail(first, "PERMANENT_ERROR") == (
        200,
        {"status": "accepted", "transition": "parallel_branch_accepted", "duplicate": True},
    )


async def test_a_failure_transition_is_followed_instead(start: Start) -> None:
    node = await start(fan(transitions={"failure": "rescued"}))
    worker = await node.worker()
    job_id = await node.create({"items": [1, 2]}, PATH)
    await worker.fail(await worker.take(), "INVALID_INPUT_ERROR")
    job = await node.ended(job_id)
    assert (job["status"], job["result"]) == ("finished", "rescued")


async def test_failures_can_be_collected(start: Start) -> None:
    node = await start(fan(on_failure="collect"), JOB_MAX_RETRIES=1, RETRY_BACKOFF_SECONDS=0.01)
    worker = await node.worker()
    job_id = await node.create({"items": ["ok", "permanent", "transient", "cancelled", "custom"]}, PATH)
    for _ in range(6):
        task = await worker.take()
        item = task["params"]["item"]
        if item in ("permanent", "transient"):
            await worker.fail(task, f"{item.upper()}_ERROR")
        else:
            status = {"ok": "success"}.get(item, item)
            await worker.report(task, item, status=status)
    job = await node.ended(job_id)
    assert job["state_history"]["statuses"] == ["success", "failure", "failure", "cancelled", "custom"]
    assert job["status"] == "finished"


async def test_a_branch_is_tried_again_on_its_own(start: Start) -> None:
    node = await start(fan(), RETRY_BACKOFF_SECONDS=0.01)
    worker = await node.worker()
    job_id = await node.create({"items": [1, 2]}, PATH)
    first, second = await worker.take(), await worker.take()
    await worker.fail(first, "TRANSIENT_ERROR")
    await worker.report(second, 2)
    again = await worker.take()
    assert again["params"] == first["params"]
    assert (await worker.report(first, 0))[0] == 409
    await worker.report(again, 1)
    assert (await node.ended(job_id))["result"] == [1, 2]


async def test_a_lost_branch_goes_to_another_worker(start: Start) -> None:
    node = await start(fan(), TASK_LEASE_SECONDS=0.3)
    worker, other = await node.worker("w1"), await node.worker("w2")
    job_id = await node.create({"items": [1, 2]}, PATH)
    lost = await worker.take()
    await other.report(await other.take(), 2)
    found = await other.take()
    assert (await worker.report(lost, 0))[0] == 409
    await other.report(found, 1)
    assert (await node.ended(job_id))["result"] == [1, 2]


async def test_a_branch_that_nobody_takes_in_time_fails_the_whole(start: Start) -> None:
    node = await start(fan())
    job = await node.ended(
        await node.create({"initial_data": {"items": [1, 2]}, "dispatch_timeout": 0.2}, PATH)
    )
    assert (job["status"], job["error"]["code"]) == ("failed", "TIMEOUT_ERROR")


async def test_one_fan_out_after_another_and_within_a_loop(start: Start) -> None:
    blueprint = Blueprint("rounds", api_version="v1", api_endpoint="/jobs/fan")

    @blueprint.handler(is_start=True)
    async def start_here(rounds: int, state_history: dict[str, Any], actions: ActionFactory) -> None:
        done = state_history.setdefault("done", [])
        if len(done) == rounds:
            actions.go_to("finished")
        else:
            tasks = [{"task_type": "work", "params": {"n": len(done)}} for _ in range(3)]
            actions.dispatch_parallel(tasks, aggregate_into="gather")

    @blueprint.aggregator_for("gather")
    def gather(
        aggregation_results: dict[str, Any], state_history: dict[str, Any], actions: ActionFactory
    ) -> None:
        state_history["done"].append([r["data"] for r in aggregation_results.values()])
        actions.transition_to("start_here")

    node = await start(blueprint)
    worker = await node.worker()
    job_id = await node.create({"rounds": 4}, PATH)
    for _ in range(12):
        task = await worker.take()
        await worker.report(task, task["params"]["n"])
    job = await node.ended(job_id)
    assert job["state_history"]["done"] == [[n] * 3 for n in range(4)]
    assert job["status"] == "finished"


@pytest.mark.parametrize("width", [1, 1_000])
async def test_a_fan_out_is_narrow_or_wide(start: Start, width: int) -> None:
    node = await start(fan())
    worker = await node.worker()
    job_id = await node.create({"items": list(range(width))}, PATH)
    count = 0
    while count < width:
        tasks = await worker.poll_batch(250)
        count += len(tasks)
        results = [worker.result(task, task["params"]["item"]) for task in tasks]
        status, body = await worker.call("POST", "/_worker/tasks/results", {"results": results})
        assert (status, {answer["status"] for answer in body["results"]}) == (200, {"accepted"})
    assert (await node.ended(job_id))["result"] == list(range(width))
