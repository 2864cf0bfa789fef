"""The conversation with workers, in the words of the fourth generation and in ours."""

import asyncio
from typing import Any

import pytest

from avtomatika import ActionFactory, Blueprint
from avtomatika.app import STORAGE_KEY, WORKER_SERVICE_KEY
from avtomatika.errors import Unavailable
from avtomatika.ports.store import Commit
from rxon.errors import UnavailableError, WorkerUnknownError
from rxon.http.client import HttpTransport
from rxon.messages import Heartbeat, Registration, SkillInfo, TaskResult
from rxon.transport import Credentials, PollRequest
from tests.integration.http.blueprints import fan, flow
from tests.integration.http.conftest import WORKER_TOKEN, Orchestrator, Start, on_every_store

G4_REGISTRATION: dict[str, Any] = {
    "worker_type": "vision",
    "supported_skills": [
        {"name": "work", "type": "work", "input_schema": {"type": "object", "required": ["src"]}}
    ],
    "available_skills": ["work"],
    "resources": {"properties": {"cpu_cores": 8, "ram_gb": 16}},
    "installed_software": {"python": "3.12"},
    "installed_artifacts": [],
    "capabilities": {
        "hostname": "h1",
        "ip_address": "10.0.0.7",
        "cost_per_skill": {"work": 0.5},
        "extra": {"websockets": False},
    },
    "skills_hash": "00ff",
    "timestamp": 1790000000,
}


@on_every_store
async def test_the_fourth_generation_registers_polls_beats_and_reports(start: Start) -> None:
    node = await start(flow(result_timeout_seconds=100))
    worker = await node.worker("cam-01")
    assert await worker.call(
        "POST", "/_worker/workers/register", {"worker_id": "cam-01", **G4_REGISTRATION}
    ) == (200, {"status": "registered", "version": "2.0.0", "transports": ["stream"]})
    job_id = await node.create({"src": "a.png"})
    status, task = await worker.poll_raw(timeout=5, available_skills="work", hot_skills="")
    assert status == 200
    assert task.keys() >= {"job_id", "task_id", "type", "params", "tracing_context", "deadline", "timestamp"}
    assert (task["job_id"], task["type"], task["params"]) == (job_id, "work", {"src": "a.png"})
    assert isinstance(task["timestamp"], int)
    assert isinstance(task["deadline"], int)
    assert None not in task.values()
    beat = {
        "usage": {"cpu_load_percent": 12.5, "ram_used_gb": 3.2},
        "skills_hash": "00ff",
        "timestamp": 1790000010,
    }
    assert await worker.beat(task["task_id"], available_skills=["work"], **beat) == (200, {"status": "ok"})
    assert await worker.call("PATCH", "/_worker/workers/cam-01") == (200, {"status": "ttl_refreshed"})
    result = {
        "origin_worker_id": "cam-01",
        "data_metadata": {"out": {"uri": "s3://bkt/J/out.png", "size": 8112, "etag": "77aa"}},
        "timestamp": 1790000031,
        "costs": {"execution_time_seconds": 1.204},
    }
    assert await worker.report(task, {"out": "s3://bkt/J/out.png"}, token=False, **result) == (
        200,
        {"status": "accepted", "transition": "success_transition"},
    )
    assert (await node.ended(job_id))["result"] == {"out": "s3://bkt/J/out.png"}


async def test_a_task_id_is_valid_on_every_generation(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    await node.create()
    task = await worker.take()
    assert set(task["task_id"]) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
    assert len(task["task_id"]) <= 128


@on_every_store
async def test_ours_takes_and_reports_in_batches(start: Start) -> None:
    node = await start(fan(), TASK_LEASE_SECONDS=7)
    worker = await node.worker()
    job_id = await node.create({"items": list(range(10))}, "/api/v1/jobs/fan")
    await node.job(job_id, wait=0.2)
    tasks = await worker.poll_batch(7)
    assert len(tasks) == 7
    assert {task["lease_seconds"] for task in tasks} == {7.0}
    assert len({task["lease_token"] for task in tasks}) == 7
    tasks += await worker.poll_batch(1000)
    assert [task["params"]["item"] for task in tasks] == list(range(10))
    results = [worker.result(task, task["params"]["item"]) for task in tasks]
    stranger = {**results[0], "task_id": results[1]["task_id"][:-1] + "9"}
    status, body = await worker.call(
        "POST", "/_worker/tasks/results", {"results": [*results, stranger, {**stranger, "task_id": "x"}]}
    )
    assert status == 200
    answers = body["results"]
    assert [answer["status"] for answer in answers] == ["accepted"] * 10 + ["refused"] * 2
    assert {answer.get("transition") for answer in answers[:10]} == {"parallel_branch_accepted"}
    assert [answer["code"] for answer in answers[10:]] == ["stale_lease", "invalid_message"]
    job = await node.ended(job_id)
    assert (job["status"], job["result"]) == ("finished", list(range(10)))


@pytest.mark.parametrize("token", [True, False])
@pytest.mark.parametrize(
    ("fields", "transition"),
    [
        ({}, "success_transition"),
        ({"status": "review"}, "success_transition"),
        ({"status": "failure", "error": {"code": "PERMANENT_ERROR", "message": "x"}}, "failure_handled"),
        ({"status": "failure", "error": {"code": "TRANSIENT_ERROR", "message": "x"}}, "failure_handled"),
        ({"status": "cancelled"}, "cancelled_handled"),
    ],
    ids=["success", "custom", "final failure", "failure", "cancelled"],
)
async def test_an_equal_repeat_gets_the_equal_answer(
    start: Start, fields: dict[str, Any], transition: str, token: bool
) -> None:
    node = await start(flow())
    worker = await node.worker()
    job_id = await node.create()
    task = await worker.take()
    accepted = {"status": "accepted", "transition": transition}
    assert await worker.report(task, {"n": 1}, token=token, **fields) == (200, accepted)
    version = (await node.job(job_id, wait=0.1))["version"]
    for _ in range(3):
        status, body = await worker.report(task, {"n": 1}, token=token, **fields)
        assert (status, body) == (200, accepted | {"duplicate": True})
    assert (await node.job(job_id))["version"] == version


async def test_an_equal_repeat_of_a_branch_gets_the_equal_answer(start: Start) -> None:
    node = await start(fan())
    worker = await node.worker()
    job_id = await node.create({"items": [1, 2]}, "/api/v1/jobs/fan")
    accepted = {"status": "accepted", "transition": "parallel_branch_accepted"}
    tasks = [await worker.take() for _ in range(2)]
    for task in tasks:
        assert await worker.report(task, 1) == (200, accepted)
        assert await worker.report(task, 1) == (200, accepted | {"duplicate": True})
    await node.ended(job_id)
    for task in tasks:
        assert await worker.report(task, 1) == (200, accepted | {"duplicate": True})


@on_every_store
async def test_many_equal_results_at_once_are_one(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    job_id = await node.create()
    task = await worker.take()
    answers = await asyncio.gather(*(worker.report(task, {"n": 1}) for _ in range(20)))
    assert {status for status, _ in answers} == {200}
    assert sum("duplicate" not in body for _, body in answers) == 1
    job = await node.ended(job_id)
    assert (job["status"], job["version"]) == ("finished", 4)


async def test_a_repeat_that_says_something_else_is_stale(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    job_id = await node.create()
    task = await worker.take()
    await worker.report(task, {"n": 1})
    before = await node.ended(job_id)
    for data, changed in (({"n": 2}, {}), ({"n": 1}, {"status": "review"})):
        status, body = await worker.report(task, data, **changed)
        assert (status, body["status"], body["code"]) == (409, "refused", "stale_lease")
        status, body = await worker.report(task, data, token=False, **changed)
        assert (status, body["status"], body["reason"]) == (200, "ignored", "job_already_terminated")
    assert await node.job(job_id) == before


async def test_only_the_worker_that_holds_a_task_can_report_it(start: Start) -> None:
    node = await start(flow())
    worker, other = await node.worker("w1"), await node.worker("w2")
    job_id = await node.create()
    task = await worker.take()
    assert (await other.report(task, {"n": 2}))[0] == 409
    assert (await other.report(task, {"n": 2}, token=False))[1]["reason"] == "worker_mismatch"
    assert (await worker.report(task | {"lease_token": "guessed"}, {"n": 2}))[0] == 409
    assert (await worker.report(task, {"n": 1}))[0] == 200
    assert (await node.ended(job_id))["result"] == {"n": 1}


async def test_an_error_may_be_a_text(start: Start) -> None:
    node = await start(flow(), JOB_MAX_RETRIES=0)
    worker = await node.worker()
    job_id = await node.create()
    await worker.report(await worker.take(), status="failure", error="it broke")
    job = await node.ended(job_id)
    assert (job["error"]["code"], job["error"]["message"]) == ("TRANSIENT_ERROR", "it broke")


async def test_registering_again_replaces_the_skills(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker("w1", "other")
    await node.create()
    assert await worker.poll(timeout=0.1) is None
    await worker.register("work")
    assert await worker.poll() is not None


async def test_a_heartbeat_can_bring_new_skills(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker("w1", "other")
    await node.create()
    assert await worker.beat(supported_skills=[{"name": "work"}]) == (200, {"status": "ok"})
    assert await worker.poll() is not None


@pytest.mark.parametrize(
    ("skills", "gets_it"), [("work", True), ("a, work ,b", True), ("other", False), ("", False)]
)
async def test_a_worker_gets_only_what_it_can_do_now(start: Start, skills: str, gets_it: bool) -> None:
    node = await start(flow())
    worker = await node.worker()
    await node.create()
    status, _ = await worker.poll_raw(timeout=0.3, available_skills=skills)
    assert (status == 200) == gets_it


@pytest.mark.parametrize(
    ("demand", "skill", "gets_it"),
    [
        ({"skill_version": "2"}, {"version": "2"}, True),
        ({"skill_version": "2"}, {"version": "1"}, False),
        ({"skill_version": "2"}, {}, False),
        ({"skill_type": "gpu"}, {"type": "gpu"}, True),
        ({"skill_type": "gpu"}, {"type": "cpu"}, False),
        ({"max_cost": 1.0}, {}, True),
        ({"max_cost": 0.1}, {}, False),
    ],
)
async def test_a_worker_gets_only_what_it_is_fit_for(
    start: Start, demand: dict[str, Any], skill: dict[str, str], gets_it: bool
) -> None:
    node = await start(flow(**demand))
    worker = await node.worker()
    await worker.register(
        supported_skills=[{"name": "work", **skill}], capabilities={"cost_per_skill": {"work": 0.5}}
    )
    await node.create()
    assert (await worker.poll(timeout=0.3) is not None) == gets_it


@on_every_store
async def test_a_silent_worker_must_register_again(start: Start) -> None:
    node = await start(flow(), WORKER_HEALTH_CHECK_INTERVAL_SECONDS=0.15)
    worker = await node.worker()
    for _ in range(4):
        await asyncio.sleep(0.1)
        assert (await worker.beat())[0] == 200
    await asyncio.sleep(0.4)
    status, body = await worker.beat()
    assert (status, body["code"]) == (404, "worker_not_found")
    assert (await worker.register("work"))[0] == 200
    assert (await worker.beat())[0] == 200


@on_every_store
async def test_higher_priority_comes_first(start: Start) -> None:
    blueprint = Blueprint("urgent", api_version="v1", api_endpoint="/jobs/flow")

    @blueprint.handler(is_start=True)
    async def start_here(priority: float, actions: ActionFactory) -> None:
        actions.dispatch_task("work", {"priority": priority}, {"success": "finished"}, priority=priority)

    node = await start(blueprint)
    for priority in (0, 5, -1, 2.5):
        await node.job(await node.create({"priority": priority}), wait=0.05)
    worker = await node.worker()
    tasks = [await worker.take() for _ in range(4)]
    assert [task["params"]["priority"] for task in tasks] == [5, 2.5, 0, -1]
    assert [task.get("priority", 0) for task in tasks] == [5, 2.5, 0, -1]


def transport(node: Orchestrator, worker_id: str = "w1") -> HttpTransport:
    return HttpTransport(node.url, worker_id, WORKER_TOKEN, node.session)


async def test_our_own_transport_speaks_with_the_node(start: Start) -> None:
    node = await start(fan())
    worker = transport(node)
    with pytest.raises(WorkerUnknownError):
        await worker.poll(PollRequest(timeout=0))
    registered = await worker.register(Registration("w1", supported_skills=(SkillInfo("work"),)))
    assert registered.status == "registered"
    assert worker.speaks_batches
    job_id = await node.create({"items": [1, 2, 3]}, "/api/v1/jobs/fan")
    await node.job(job_id, wait=0.2)
    offers = await worker.poll(PollRequest(timeout=5, limit=3))
    beat = await worker.heartbeat(Heartbeat("w1", current_tasks=(offers[0].task_id, "gone-1-0-1-1")))
    assert beat.cancel_task_ids == ("gone-1-0-1-1",)
    results = [
        TaskResult(
            job_id=o.job_id, task_id=o.task_id, worker_id="w1", data=o.params, lease_token=o.lease_token
        )
        for o in offers
    ]
    answers = await worker.report(results)
    assert [answer.status for answer in answers] == ["accepted"] * 3
    again = await worker.report(results[:1])
    assert again[0].duplicate
    assert (await node.ended(job_id))["result"] == [{"item": 1}, {"item": 2}, {"item": 3}]
    stale = TaskResult(job_id=job_id, task_id=offers[0].task_id, worker_id="w1", lease_token="x")
    (answer,) = await worker.report([stale])
    assert (answer.status, answer.code) == ("refused", "stale_lease")


async def test_that_a_task_cannot_be_given_back_now_is_told_in_the_words_of_the_wire(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await start(flow())
    worker = await node.worker()
    await node.create({"n": 1})
    gateway, credentials = node.engine.app[WORKER_SERVICE_KEY], Credentials(WORKER_TOKEN, worker.id)
    (offer,) = await gateway.poll(credentials, worker.id, PollRequest(5.0))
    store = node.engine.app[STORAGE_KEY]

    async def away(_: Commit) -> None:
        raise Unavailable("The store is away.")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(store, "commit", away)
        with pytest.raises(UnavailableError):
            await gateway.give_back(credentials, worker.id, (offer,))
    await gateway.give_back(credentials, worker.id, (offer,))
    assert (await worker.take())["task_id"] == offer.task_id
