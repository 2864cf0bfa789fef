"""A job runs a job of another blueprint and goes on when that has ended, however it ended (feature A7)."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from avtomatika import ActionFactory, Blueprint
from avtomatika.app import STORAGE_KEY
from avtomatika.commands.outbox import KIN, message_of
from avtomatika.kernel.events import ChildEnded
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.notices import announcements
from avtomatika.ports.store import Commit
from tests.integration.http.conftest import (
    OTHER_TOKEN,
    Orchestrator,
    Start,
    on_every_store,
    on_lasting_stores,
)

WAYS = {"success": "done", "failure": "broken", "cancelled": "stopped", "timeout": "late"}


def parent(transitions: dict[str, str] | None = None, of: str = "child", **options: Any) -> Blueprint:
    """Runs a child with its input; the name of the state that follows is kept in the history."""
    blueprint = Blueprint("parent", api_version="v1", api_endpoint="/parent")

    @blueprint.handler(is_start=True)
    async def start(initial_data: dict[str, Any], actions: ActionFactory) -> None:
        actions.run_blueprint(of, initial_data, WAYS if transitions is None else transitions, **options)

    def ending(state: str) -> None:
        @blueprint.handler(state, is_end=True, outcome="finished")
        async def end(state_history: dict[str, Any]) -> dict[str, Any]:
            runs[state] += 1
            return {"then": state, "knows": state_history}

    for state in WAYS.values():
        ending(state)
    return blueprint


runs: Counter[str] = Counter()
"""How often the handler of each state of a parent was run."""


@pytest.fixture(autouse=True)
def _nothing_was_run() -> None:
    runs.clear()


def child(name: str = "child") -> Blueprint:
    """Does what `do` in its input says."""
    blueprint = Blueprint(name, api_version="v1", api_endpoint=f"/{name}")

    @blueprint.handler(is_start=True)
    async def begin(do: str, actions: ActionFactory) -> None:
        match do:
            case "finish":
                actions.finish({"n": 1.0, "s": "ü"})
            case "fail":
                actions.fail("sold out", "NO_STOCK")
            case "crash":
                raise RuntimeError("no luck")
            case "work":
                actions.dispatch_task("work", {}, {"success": "worked"})
            case "patient":
                actions.dispatch_task("work", {}, {"success": "worked"}, dispatch_timeout_seconds=0.1)
            case _:
                actions.wait_for_event("go", "worked")

    @blueprint.handler(is_end=True)
    async def worked() -> str:
        return "worked"

    return blueprint


async def waiting(node: Orchestrator, job_id: str) -> str:
    """The id of the child that the job soon waits for."""
    async with asyncio.timeout(5):
        while (job := await node.job(job_id))["status"] == "pending":
            await asyncio.sleep(0.005)
    assert (job["status"], job["waiting"]["reason"]) == ("waiting_for_sub_job", "child")
    assert job["waiting"]["child_job_id"] == job["child_job_id"]
    found: str = job["child_job_id"]
    return found


async def born(node: Orchestrator, job_id: str) -> str:
    """The child of the job, which has been accepted."""
    child_id = await waiting(node, job_id)
    async with asyncio.timeout(5):
        while (await node.get(f"/api/v1/jobs/{child_id}"))[0] == 404:
            await asyncio.sleep(0.005)
    return child_id


async def resting(node: Orchestrator, job_id: str, status: str) -> dict[str, Any]:
    """The job, which comes to have this status soon."""
    async with asyncio.timeout(5):
        while (job := await node.job(job_id))["status"] != status:
            await asyncio.sleep(0.005)
    return job


@pytest.mark.parametrize(
    ("do", "then", "outcome", "message", "result"),
    [
        ("finish", "done", "success", None, {"n": 1.0, "s": "ü"}),
        ("fail", "broken", "failure", "sold out", None),
        ("crash", "broken", "failure", "RuntimeError in state 'begin': no luck", None),
        ("patient", "late", "timeout", "The task timed out: no worker took it in time.", None),
    ],
)
async def test_every_end_of_the_child_moves_the_parent_on_and_its_result_is_kept(
    start: Start, do: str, then: str, outcome: str, message: str | None, result: Any
) -> None:
    node = await start(parent(), child(), JOB_MAX_RETRIES=0)
    job = await node.ended(await node.create({"do": do}, "/api/v1/parent"))
    ((key, kept),) = job["result"]["knows"].items()
    child_id = key.removeprefix("sub_job_").removesuffix("_result")
    assert job["result"]["then"] == then
    assert kept["outcome"] == outcome
    assert kept["final_state"] == (await node.job(child_id))["current_state"]
    assert kept["error_message"] == message
    assert kept["result"] == result
    assert runs == {then: 1}


async def test_the_cancellation_of_a_child_moves_the_parent_on(start: Start) -> None:
    node = await start(parent(), child())
    job_id = await node.create({"do": "rest"}, "/api/v1/parent")
    child_id = await born(node, job_id)
    assert (await node.post(f"/api/v1/jobs/{child_id}/cancel"))[0] == 200
    job = await node.ended(job_id)
    assert job["result"]["then"] == "stopped"
    assert job["result"]["knows"][f"sub_job_{child_id}_result"]["outcome"] == "cancelled"


async def test_a_child_that_takes_too_long_is_cancelled(start: Start) -> None:
    node = await start(parent(timeout_seconds=0.2), child())
    job_id = await node.create({"do": "rest"}, "/api/v1/parent")
    child_id = await waiting(node, job_id)
    assert (await node.ended(job_id))["result"]["then"] == "late"
    over = await resting(node, child_id, "cancelled")
    assert "did not end in time" in over["error"]["message"]
    assert runs == {"late": 1}


async def test_nobody_works_for_a_child_that_took_too_long(start: Start) -> None:
    node = await start(parent(timeout_seconds=0.3), child())
    worker = await node.worker()
    job_id = await node.create({"do": "work"}, "/api/v1/parent")
    child_id = await waiting(node, job_id)
    task = await worker.take()
    assert (await node.ended(job_id))["result"]["then"] == "late"
    # The limit of its task ends with the patience of its parent, so that either may end the child.
    assert (await node.ended(child_id))["status"] in ("failed", "cancelled")
    assert (await worker.report(task, {}))[0] == 409
    assert runs == {"late": 1}


@pytest.mark.parametrize(
    ("do", "status", "code"),
    [
        ("fail", "failed", "NO_STOCK"),
        ("crash", "quarantined", "HANDLER_ERROR"),
        ("patient", "failed", "TIMEOUT_ERROR"),
    ],
)
async def test_an_end_that_no_transition_names_is_the_end_of_the_parent(
    start: Start, do: str, status: str, code: str
) -> None:
    node = await start(parent({"success": "done"}), child(), JOB_MAX_RETRIES=0)
    job = await node.ended(await node.create({"do": do}, "/api/v1/parent"))
    assert (job["status"], job["error"]["code"]) == (status, code)
    assert runs == {}


async def test_the_child_belongs_to_the_client_of_its_parent_and_inherits_labels_and_priority(
    start: Start,
) -> None:
    node = await start(parent(), child())
    body = {"initial_data": {"do": "rest"}, "labels": {"shop": "7"}, "priority": 5}
    job_id = await node.create(body, "/api/v1/parent")
    child_id = await born(node, job_id)
    found = await node.job(child_id)
    assert (found["labels"], found["priority"]) == ({"shop": "7"}, 5.0)
    assert (found["parent_job_id"], found["source"]) == (job_id, f"parent:{job_id}")
    assert found["initial_data"] == {"do": "rest"}
    assert (await node.get(f"/api/v1/jobs/{child_id}", token=OTHER_TOKEN))[0] == 404
    _, page = await node.get("/api/v1/jobs", label="shop:7")
    assert {job["id"] for job in page["jobs"]} == {job_id, child_id}
    assert (await node.get("/api/v1/jobs", token=OTHER_TOKEN))[1]["jobs"] == []


@on_every_store
async def test_cancelling_a_job_cancels_its_children_and_their_children_with_their_tasks(
    start: Start,
) -> None:
    node = await start(parent(of="middle"), nest("middle", "child"), child())
    worker = await node.worker()
    job_id = await node.create({"do": "work"}, "/api/v1/parent")
    middle_id = await born(node, job_id)
    child_id = await born(node, middle_id)
    task = await worker.take()
    assert task["job_id"] == child_id
    assert (await node.post(f"/api/v1/jobs/{job_id}/cancel"))[0] == 200
    for each in (middle_id, child_id):
        over = await resting(node, each, "cancelled")
        assert "no longer waits for it" in over["error"]["message"]
    assert (await worker.beat(task["task_id"]))[1]["cancel_task_ids"] == [task["task_id"]]
    assert (await worker.report(task, {}))[0] == 409
    assert (await node.job(job_id))["status"] == "cancelled"
    assert runs == {}


def nest(name: str, inner: str) -> Blueprint:
    """Runs the inner one and hands on what comes of it."""
    blueprint = Blueprint(name, api_version="v1", api_endpoint=f"/{name}")

    @blueprint.handler(is_start=True)
    async def begin(initial_data: dict[str, Any], actions: ActionFactory) -> None:
        actions.run_blueprint(inner, initial_data, {"success": "end"})

    @blueprint.handler(is_end=True)
    async def end() -> None:
        return None

    return blueprint


def spiral() -> Blueprint:
    """Runs itself as often as its input says."""
    blueprint = Blueprint("spiral", api_version="v1", api_endpoint="/spiral")

    @blueprint.handler(is_start=True)
    async def begin(depth: int, actions: ActionFactory) -> None:
        if depth:
            actions.run_blueprint("spiral", {"depth": depth - 1}, {"success": "end"})
        else:
            actions.go_to("ground")

    @blueprint.handler(is_end=True)
    async def ground() -> dict[str, str]:
        return {"found": "ground"}

    @blueprint.handler(is_end=True)
    async def end() -> None:
        return None

    return blueprint


@on_every_store
async def test_children_may_be_nested_ten_deep_and_the_result_comes_up(start: Start) -> None:
    node = await start(spiral())
    job = await node.ended(await node.create({"depth": 10}, "/api/v1/spiral"))
    assert (job["status"], job["result"]) == ("finished", {"found": "ground"})
    _, page = await node.get("/api/v1/jobs", blueprint="spiral")
    assert len(page["jobs"]) == 11


async def test_one_level_more_puts_the_whole_family_in_quarantine(start: Start) -> None:
    node = await start(spiral())
    job = await node.ended(await node.create({"depth": 11}, "/api/v1/spiral"))
    assert (job["status"], job["error"]["code"]) == ("quarantined", "DEPTH_EXCEEDED")
    _, page = await node.get("/api/v1/jobs", status="quarantined")
    assert len(page["jobs"]) == 11


async def test_a_blueprint_that_is_not_there_quarantines_the_parent_by_name(start: Start) -> None:
    node = await start(parent(of="nobody"))
    job = await node.ended(await node.create({}, "/api/v1/parent"))
    assert job["status"] == "quarantined"
    assert "'nobody'" in job["error"]["message"]


async def test_input_that_the_child_does_not_take_quarantines_the_parent_with_the_reason(
    start: Start,
) -> None:
    strict = Blueprint("child", api_version="v1", input_schema={"type": "object", "required": ["n"]})

    @strict.handler(is_start=True, is_end=True)
    async def begin(n: int) -> int:
        return n

    node = await start(parent(), strict)
    job = await node.ended(await node.create({"m": 1}, "/api/v1/parent"))
    assert (job["status"], job["error"]["code"]) == ("quarantined", "CONTRACT_VIOLATION_ERROR")
    assert "'child'" in job["error"]["message"]
    _, page = await node.get("/api/v1/jobs", blueprint="child")
    assert page["jobs"] == []


async def tell_again(node: Orchestrator, child_id: str) -> None:
    """The message that told the parent of the child's end is delivered once more."""
    store = node.engine.app[STORAGE_KEY]
    job = await store.load(JobId(child_id))
    assert job is not None
    (told, *_) = announcements(job)
    message = message_of(told)  # type: ignore[arg-type]  # the end of a child is told to its parent first
    await store.commit(Commit(now=job.updated, send=(message,)))
    async with asyncio.timeout(5):
        while await store.peek(KIN, limit=1):
            await asyncio.sleep(0.005)


async def endings(node: Orchestrator, job_id: str) -> int:
    """How often the history of the job says that a child ended."""
    facts = await node.engine.app[STORAGE_KEY].facts(JobId(job_id))
    return sum(isinstance(fact.event, ChildEnded) for fact in facts)


async def test_the_end_of_a_child_counts_once_however_often_it_is_told(start: Start) -> None:
    node = await start(parent(), child())
    job_id = await node.create({"do": "rest"}, "/api/v1/parent")
    child_id = await born(node, job_id)
    await node.post(f"/api/v1/jobs/{child_id}/events/go")
    before = await node.ended(job_id)
    await tell_again(node, child_id)
    assert await node.job(job_id) == before
    assert (await endings(node, job_id), runs) == (1, {"done": 1})


@on_lasting_stores
async def test_a_parent_goes_on_once_whatever_the_node_went_through(start: Start) -> None:
    async def restarted(node: Orchestrator) -> Orchestrator:
        await node.engine.stop()
        return await start(parent(), child())

    node = await start(parent(), child())
    job_id = await node.create({"do": "rest"}, "/api/v1/parent")
    child_id = await waiting(node, job_id)
    node = await restarted(node)
    assert await born(node, job_id) == child_id
    await node.post(f"/api/v1/jobs/{child_id}/events/go")
    node = await restarted(node)
    before = await node.ended(job_id)
    assert before["result"]["then"] == "done"
    node = await restarted(node)
    await tell_again(node, child_id)
    assert await node.job(job_id) == before
    assert (await endings(node, job_id), runs) == (1, {"done": 1})
    assert len((await node.get("/api/v1/jobs"))[1]["jobs"]) == 2
