"""Files go some time after the end of their job, wherever they are, and whoever left them there."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from avtomatika import ActionFactory, Blueprint
from avtomatika.commands.outbox import FILES
from rxon.attachments import parse_uri
from rxon.storage import ObjectStorage
from tests.integration.files.conftest import BUCKET
from tests.integration.http.conftest import OPERATOR_TOKEN, Orchestrator, Start

pytestmark = pytest.mark.usefixtures("impatient")


def writing() -> Blueprint:
    """Writes a file; then fails, finishes or has a task done, as it is told."""
    bp = Blueprint("flow", api_version="v1", api_endpoint="/jobs/flow", version="1")

    @bp.handler(is_start=True)
    async def begin(task_files: Any, then: str, actions: ActionFactory) -> None:
        await task_files.write_json("deep/r.json", "kept")
        actions.go_to(then)

    @bp.handler
    async def work(actions: ActionFactory, limit: float = 60.0) -> None:
        actions.dispatch_task("work", {}, {"success": "done"}, timeout_seconds=limit)

    @bp.handler
    async def wrong(task_files: Any, actions: ActionFactory) -> None:
        started = task_files.path("started")
        actions.go_to("work" if started.exists() else "failed")
        started.touch()

    @bp.handler(is_end=True)
    async def done() -> None:
        return None

    return bp


class Shelf:
    """The files of jobs, stored and on the machine of the node."""

    def __init__(self, objects: ObjectStorage, copies: Path) -> None:
        self.objects, self.copies = objects, copies

    async def stored(self, job_id: str) -> list[str]:
        prefix = f"s3://{BUCKET}/jobs/{job_id}/"
        return sorted([e.uri.removeprefix(prefix) async for e in self.objects.entries(parse_uri(prefix))])

    async def empty(self, job_id: str) -> bool:
        return not await self.stored(job_id) and not (self.copies / job_id).exists()

    async def leave(self, job_id: str, name: str) -> None:
        """A worker has stored a file below its task."""
        self.copies.mkdir(exist_ok=True, mode=0o700)
        (self.copies / "made").write_bytes(b"made by a worker")
        uri = f"s3://{BUCKET}/jobs/{job_id}/{job_id}-2-0/{name}"
        await self.objects.upload(self.copies / "made", parse_uri(uri))


@pytest.fixture
def shelf(objects: ObjectStorage, tmp_path: Path) -> Shelf:
    return Shelf(objects, tmp_path / "copies")


async def until(what: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await what():
            await asyncio.sleep(0.02)


async def nothing_to_do(node: Orchestrator) -> bool:
    parts = node.engine._parts
    assert parts is not None
    return await parts.node.store.next_due(FILES) is None


async def test_all_files_of_a_job_go_after_its_end_and_those_of_others_stay(
    keeping: Start, shelf: Shelf
) -> None:
    node = await keeping(writing(), FILES_RETENTION_SECONDS=0.3)
    over, at_work = await node.create({"then": "finished"}), await node.create({"then": "work"})
    worker = await node.worker()
    await shelf.leave(over, "out.png")
    await node.ended(over)
    await until(lambda: shelf.empty(over))
    assert await shelf.stored(at_work) == ["deep/r.json"]
    assert (shelf.copies / at_work / "deep" / "r.json").exists()
    await worker.report(await worker.take(), {})
    await node.ended(at_work)
    await until(lambda: shelf.empty(at_work))
    await until(lambda: nothing_to_do(node))


async def test_an_attempt_that_ran_out_of_time_and_is_tried_again_keeps_the_files(
    keeping: Start, shelf: Shelf
) -> None:
    node = await keeping(writing(), FILES_RETENTION_SECONDS=0)
    job_id = await node.create({"then": "work", "limit": 0.3})
    worker = await node.worker()
    first = await worker.take()
    again = await worker.take()
    assert first["job_id"] == again["job_id"] == job_id
    assert await shelf.stored(job_id) == ["deep/r.json"]
    await worker.report(again, {})
    await node.ended(job_id)
    await until(lambda: shelf.empty(job_id))


async def test_files_are_there_for_as_long_as_they_are_kept(keeping: Start, shelf: Shelf) -> None:
    node = await keeping(writing())
    job_id = await node.create({"then": "finished"})
    await node.ended(job_id)
    await asyncio.sleep(0.3)
    assert await shelf.stored(job_id) == ["deep/r.json"]
    assert not await nothing_to_do(node)


async def test_a_job_that_is_taken_up_again_keeps_its_files(keeping: Start, shelf: Shelf) -> None:
    node = await keeping(writing(), FILES_RETENTION_SECONDS=0.4)
    job_id = await node.create({"then": "wrong"})
    assert (await node.ended(job_id))["status"] == "failed"
    path = f"/api/v1/jobs/{job_id}/rewind"
    status, answer = await node.post(path, {"state": "begin"}, token=OPERATOR_TOKEN)
    assert status == 202, answer
    worker = await node.worker()
    task = await worker.take()
    await asyncio.sleep(0.8)  # longer than files are kept, and than the node waits before it looks
    assert await shelf.stored(job_id) == ["deep/r.json"]
    await worker.report(task, {})
    assert (await node.ended(job_id))["status"] == "finished"
    await until(lambda: shelf.empty(job_id))


async def test_files_that_are_kept_for_ever_stay(keeping: Start, shelf: Shelf) -> None:
    node = await keeping(writing(), FILES_RETENTION_SECONDS=0, S3_AUTO_CLEANUP=False)
    job_id = await node.create({"then": "finished"})
    await node.ended(job_id)
    assert await nothing_to_do(node)
    assert await shelf.stored(job_id) == ["deep/r.json"]
