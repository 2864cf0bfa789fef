"""A client looks at its jobs."""

import asyncio
from typing import Any

import pytest

from avtomatika import ActionFactory, Blueprint
from tests.integration.http.blueprints import fan, flow, straight
from tests.integration.http.conftest import OTHER_TOKEN, Orchestrator, Start, on_every_store

COMPACT = {
    "id",
    "job_id",
    "status",
    "blueprint_name",
    "current_state",
    "created_at",
    "updated_at",
    "version",
    "waiting",
}
DETAILS = {"initial_data", "state_history", "blueprint_version", "transition_count"}


async def test_the_compact_view_has_no_data_and_the_detailed_one_has(start: Start) -> None:
    node = await start(flow())
    job_id = await node.create({"n": 1})
    compact, detailed = await node.job(job_id, detailed="false"), await node.job(job_id, detailed="true")
    assert set(compact) == COMPACT
    assert set(detailed) == COMPACT | DETAILS
    assert compact["id"] == compact["job_id"] == job_id
    assert detailed["initial_data"] == {"n": 1}


@pytest.mark.parametrize(("setting", "keys"), [("true", COMPACT | DETAILS), ("false", COMPACT)])
async def test_a_setting_says_which_view_is_the_usual_one(start: Start, setting: str, keys: set[str]) -> None:
    node = await start(flow(), DETAILED_API_RESPONSES=setting)
    _, job = await node.get(f"/api/v1/jobs/{await node.create()}")
    assert set(job) == keys


async def test_a_client_can_name_the_fields_it_wants(start: Start) -> None:
    node = await start(straight())
    job_id = await node.create({"n": 1}, "/api/v1/jobs/straight")
    await node.ended(job_id)
    _, some = await node.get(f"/api/v1/jobs/{job_id}", fields="status,initial_data,result,webhook_url")
    assert some == {
        "id": job_id,
        "status": "finished",
        "initial_data": {"n": 1},
        "result": {"n": 1},
        "webhook_url": None,
    }
    _, only = await node.get(f"/api/v1/jobs/{job_id}", fields="")
    assert only == {"id": job_id}


async def test_only_a_finished_job_has_a_result(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    job_id = await node.create()
    task = await worker.take()
    _, before = await node.get(f"/api/v1/jobs/{job_id}", fields="result,status")
    assert before == {"id": job_id, "status": "waiting_for_worker"}
    await worker.report(task, None)
    assert (await node.ended(job_id))["result"] is None


@on_every_store
async def test_waiting_ends_with_the_job(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    job_id = await node.create()
    task = await worker.take()
    waiting = [asyncio.ensure_future(node.job(job_id, wait=30)) for _ in range(3)]
    await asyncio.sleep(0.1)
    assert not any(each.done() for each in waiting)
    await worker.report(task, {"n": 1})
    async with asyncio.timeout(2):
        jobs = await asyncio.gather(*waiting)
    assert {job["status"] for job in jobs} == {"finished"}


async def test_waiting_ends_with_its_time(start: Start) -> None:
    node = await start(flow())
    job_id = await node.create()
    before = asyncio.get_running_loop().time()
    job = await node.job(job_id, wait=0.3)
    assert job["status"] == "waiting_for_worker"
    assert 0.25 < asyncio.get_running_loop().time() - before < 2


async def test_waiting_ends_when_the_node_drains(start: Start) -> None:
    node = await start(flow())
    job_id = await node.create()
    waiting = [asyncio.ensure_future(node.job(job_id, wait=30)) for _ in range(3)]
    await asyncio.sleep(0.1)
    async with asyncio.timeout(4):
        await node.engine.stop()
        jobs = await asyncio.gather(*waiting)
    assert {job["status"] for job in jobs} == {"waiting_for_worker"}


async def test_an_open_fan_out_shows_how_far_it_is(start: Start) -> None:
    node = await start(fan())
    worker = await node.worker()
    job_id = await node.create({"items": [1, 2, 3]}, "/api/v1/jobs/fan")
    task = await worker.take()
    assert (await node.job(job_id))["progress"] == {"done": 0, "total": 3}
    await worker.report(task)
    job = await node.job(job_id)
    assert (job["status"], job["progress"]) == ("waiting_for_parallel_tasks", {"done": 1, "total": 3})


async def test_a_job_that_is_tried_again_says_what_went_wrong(start: Start) -> None:
    node = await start(flow(), RETRY_BACKOFF_SECONDS=60)
    worker = await node.worker()
    job_id = await node.create()
    task = await worker.take()
    await worker.fail(task, "TRANSIENT_ERROR", "busy")
    job = await node.job(job_id, detailed="false")
    assert job["status"] == "waiting_for_worker"
    assert (job["error"]["code"], job["error"]["message"]) == ("TRANSIENT_ERROR", "busy")


async def test_a_finished_job_shows_no_error_of_its_past(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    job_id = await node.create()
    for _ in range(2):
        task = await worker.take()
        await (worker.report(task, 1) if (await node.job(job_id)).get("error") else worker.fail(task, "X"))
    job = await node.ended(job_id)
    assert job["status"] == "finished"
    assert "error" not in job


async def ids(node: Orchestrator, **query: Any) -> list[str]:
    _, page = await node.get("/api/v1/jobs", **query)
    return [job["id"] for job in page["jobs"]]


@on_every_store
async def test_a_list_shows_the_newest_first_in_pages(start: Start) -> None:
    node = await start(flow())
    created = [await node.create({"n": n}) for n in range(7)]
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    sizes = []
    while True:
        _, page = await node.get("/api/v1/jobs", **query)
        seen += [job["id"] for job in page["jobs"]]
        sizes.append(len(page["jobs"]))
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert sizes == [3, 3, 1]
    assert sorted(seen) == sorted(created)
    assert seen == sorted(seen, reverse=True)


async def test_jobs_created_between_two_pages_disturb_neither(start: Start) -> None:
    node = await start(flow())
    for _ in range(4):
        await node.create()
    _, first = await node.get("/api/v1/jobs", limit=2)
    await node.create()
    _, second = await node.get("/api/v1/jobs", limit=2, after=first["next"])
    found = [job["id"] for job in first["jobs"] + second["jobs"]]
    assert len(set(found)) == 4
    assert second["next"] is None


async def test_a_list_can_be_narrowed(start: Start) -> None:
    node = await start(flow(), straight())
    open_job = await node.create()
    over = await node.create({}, "/api/v1/jobs/straight")
    await node.ended(over)
    assert await ids(node, status="finished") == [over]
    assert await ids(node, status="waiting_for_worker") == [open_job]
    assert await ids(node, status="failed") == []
    assert await ids(node, blueprint="straight") == [over]
    assert await ids(node, blueprint="straight", status="pending") == []
    assert await ids(node, blueprint="nobody") == []


async def test_clients_see_their_own_jobs_only(start: Start) -> None:
    node = await start(flow())
    mine = await node.create({"secret": "mine"})
    status, theirs = await node.post("/api/v1/jobs/flow", {}, token=OTHER_TOKEN)
    assert status == 202
    assert await ids(node) == [mine]
    assert await ids(node, token=OTHER_TOKEN) == [theirs["job_id"]]
    unknown = await node.get("/api/v1/jobs/nothing", token=OTHER_TOKEN)
    foreign = await node.get(f"/api/v1/jobs/{mine}", token=OTHER_TOKEN)
    for status, body in (unknown, foreign):
        del body["error"]["request_id"]
        assert (status, body) == (404, {"error": {"code": "not_found", "message": "Job not found"}})


async def test_reading_during_the_run_sees_versions_grow(start: Start) -> None:
    blueprint = Blueprint("steps", api_version="v1", api_endpoint="/jobs/flow")

    @blueprint.handler(is_start=True)
    async def start_here(initial_data: dict[str, Any], actions: ActionFactory) -> None:
        initial_data["n"] = initial_data.get("n", 0) + 1
        actions.go_to("start_here" if initial_data["n"] < 40 else "done")

    @blueprint.handler(is_end=True)
    async def done(initial_data: dict[str, Any]) -> int:
        return int(initial_data["n"])

    node = await start(blueprint)
    job_id = await node.create()
    versions = []
    job = await node.job(job_id)
    while job["status"] in ("pending", "running"):
        versions.append(job["version"])
        job = await node.job(job_id)
    assert versions == sorted(versions)
    assert (job["status"], job["result"], job["transition_count"]) == ("finished", 40, 41)
