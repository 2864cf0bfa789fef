"""What operators do to jobs and blueprints, and clients to jobs of their own (features B3 and B5)."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from avtomatika import ActionFactory, Blueprint
from avtomatika.app import STORAGE_KEY
from avtomatika.commands.outbox import TIMERS
from tests.integration.http.blueprints import flow, straight
from tests.integration.http.conftest import (
    OPERATOR_TOKEN,
    OTHER_TOKEN,
    Orchestrator,
    Start,
    on_every_store,
    on_lasting_stores,
)
from tests.integration.webhooks.sinks import HERE, TAKEN, always, sink

OPERATOR = {"token": OPERATOR_TOKEN}
VERBS = ("requeue", "rewind", "fork", "webhook/resend")
HOOKS = {"WEBHOOK_ALLOW_HTTP": "true", "WEBHOOK_ALLOWED_HOSTS": HERE}

runs: Counter[str] = Counter()
"""How often the handler of each state was run."""
broken: set[str] = set()
"""The states whose handlers raise."""


@pytest.fixture(autouse=True)
def _everything_is_new() -> None:
    runs.clear()
    broken.clear()


def stages() -> Blueprint:
    """Three stages, each of which notes that it was there; then work for somebody, then the end."""
    blueprint = Blueprint("stages", api_version="v1", api_endpoint="/stages")

    def passed(state: str, history: dict[str, Any]) -> None:
        runs[state] += 1
        if state in broken:
            raise RuntimeError(f"{state} is broken")
        history["path"] = [*history.get("path", []), state]

    @blueprint.handler(is_start=True)
    async def one(state_history: dict[str, Any], actions: ActionFactory) -> None:
        passed("one", state_history)
        actions.go_to("two")

    @blueprint.handler
    async def two(state_history: dict[str, Any], actions: ActionFactory) -> None:
        passed("two", state_history)
        actions.go_to("three")

    @blueprint.handler
    async def three(
        state_history: dict[str, Any], initial_data: dict[str, Any], actions: ActionFactory
    ) -> None:
        passed("three", state_history)
        if "nap" in initial_data and runs["three"] == 1:
            actions.sleep(initial_data["nap"], then="end")
        else:
            actions.dispatch_task("work", {}, {"success": "end"}, result_timeout_seconds=600)

    @blueprint.handler(is_end=True)
    async def end(state_history: dict[str, Any]) -> list[str]:
        passed("end", state_history)
        path: list[str] = state_history["path"]
        return path

    return blueprint


async def verb(
    node: Orchestrator, job_id: str, name: str, body: Any = None, token: str | None = None
) -> tuple[int, Any]:
    who = {} if token is None else {"token": token}
    return await node.post(f"/api/v1/jobs/{job_id}/{name}", body, **who)


def code(answer: tuple[int, Any]) -> tuple[int, str]:
    status, body = answer
    return status, body["error"]["code"]


async def reached(node: Orchestrator, job_id: str, status: str) -> dict[str, Any]:
    """The job, which comes to have this status soon."""
    async with asyncio.timeout(5):
        while (job := await node.job(job_id))["status"] != status:
            await asyncio.sleep(0.003)
    return job


async def history(node: Orchestrator, job_id: str) -> list[dict[str, Any]]:
    status, body = await node.get(f"/api/v1/jobs/{job_id}/history")
    assert status == 200
    events: list[dict[str, Any]] = body["events"]
    return events


async def version_of(node: Orchestrator, job_id: str, state: str) -> int:
    """The version in which the job entered the state."""
    rows = await history(node, job_id)
    found: int = next(row["version"] for row in rows if row["state"] == state != row["previous_state"])
    return found


@on_every_store
async def test_a_job_in_quarantine_goes_on_where_it_ended_once_the_fault_is_mended(start: Start) -> None:
    node = await start(stages(), JOB_MAX_RETRIES=0)
    worker = await node.worker()
    broken.add("two")
    job_id = await node.create({}, "/api/v1/stages")
    job = await node.ended(job_id)
    assert (job["status"], job["current_state"]) == ("quarantined", "two")
    broken.clear()
    assert await verb(node, job_id, "requeue") == (202, {"status": "requeued"})
    await worker.report(await worker.take(), {})
    job = await node.ended(job_id)
    assert (job["status"], job["result"], runs["one"]) == ("finished", ["one", "two", "three", "end"], 1)
    assert "error" not in job
    (row,) = [row for row in await history(node, job_id) if row["event_type"] == "requeued"]
    assert row["data"] == {"by": "default"}
    assert (row["previous_status"], row["status"]) == ("quarantined", "running")


async def test_a_job_that_failed_by_its_task_gives_out_another(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    job_id = await node.create({"n": 1})
    first = await worker.take()
    await worker.fail(first, "INVALID_INPUT_ERROR")
    assert (await node.ended(job_id))["status"] == "failed"
    assert (await verb(node, job_id, "requeue", token=OPERATOR_TOKEN))[0] == 202
    second = await worker.take()
    assert (second["params"], second["task_id"] != first["task_id"]) == ({"n": 1}, True)
    await worker.report(second, {"ok": True})
    assert (await node.ended(job_id))["result"] == {"ok": True}


async def test_requeue_is_for_jobs_that_went_wrong(start: Start) -> None:
    node = await start(flow(), straight())
    await node.worker()
    job_id = await node.create()
    assert code(await verb(node, job_id, "requeue")) == (409, "conflict")
    assert (await node.post(f"/api/v1/jobs/{job_id}/cancel"))[0] == 200
    assert code(await verb(node, job_id, "requeue")) == (409, "already_over")
    over = await node.create({}, "/api/v1/jobs/straight")
    await node.ended(over)
    before = await node.job(over)
    for name, body in (("requeue", None), ("rewind", {"state": "start"})):
        assert code(await verb(node, over, name, body)) == (409, "already_over")
    assert await node.job(over) == before


@pytest.mark.parametrize("by", ["state", "version"])
async def test_a_rewound_job_goes_on_with_its_data_of_then_and_its_task_is_called_back(
    start: Start, by: str
) -> None:
    node = await start(stages())
    worker = await node.worker()
    job_id = await node.create({}, "/api/v1/stages")
    task = await worker.take()
    version = await version_of(node, job_id, "two")
    place = {"state": "two"} if by == "state" else {"version": version}
    answer = await verb(node, job_id, "rewind", place)
    assert answer == (202, {"status": "rewound", "version": version, "state": "two"})
    assert (await worker.beat(task["task_id"]))[1]["cancel_task_ids"] == [task["task_id"]]
    assert (await worker.report(task, {"late": True}))[0] == 409
    again = await worker.take()
    assert again["task_id"] != task["task_id"]
    await worker.report(again, {})
    job = await node.ended(job_id)
    assert job["result"] == ["one", "two", "three", "end"]
    assert "late" not in job["state_history"]
    assert runs == {"one": 1, "two": 2, "three": 2, "end": 1}
    (row,) = [row for row in await history(node, job_id) if row["event_type"] == "rewound"]
    assert (row["data"]["to"], row["data"]["by"]) == (version, "default")


async def test_what_a_rewound_job_waited_for_rings_no_more(start: Start) -> None:
    node = await start(stages())
    worker = await node.worker()
    job_id = await node.create({"nap": 0.5}, "/api/v1/stages")
    await reached(node, job_id, "sleeping")
    assert (await verb(node, job_id, "rewind", {"state": "one"}))[0] == 202
    task = await worker.take()
    timers = await node.engine.app[STORAGE_KEY].peek(TIMERS, limit=10)
    assert {message.id.partition(":")[0] for message in timers} == {"timer"}  # and no alarm
    assert (await node.job(job_id, wait=0.6))["status"] == "waiting_for_worker"
    await worker.report(task, {})
    assert (await node.ended(job_id))["result"] == ["one", "two", "three", "end"]
    assert runs["end"] == 1


async def test_a_job_in_quarantine_can_be_rewound(start: Start) -> None:
    node = await start(stages(), JOB_MAX_RETRIES=0)
    worker = await node.worker()
    broken.add("two")
    job_id = await node.create({}, "/api/v1/stages")
    assert (await node.ended(job_id))["status"] == "quarantined"
    broken.clear()
    assert (await verb(node, job_id, "rewind", {"version": 1}))[0] == 202
    await worker.report(await worker.take(), {})
    job = await node.ended(job_id)
    assert (job["result"], runs["one"]) == (["one", "two", "three", "end"], 2)


@on_every_store
async def test_a_fork_is_a_new_job_from_there_and_the_old_one_stays_as_it_is(start: Start) -> None:
    node = await start(stages())
    worker = await node.worker()
    body = {"initial_data": {"n": 1}, "labels": {"shop": "7"}, "priority": 3}
    job_id = await node.create(body, "/api/v1/stages")
    await worker.report(await worker.take(), {"first": True})
    before = await node.ended(job_id)
    status, answer = await verb(node, job_id, "fork", {"state": "two"})
    assert (status, answer["status"]) == (202, "accepted")
    forked = answer["job_id"]
    await worker.report(await worker.take(), {"second": True})
    job = await node.ended(forked)
    assert job["result"] == ["one", "two", "three", "end"]
    assert ("second" in job["state_history"], "first" in job["state_history"]) == (True, False)
    assert (job["labels"], job["priority"], job["initial_data"]) == ({"shop": "7"}, 3.0, {"n": 1})
    assert job["source"] == f"fork:{job_id}@{await version_of(node, job_id, 'two')}"
    assert runs == {"one": 1, "two": 2, "three": 2, "end": 2}
    assert await node.job(job_id) == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (None, "version"),
        ({}, "version"),
        ({"version": 1, "state": "one"}, "version"),
        ({"version": None, "state": None}, "version"),
        ({"version": 99}, "version"),
        ({"version": -1}, "version"),
        ({"version": "1"}, "version"),
        ({"version": 1.5}, "version"),
        ({"state": "nowhere"}, "state"),
        ({"state": "end"}, "state"),
        ({"state": 3}, "state"),
        ({"place": "one"}, "place"),
    ],
)
async def test_a_place_is_one_where_a_handler_was_due(start: Start, body: Any, field: str) -> None:
    node = await start(stages())
    worker = await node.worker()
    job_id = await node.create({}, "/api/v1/stages")
    await worker.take()
    before = await node.job(job_id)
    for name in ("rewind", "fork"):
        status, answer = await verb(node, job_id, name, body)
        assert (status, answer["error"]["code"], answer["error"]["field"]) == (400, "invalid_input", field)
    assert await node.job(job_id) == before
    assert len((await node.get("/api/v1/jobs"))[1]["jobs"]) == 1


async def test_the_webhook_of_the_end_is_sent_again_under_the_same_id(start: Start) -> None:
    async with sink(always(TAKEN)) as server:
        node = await start(straight(), flow(), **HOOKS)
        url = f"http://{HERE}:{server.port}/hook"
        body = {"initial_data": {"n": 1}, "webhook_url": url}
        job_id = await node.create(body, "/api/v1/jobs/straight")
        await node.ended(job_id)
        for count in (1, 2, 3):
            async with asyncio.timeout(5):
                while len(server.received) < count:
                    await asyncio.sleep(0.003)
            assert await verb(node, job_id, "webhook/resend") == (202, {"status": "webhook_queued"})
        assert len({each.headers["webhook-id"] for each in server.received}) == 1
        assert len({each.body for each in server.received}) == 1
        assert json.loads(server.received[0].body)["event"] == "job_finished"
        running = await node.create(body)
        assert code(await verb(node, running, "webhook/resend")) == (409, "conflict")
    silent = await node.create({}, "/api/v1/jobs/straight")
    await node.ended(silent)
    assert code(await verb(node, silent, "webhook/resend")) == (409, "conflict")


@pytest.mark.parametrize("name", VERBS)
async def test_verbs_are_for_the_client_of_the_job_and_for_operators(start: Start, name: str) -> None:
    node = await start(stages(), JOB_MAX_RETRIES=0, **HOOKS)
    await node.worker()
    broken.add("two")
    url = f"http://{HERE}:9/hook"
    job_id = await node.create({"initial_data": {}, "webhook_url": url}, "/api/v1/stages")
    await node.ended(job_id)
    body = {"state": "one"} if name in ("rewind", "fork") else None
    foreign = await verb(node, job_id, name, body, OTHER_TOKEN)
    unknown = await verb(node, "no-such-job", name, body)
    for status, answer in (foreign, unknown):
        del answer["error"]["request_id"]
        assert (status, answer) == (404, {"error": {"code": "not_found", "message": "Job not found"}})
    assert code(await verb(node, job_id, name, body, "nobody's token")) == (401, "unauthorized")
    assert (await verb(node, job_id, name, body, OPERATOR_TOKEN))[0] == 202
    rows = await history(node, job_id)
    assert [row["data"]["by"] for row in rows if "by" in row["data"]] == (
        ["operator"] if name in ("requeue", "rewind") else []
    )


async def test_the_fork_of_an_operator_belongs_to_the_client_of_the_job(start: Start) -> None:
    node = await start(straight())
    job_id = await node.create({"n": 1}, "/api/v1/jobs/straight")
    await node.ended(job_id)
    _, answer = await verb(node, job_id, "fork", {"state": "start"}, OPERATOR_TOKEN)
    assert (await node.ended(answer["job_id"]))["result"] == {"n": 1}
    assert (await node.get(f"/api/v1/jobs/{answer['job_id']}", token=OTHER_TOKEN))[0] == 404


async def test_the_quarantine_lists_what_needs_a_person(start: Start) -> None:
    node = await start(stages(), straight(), JOB_MAX_RETRIES=0)
    broken.add("one")
    mine = await node.create({"initial_data": {}, "labels": {"n": "1"}}, "/api/v1/stages")
    _, answer = await node.post("/api/v1/stages", {}, token=OTHER_TOKEN)
    theirs = answer["job_id"]
    fine = await node.create({}, "/api/v1/jobs/straight")
    for job_id in (mine, fine):
        await node.ended(job_id)
    await node.get(f"/api/v1/jobs/{theirs}", token=OTHER_TOKEN, wait=5)

    async def listed(token: str | None = None, **query: Any) -> list[str]:
        who = {} if token is None else {"token": token}
        status, page = await node.get("/api/v1/jobs/quarantined", **query, **who)
        assert status == 200
        return sorted(job["id"] for job in page["jobs"])

    assert await listed() == [mine]
    assert await listed(OTHER_TOKEN) == [theirs]
    assert await listed(OPERATOR_TOKEN) == sorted([mine, theirs])
    assert await listed(OPERATOR_TOKEN, label="n:1") == [mine]
    assert await listed(blueprint="straight") == []


async def switch(node: Orchestrator, what: str, name: str = "flow", token: str = OPERATOR_TOKEN) -> Any:
    return await node.post(f"/api/v1/blueprints/{name}/{what}", token=token)


async def test_a_paused_blueprint_begins_nothing_while_what_is_out_goes_on(start: Start) -> None:
    node = await start(flow(), straight())
    worker = await node.worker()
    under_way = await node.create({"n": 1})
    task = await worker.take()
    assert await switch(node, "pause") == (200, {"name": "flow", "paused": True})
    assert (await worker.report(task, {"n": 2}))[0] == 200
    job = await node.job(under_way, wait=0.3)
    assert (job["status"], job["waiting"]["reason"]) == ("running", "blueprint_paused")
    new = await node.create({"n": 3})
    job = await node.job(new, wait=0.3)
    assert (job["status"], job["waiting"]["reason"]) == ("pending", "blueprint_paused")
    assert await worker.poll(timeout=0.1) is None
    other = await node.create({}, "/api/v1/jobs/straight")
    assert (await node.ended(other))["status"] == "finished"
    assert await switch(node, "resume") == (200, {"name": "flow", "paused": False})
    assert (await node.ended(under_way))["result"] == {"n": 2}
    await worker.report(await worker.take(), {"n": 4})
    assert (await node.ended(new))["result"] == {"n": 4}


async def test_a_job_of_a_paused_blueprint_can_be_cancelled(start: Start) -> None:
    node = await start(straight())
    await switch(node, "pause", "straight")
    job_id = await node.create({}, "/api/v1/jobs/straight")
    assert (await node.post(f"/api/v1/jobs/{job_id}/cancel"))[0] == 200
    await switch(node, "resume", "straight")
    assert (await node.job(job_id, wait=0.2))["status"] == "cancelled"


@on_lasting_stores
async def test_a_pause_outlives_the_node(start: Start) -> None:
    node = await start(straight())
    await switch(node, "pause", "straight")
    jobs = [await node.create({"n": n}, "/api/v1/jobs/straight") for n in range(20)]
    await node.engine.stop()
    node = await start(straight())
    assert {(await node.job(job_id))["status"] for job_id in jobs} == {"pending"}
    assert (await node.job(jobs[0], wait=1.2))["waiting"]["reason"] == "blueprint_paused"
    await switch(node, "resume", "straight")
    assert [(await node.ended(job_id))["result"]["n"] for job_id in jobs] == [*range(20)]


async def test_only_operators_pause_and_only_what_is_there(start: Start) -> None:
    node = await start(straight())
    for what in ("pause", "resume"):
        assert code(await switch(node, what, "straight", "client-token-of-the-tests")) == (403, "forbidden")
        assert code(await switch(node, what, "straight", "nobody's token")) == (401, "unauthorized")
        assert code(await switch(node, what, "nothing")) == (404, "not_found")
    for _ in range(2):
        assert (await switch(node, "pause", "straight"))[0] == 200
    for _ in range(2):
        assert (await switch(node, "resume", "straight"))[0] == 200
    job_id = await node.create({}, "/api/v1/jobs/straight")
    assert (await node.ended(job_id))["status"] == "finished"
