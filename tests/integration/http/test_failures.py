"""What becomes of a job when a task or a handler fails, or takes too long."""

import asyncio
from typing import Any

import pytest

from avtomatika import ActionFactory, Blueprint
from tests.integration.http.blueprints import flow
from tests.integration.http.conftest import Start, Worker

RETRIED = ("TRANSIENT_ERROR", "RESOURCE_EXHAUSTED_ERROR", "TIMEOUT_ERROR", "INTERNAL_ERROR", "MY_OWN_CODE")
QUARANTINED = (
    "PERMANENT_ERROR",
    "SECURITY_ERROR",
    "DEPENDENCY_ERROR",
    "DEPENDENCY_MISSING_ERROR",
    "CONTRACT_VIOLATION_ERROR",
)
FAILED = ("INVALID_INPUT_ERROR", "INTEGRITY_MISMATCH_ERROR")


async def attempts(worker: Worker, code: str) -> int:
    """How often the one task comes when every attempt fails with *code*, until its job is over."""
    count = 0
    over = False
    while not over:
        task = await worker.take()
        count += 1
        status, body = await worker.fail(task, code)
        assert (status, body["transition"]) == (200, "failure_handled")
        job = await worker.node.job(task["job_id"], wait=0.01)
        over = job["status"] != "waiting_for_worker"
    return count


@pytest.mark.parametrize("code", RETRIED)
async def test_a_passing_failure_is_tried_again_then_quarantined(start: Start, code: str) -> None:
    node = await start(flow(), JOB_MAX_RETRIES=2, RETRY_BACKOFF_SECONDS=0.01)
    worker = await node.worker()
    job_id = await node.create()
    assert await attempts(worker, code) == 3
    job = await node.ended(job_id)
    assert (job["status"], job["error"]["code"], job["error"]["message"]) == ("quarantined", code, "no luck")
    assert job["error"]["task_id"]


@pytest.mark.parametrize(
    ("code", "status"),
    [*((code, "quarantined") for code in QUARANTINED), *((code, "failed") for code in FAILED)],
)
async def test_a_lasting_failure_is_not_tried_again(start: Start, code: str, status: str) -> None:
    node = await start(flow(), JOB_MAX_RETRIES=5)
    worker = await node.worker()
    job_id = await node.create()
    assert await attempts(worker, code) == 1
    job = await node.ended(job_id)
    assert (job["status"], job["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("code", "count"), [("TRANSIENT_ERROR", 2), ("PERMANENT_ERROR", 1), ("INVALID_INPUT_ERROR", 1)]
)
async def test_a_failure_transition_is_followed_once_retries_are_over_or_useless(
    start: Start, code: str, count: int
) -> None:
    node = await start(
        flow(transitions={"failure": "rescued"}), JOB_MAX_RETRIES=1, RETRY_BACKOFF_SECONDS=0.01
    )
    worker = await node.worker()
    job_id = await node.create()
    assert await attempts(worker, code) == count
    job = await node.ended(job_id)
    assert (job["status"], job["result"]) == ("finished", "rescued")


async def test_the_handler_says_how_often_its_task_is_tried(start: Start) -> None:
    node = await start(flow(retry=0), JOB_MAX_RETRIES=5)
    worker = await node.worker()
    await node.create()
    assert await attempts(worker, "TRANSIENT_ERROR") == 1


async def test_a_failure_then_success_is_success(start: Start) -> None:
    node = await start(flow(), RETRY_BACKOFF_SECONDS=0.01)
    worker = await node.worker()
    job_id = await node.create()
    first = await worker.take()
    await worker.fail(first, "TRANSIENT_ERROR")
    second = await worker.take()
    assert second["task_id"] != first["task_id"]
    assert (await worker.report(first, {"n": 1}))[0] == 409
    assert (await worker.report(second, {"n": 2}))[0] == 200
    job = await node.ended(job_id)
    assert (job["status"], job["result"]) == ("finished", {"n": 2})


async def test_the_next_attempt_waits(start: Start) -> None:
    node = await start(flow(), RETRY_BACKOFF_SECONDS=30, RETRY_BACKOFF_MAX_SECONDS=30)
    worker = await node.worker()
    for _ in range(3):
        await node.create()
    for _ in range(3):
        await worker.fail(await worker.take(), "TRANSIENT_ERROR")
    # With full jitter one of three may come soon, all three hardly ever.
    assert await worker.poll_batch(3, timeout=0.1) != 3
    _, page = await node.get("/api/v1/jobs", status="waiting_for_worker")
    assert len(page["jobs"]) == 3


@pytest.mark.parametrize(
    ("status", "ends", "result"),
    [("review", "finished", "reviewed"), ("success", "finished", {"n": 1})],
)
async def test_the_status_of_a_result_chooses_the_next_state(
    start: Start, status: str, ends: str, result: Any
) -> None:
    node = await start(flow())
    worker = await node.worker()
    job_id = await node.create()
    await worker.report(await worker.take(), {"n": 1}, status=status)
    job = await node.ended(job_id)
    assert (job["status"], job["result"]) == (ends, result)


@pytest.mark.parametrize("status", ["nobody_listed_this", "", "SUCCESS"])
async def test_a_status_that_nobody_listed_fails_the_job(start: Start, status: str) -> None:
    node = await start(flow())
    worker = await node.worker()
    job_id = await node.create()
    await worker.report(await worker.take(), {"n": 1}, status=status)
    job = await node.ended(job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "UNHANDLED_STATUS")
    assert repr(status) in job["error"]["message"]


async def test_a_worker_may_cancel_its_task(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    job_id = await node.create()
    await worker.report(await worker.take(), status="cancelled")
    assert (await node.ended(job_id))["status"] == "cancelled"


# ------------------------------------------------------------------ time limits


@pytest.mark.parametrize(
    ("transitions", "status", "result"),
    [
        ({"success": "done"}, "failed", None),
        ({"failure": "rescued"}, "finished", "rescued"),
        ({"timeout": "rescued", "failure": "done"}, "finished", "rescued"),
    ],
)
async def test_a_task_that_nobody_takes_in_time_times_out(
    start: Start, transitions: dict[str, str], status: str, result: Any
) -> None:
    node = await start(flow(transitions=transitions, dispatch_timeout_seconds=0.2))
    worker = await node.worker()
    job = await node.ended(await node.create())
    assert (job["status"], job.get("result")) == (status, result)
    if status == "failed":
        assert job["error"]["code"] == "TIMEOUT_ERROR"
        assert "no worker took it" in job["error"]["message"]
    assert await worker.poll(timeout=0) is None


async def test_a_task_that_was_taken_in_time_is_not_dropped(start: Start) -> None:
    node = await start(flow(dispatch_timeout_seconds=0.3))
    worker = await node.worker()
    job_id = await node.create()
    task = await worker.take()
    await asyncio.sleep(0.6)
    assert (await worker.report(task, {"n": 1}))[0] == 200
    assert (await node.ended(job_id))["status"] == "finished"


@pytest.mark.parametrize("limit", ["dispatch_timeout", "result_timeout"])
async def test_a_client_can_limit_the_time_of_its_job(start: Start, limit: str) -> None:
    node = await start(flow())
    job = await node.ended(await node.create({"initial_data": {}, limit: 0.2}))
    assert (job["status"], job["error"]["code"]) == ("failed", "TIMEOUT_ERROR")


async def test_a_result_that_comes_too_late_is_refused(start: Start) -> None:
    node = await start(flow(transitions={"timeout": "rescued"}, result_timeout_seconds=0.3))
    worker = await node.worker()
    job_id = await node.create()
    task = await worker.take()
    job = await node.ended(job_id)
    assert (job["status"], job["result"]) == ("finished", "rescued")
    assert (await worker.beat(task["task_id"]))[1]["cancel_task_ids"] == [task["task_id"]]
    assert (await worker.report(task))[0] == 409


async def test_work_that_takes_too_long_is_given_to_the_next(start: Start) -> None:
    node = await start(flow(timeout_seconds=0.3), RETRY_BACKOFF_SECONDS=0.01)
    worker, other = await node.worker("w1"), await node.worker("w2")
    job_id = await node.create()
    slow = await worker.take()
    beats = [await worker.beat(slow["task_id"])]
    fast = await other.take()
    beats.append(await worker.beat(slow["task_id"]))
    assert [body.get("cancel_task_ids") for _, body in beats] == [None, [slow["task_id"]]]
    assert (await worker.report(slow))[0] == 409
    assert (await other.report(fast, {"n": 2}))[0] == 200
    assert (await node.ended(job_id))["result"] == {"n": 2}


async def test_work_that_always_takes_too_long_ends_the_job(start: Start) -> None:
    node = await start(flow(timeout_seconds=0.15, retry=1), RETRY_BACKOFF_SECONDS=0.01)
    worker = await node.worker()
    job_id = await node.create()
    for _ in range(2):
        await worker.take()
    job = await node.ended(job_id)
    assert (job["status"], job["error"]["code"]) == ("quarantined", "TIMEOUT_ERROR")
    assert await worker.poll(timeout=0.1) is None


async def test_a_setting_limits_the_work_on_every_task(start: Start) -> None:
    node = await start(flow(retry=0), WORKER_TIMEOUT_SECONDS=0.2)
    worker = await node.worker()
    job_id = await node.create()
    await worker.take()
    assert (await node.ended(job_id))["error"]["code"] == "TIMEOUT_ERROR"


async def test_no_worker_is_no_failure(start: Start) -> None:
    node = await start(flow())
    job = await node.job(await node.create(), wait=0.5)
    assert job["status"] == "waiting_for_worker"
    assert "error" not in job


# ------------------------------------------------------------------ handlers


def handler_that(run: Any) -> Blueprint:
    blueprint = Blueprint("handlers", api_version="v1", api_endpoint="/jobs/flow")
    blueprint.handler("start", is_start=True)(run)
    return blueprint


async def test_a_handler_that_raises_runs_again_then_the_job_is_quarantined(start: Start) -> None:
    runs = []

    async def run(job_id: str) -> None:
        runs.append(job_id)
        raise KeyError("missing")

    node = await start(handler_that(run), JOB_MAX_RETRIES=2, RETRY_BACKOFF_SECONDS=0.01)
    job = await node.ended(await node.create())
    assert (job["status"], job["error"]["code"]) == ("quarantined", "HANDLER_ERROR")
    assert job["error"]["message"] == "KeyError in state 'start': 'missing'"
    assert len(runs) == 3


async def test_a_handler_that_recovers_lets_the_job_go_on(start: Start) -> None:
    runs = []

    async def run(job_id: str, actions: ActionFactory) -> None:
        runs.append(job_id)
        if len(runs) < 3:
            raise OSError("network")
        actions.go_to("finished")

    node = await start(handler_that(run), RETRY_BACKOFF_SECONDS=0.01)
    job = await node.ended(await node.create())
    assert job["status"] == "finished"
    assert len(runs) == 3


async def no_action() -> None:
    return None


async def two_actions(actions: ActionFactory) -> None:
    actions.go_to("finished")
    actions.go_to("start")


async def nowhere(initial_data: dict[str, Any], actions: ActionFactory) -> None:
    actions.go_to(initial_data.get("to", "nowhere"))


async def missing_argument(nobody_has_this: int) -> None:
    return None


async def no_json(state_history: dict[str, Any], actions: ActionFactory) -> None:
    state_history["object"] = object()
    actions.go_to("finished")


async def wrong_params(actions: ActionFactory) -> None:
    actions.dispatch_task("work", {"object": object()})


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (no_action, "no action"),
        (two_actions, "multiple actions"),
        (nowhere, "no state 'nowhere'"),
        (missing_argument, "'nobody_has_this'"),
        (no_json, "state_history['object'] must be JSON"),
        (wrong_params, "params of a task must be JSON"),
    ],
)
async def test_a_handler_that_breaks_the_rules_quarantines_its_job_at_once(
    start: Start, run: Any, says: str
) -> None:
    node = await start(handler_that(run), RETRY_BACKOFF_SECONDS=30)
    job = await node.ended(await node.create())
    assert (job["status"], job["error"]["code"]) == ("quarantined", "BLUEPRINT_ERROR")
    assert says in job["error"]["message"]


async def test_a_loop_ends(start: Start) -> None:
    async def run(actions: ActionFactory) -> None:
        actions.go_to("start")

    node = await start(handler_that(run), MAX_TRANSITIONS_PER_JOB=20)
    job = await node.ended(await node.create())
    assert (job["status"], job["error"]["code"], job["transition_count"]) == ("failed", "LOOP_DETECTED", 20)


async def test_one_slow_handler_holds_nobody_up(start: Start) -> None:
    go_on = asyncio.Event()

    async def run(slow: bool, actions: ActionFactory) -> None:
        if slow:
            await go_on.wait()
        actions.go_to("finished")

    node = await start(handler_that(run), RUN_LEASE_SECONDS=0.3)
    slow = await node.create({"slow": True})
    assert (await node.ended(await node.create({"slow": False})))["status"] == "finished"
    job = await node.job(slow, wait=0.8)
    assert job["status"] == "pending"
    go_on.set()
    assert (await node.ended(slow))["version"] == 3


async def test_a_task_is_tried_again_by_another_worker_than_the_one_that_failed(start: Start) -> None:
    node = await start(flow(), RETRY_BACKOFF_SECONDS=0.01)
    first, second = await node.worker("w1"), await node.worker("w2")
    await node.create()
    await first.fail(await first.take(), "TRANSIENT_ERROR")
    parked = asyncio.ensure_future(first.poll(timeout=1.0))
    await second.take()
    assert await parked is None


async def test_a_worker_that_is_alone_tries_again_what_it_failed_at(start: Start) -> None:
    node = await start(flow(), RETRY_BACKOFF_SECONDS=0.01)
    alone, _ = await node.worker("w1"), await node.worker("w2", "another skill")
    await node.create()
    await alone.fail(await alone.take(), "TRANSIENT_ERROR")
    assert await alone.poll(timeout=2.0) is not None


async def test_a_task_does_not_wait_for_ever_for_a_worker_that_did_not_fail(start: Start) -> None:
    node = await start(flow(), RETRY_BACKOFF_SECONDS=0.01, DISPATCHER_SPILL_AFTER_SECONDS=0.3)
    first, _ = await node.worker("w1"), await node.worker("w2")
    await node.create()
    await first.fail(await first.take(), "TRANSIENT_ERROR")
    assert await first.poll(timeout=0.05) is None
    assert await first.poll(timeout=5.0) is not None
