"""Values of any size go through a job as if they were small, and come back the same (feature G2)."""

import asyncio
import json
from typing import Any

import msgspec
import pytest

from avtomatika import ActionFactory, Blueprint
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.time import Instant
from rxon.attachments import Address, parse_uri
from rxon.storage import ObjectStorage
from tests.integration.files.conftest import BUCKET
from tests.integration.files.test_clean_up import nothing_to_do, until
from tests.integration.http.conftest import OPERATOR_TOKEN, Orchestrator, Start

LARGE = {"text": "ü" * 150_000, "float": 1.0, "null": None}
SMALL = 5_000


def passing() -> Blueprint:
    """A large input becomes params, the large result of the task becomes history, and that the result."""
    bp = Blueprint("flow", api_version="v1", api_endpoint="/jobs/flow", version="1")

    @bp.handler(is_start=True)
    async def start(document: Any, actions: ActionFactory) -> None:
        actions.dispatch_task("work", {"document": document, "n": 1}, {"success": "rest"})

    @bp.handler
    async def rest(made: Any, state_history: dict[str, Any], actions: ActionFactory) -> None:
        state_history["length"] = len(made["text"])
        actions.wait_for_event("go", {"success": "again"})

    @bp.handler
    async def again(made: Any, document: Any, actions: ActionFactory) -> None:
        assert made == document == LARGE
        actions.go_to("wait")

    @bp.handler
    async def wait(actions: ActionFactory) -> None:
        actions.wait_for_event("end", {"success": "done"})

    @bp.handler(is_end=True)
    async def done(made: Any) -> Any:
        return made

    return bp


async def stored_size(node: Orchestrator, job_id: str) -> int:
    """How large the job is in the store."""
    parts = node.engine._parts
    assert parts is not None
    return len(msgspec.json.encode(await parts.node.store.load(JobId(job_id))))


async def status_of(node: Orchestrator, job_id: str, status: str) -> dict[str, Any]:
    job: dict[str, Any] = {}

    async def there() -> bool:
        job.update(await node.job(job_id))
        return job["status"] == status

    await until(there)
    return job


async def names(objects: ObjectStorage, place: Address) -> list[str]:
    return [entry.uri async for entry in objects.entries(place)]


async def to_the_wait(node: Orchestrator) -> str:
    """A job with a large input and a large result of a task, which waits."""
    job_id = await node.create({"document": LARGE})
    worker = await node.worker()
    task = await worker.take()
    assert task["params"] == {"document": LARGE, "n": 1}
    assert (await worker.report(task, {"made": LARGE}))[0] == 200
    await status_of(node, job_id, "waiting_for_event")
    return job_id


async def test_workers_handlers_and_clients_get_values_that_the_store_does_not_hold(
    keeping: Start, objects: ObjectStorage
) -> None:
    node = await keeping(passing())
    job_id = await to_the_wait(node)
    assert await stored_size(node, job_id) < SMALL
    place = parse_uri(f"s3://{BUCKET}/values/{job_id}/")
    assert await names(objects, place)
    job = await node.job(job_id)
    assert (job["initial_data"], job["state_history"]) == (
        {"document": LARGE},
        {"made": LARGE, "length": 150_000},
    )
    await node.post(f"/api/v1/jobs/{job_id}/events/go")
    await status_of(node, job_id, "waiting_for_event")
    await node.post(f"/api/v1/jobs/{job_id}/events/end")
    job = await node.ended(job_id)
    assert (job["status"], job["result"]) == ("finished", LARGE)


async def test_a_fork_has_values_of_its_own(keeping: Start) -> None:
    node = await keeping(passing())
    job_id = await to_the_wait(node)
    path = f"/api/v1/jobs/{job_id}/fork"
    status, body = await node.post(path, {"state": "rest"}, token=OPERATOR_TOKEN)
    assert status in (200, 201, 202), body
    forked = body["job_id"]
    job = await status_of(node, forked, "waiting_for_event")
    assert job["state_history"]["made"] == LARGE
    await node.post(f"/api/v1/jobs/{forked}/events/go")
    await status_of(node, forked, "waiting_for_event")


@pytest.mark.usefixtures("impatient")
async def test_values_stay_for_as_long_as_their_job_is_known(keeping: Start, objects: ObjectStorage) -> None:
    node = await keeping(passing(), FILES_RETENTION_SECONDS=0.1)
    job_id = await to_the_wait(node)
    await node.post(f"/api/v1/jobs/{job_id}/cancel")
    job = await node.ended(job_id)
    place = parse_uri(f"s3://{BUCKET}/values/{job_id}/")
    await asyncio.sleep(0.5)  # longer than files are kept, and than the node waits before it looks
    assert (await node.job(job_id))["state_history"] == job["state_history"]
    assert await names(objects, place)
    parts = node.engine._parts
    assert parts is not None
    forever = Instant(2**53)
    assert await parts.node.store.sweep(now=forever, finished_before=forever, limit=10) == 1

    async def gone() -> bool:
        return not await names(objects, place)

    await until(gone)
    await until(lambda: nothing_to_do(node))


async def test_a_job_with_small_values_has_nothing_beside_it(keeping: Start, objects: ObjectStorage) -> None:
    node = await keeping(passing())
    job_id = await node.create({"document": {"text": "small"}})
    worker = await node.worker()
    await worker.report(await worker.take(), {"made": {"text": "small"}})
    await status_of(node, job_id, "waiting_for_event")
    place = parse_uri(f"s3://{BUCKET}/values/{job_id}/")
    assert await names(objects, place) == []
    assert json.dumps((await node.job(job_id))["initial_data"]) == '{"document": {"text": "small"}}'
