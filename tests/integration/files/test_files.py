"""Files of jobs from end to end: clients and handlers, a folder and an S3, with the same code."""

import asyncio
import resource
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from avtomatika import ActionFactory, Blueprint
from rxon.attachments import parse_uri
from rxon.storage import ObjectStorage
from tests.integration.files.conftest import BUCKET
from tests.integration.http.blueprints import flow
from tests.integration.http.conftest import CLIENT_TOKEN, OTHER_TOKEN, Orchestrator, Start
from tests.unit.blueprints.test_file_names import traversals

MIB = 1_048_576
HEADERS = {"X-Client-Token": CLIENT_TOKEN}


def datasets() -> Blueprint:
    """The blueprint of the page of the project, after a wait for the upload."""
    bp = Blueprint("datasets", api_version="v1", api_endpoint="/jobs/flow", version="1")

    @bp.handler(is_start=True)
    async def begin(actions: ActionFactory) -> None:
        actions.wait_for_event("uploaded", {"success": "process_data"})

    @bp.handler
    async def process_data(task_files, actions):  # type: ignore[no-untyped-def]
        # Streaming download of a large file
        local_path = await task_files.download("large_dataset.csv")
        assert Path(local_path).read_bytes().startswith(b"row")

        # Upload results
        await task_files.write_json("results.json", {"status": "done"})

        actions.go_to("finished")

    return bp


def threads() -> Blueprint:
    bp = Blueprint("threads", api_version="v1", api_endpoint="/jobs/flow", version="1")

    @bp.handler(is_start=True)
    def begin(task_files: Any, actions: ActionFactory) -> None:
        task_files.path("out/a.txt").write_text("a")
        task_files.path("out/deep/b.txt").write_text("b")
        actions.update_context({"uri": task_files.upload("out")})
        actions.go_to("done")

    @bp.handler(is_end=True)
    async def done(context: Any, uri: str) -> Any:
        copy = await context.task_files.download(uri, "copy")
        return sorted(path.relative_to(copy).as_posix() for path in copy.rglob("*.txt"))

    return bp


async def put(node: Orchestrator, job_id: str, name: str, data: Any, **options: Any) -> tuple[int, Any]:
    path = f"/api/v1/jobs/{job_id}/files/content/{quote(name)}"
    data = BytesIO(data) if isinstance(data, bytes) and len(data) > MIB else data
    async with node.session.put(node.url + path, data=data, headers=HEADERS, **options) as answer:
        return answer.status, await answer.json()


async def download(node: Orchestrator, job_id: str, name: str) -> tuple[int, bytes]:
    url = f"{node.url}/api/v1/jobs/{job_id}/files/download/{quote(name)}"
    async with node.session.get(url, headers=HEADERS, allow_redirects=False) as answer:
        if answer.status != 302:
            return answer.status, await answer.read()
        location = answer.headers["Location"]
    async with aiohttp.ClientSession() as anybody, anybody.get(location) as content:
        return content.status, await content.read()


async def test_a_client_uploads_by_a_url_a_handler_works_and_the_client_downloads(keeping: Start) -> None:
    node = await keeping(datasets())
    job_id = await node.create()
    query = {"filename": "large_dataset.csv", "expires_in": 600}
    status, made = await node.get(f"/api/v1/jobs/{job_id}/files/upload", **query)
    assert (status, made["expires_in"], made["method"]) == (200, 600, "PUT")
    content = b"row\n" * 500_000
    async with aiohttp.ClientSession() as anybody, anybody.put(made["url"], data=BytesIO(content)) as answer:
        assert answer.status == 200, await answer.text()
    await node.post(f"/api/v1/jobs/{job_id}/events/uploaded")
    assert (await node.ended(job_id))["status"] == "finished"
    assert await download(node, job_id, "results.json") == (200, b'{"status":"done"}')
    assert await download(node, job_id, "large_dataset.csv") == (200, content)


async def test_a_file_is_uploaded_through_the_node_and_workers_find_it(
    keeping: Start, objects: ObjectStorage, tmp_path: Path
) -> None:
    node = await keeping(flow())
    job_id = await node.create()
    for name in ("in.png", "deep/er/in.png", "ü ß#1 %41.bin"):
        uri = f"s3://{BUCKET}/jobs/{job_id}/{name}"
        if "#1" in name and "files" in [path.name for path in tmp_path.iterdir()]:
            name, uri = name.replace("#1", "#"), uri.replace("#1", "#")
        assert await put(node, job_id, name, name.encode()) == (200, {"status": "uploaded", "s3_uri": uri})
        await objects.download(parse_uri(uri), tmp_path / "copy")
        assert (tmp_path / "copy").read_text() == name
        assert await download(node, job_id, name) == (200, name.encode())
    assert await put(node, job_id, "in.png", b"") == (
        200,
        {"status": "uploaded", "s3_uri": f"s3://{BUCKET}/jobs/{job_id}/in.png"},
    )
    assert await download(node, job_id, "in.png") == (200, b"")


async def test_what_a_worker_left_below_its_task_is_downloaded(
    keeping: Start, objects: ObjectStorage, tmp_path: Path
) -> None:
    node = await keeping(flow())
    job_id = await node.create()
    (tmp_path / "out").write_bytes(b"made by a worker")
    await objects.upload(tmp_path / "out", parse_uri(f"s3://{BUCKET}/jobs/{job_id}/{job_id}-2-0/out.png"))
    assert await download(node, job_id, f"{job_id}-2-0/out.png") == (200, b"made by a worker")


async def test_handlers_in_threads_and_those_with_a_context_have_files_too(keeping: Start) -> None:
    node = await keeping(threads())
    job = await node.ended(await node.create())
    assert (job["status"], job["result"]) == ("finished", ["a.txt", "deep/b.txt"])


async def test_files_of_others_are_as_unknown_as_files_of_nobody(keeping: Start) -> None:
    node = await keeping(flow())
    job_id = await node.create()
    await put(node, job_id, "a", b"secret")
    for method, path in (
        ("GET", "files/upload?filename=a"),
        ("PUT", "files/content/a"),
        ("GET", "files/download/a"),
    ):
        answers = []
        for job, token in ((job_id, OTHER_TOKEN), ("0190-none", OTHER_TOKEN), ("0190-none", CLIENT_TOKEN)):
            status, body = await node.call(
                method,
                f"/api/v1/jobs/{job}/{path}",
                b"x" if method == "PUT" else None,
                headers={"X-Client-Token": token},
                allow_redirects=False,
            )
            body["error"].pop("request_id")
            answers.append((status, body))
        assert answers == [(404, {"error": {"code": "not_found", "message": "Job not found"}})] * 3
    assert await download(node, job_id, "a") == (200, b"secret")
    assert (await download(node, job_id, "b"))[0] == 404


async def test_names_that_lead_elsewhere_are_refused_with_the_field(keeping: Start, tmp_path: Path) -> None:
    node = await keeping(flow())
    job_id = await node.create()
    refused = 0
    for name in traversals(150):
        try:
            quoted = quote(name, safe="")
        except UnicodeEncodeError:
            continue
        for method, path in (
            ("PUT", f"content/{quoted}"),
            ("GET", f"download/{quoted}"),
            ("GET", f"upload?filename={quoted}"),
        ):
            if name in ("", ".", "..") and "filename" not in path:
                continue  # the path is another one then
            status, body = await node.call(
                method,
                f"/api/v1/jobs/{job_id}/files/{path}",
                b"x" if method == "PUT" else None,
                headers=HEADERS,
                allow_redirects=False,
            )
            assert (status, body["error"]["field"]) == (400, "filename"), name
            refused += 1
    assert refused >= 440
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == b"x"]


@pytest.mark.parametrize("expires_in", ["0", "604801", "x", "-1", "1.5"])
async def test_a_url_holds_for_a_week_at_most(keeping: Start, expires_in: str) -> None:
    node = await keeping(flow())
    path = f"/api/v1/jobs/{await node.create()}/files/upload"
    status, body = await node.get(path, filename="a", expires_in=expires_in)
    assert (status, body["error"]["field"]) == (400, "expires_in")
    status, body = await node.get(path)
    assert (status, body["error"]["field"]) == (400, "filename")


async def test_a_file_that_is_too_large_is_refused_and_not_stored(keeping: Start) -> None:
    node = await keeping(flow(), MAX_UPLOAD_BYTES=2 * MIB)
    job_id = await node.create()

    async def unsaid() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(MIB)

    for data in (bytes(2 * MIB + 1), unsaid()):
        status, body = await put(node, job_id, "a", data)
        assert (status, body["error"]["code"]) == (413, "payload_too_large")
        assert (await download(node, job_id, "a"))[0] == 404
    assert (await put(node, job_id, "a", bytes(2 * MIB)))[0] == 200


async def test_an_upload_that_breaks_off_leaves_nothing(keeping: Start, objects: ObjectStorage) -> None:
    node = await keeping(flow())
    job_id = await node.create()
    assert node.engine.address is not None
    _, writer = await asyncio.open_connection("127.0.0.1", node.engine.address[1])
    head = (
        f"PUT /api/v1/jobs/{job_id}/files/content/a HTTP/1.1\r\nHost: x\r\nX-Client-Token: {CLIENT_TOKEN}\r\n"
    )
    writer.write(f"{head}Content-Length: {20 * MIB}\r\n\r\n".encode() + bytes(12 * MIB))
    await writer.drain()
    writer.close()
    assert (await put(node, job_id, "b", b"b"))[0] == 200
    found = [entry.uri async for entry in objects.entries(parse_uri(f"s3://{BUCKET}/jobs/{job_id}/"))]
    assert found == [f"s3://{BUCKET}/jobs/{job_id}/b"]


async def test_large_files_pass_through_a_small_memory(start: Start, tmp_path: Path) -> None:
    node = await start(flow(), TASK_FILES_DIR=tmp_path / "copies")
    job_id = await node.create()
    await put(node, job_id, "warm", bytes(20 * MIB))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    async def content() -> AsyncIterator[bytes]:
        for _ in range(400):
            yield bytes(MIB)

    assert (await put(node, job_id, "large", content()))[0] == 200
    received = 0
    url = f"{node.url}/api/v1/jobs/{job_id}/files/download/large"
    async with node.session.get(url, headers=HEADERS) as answer:
        async for chunk in answer.content.iter_chunked(MIB):
            received += len(chunk)
    assert received == 400 * MIB
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 150


async def test_a_link_that_was_changed_opens_nothing(start: Start, tmp_path: Path) -> None:
    node = await start(flow(), TASK_FILES_DIR=tmp_path / "copies")
    job_id = await node.create()
    await put(node, job_id, "a", b"a")
    await put(node, job_id, "b", b"b")
    status, made = await node.get(f"/api/v1/jobs/{job_id}/files/upload", filename="a")
    link = made["url"].removeprefix(node.url)
    for method, path in (
        ("GET", link),
        ("PUT", link.replace("/a?", "/b?")),
        ("PUT", link.replace("expires=", "expires=9")),
        ("PUT", link[:-1]),
        ("PUT", link.partition("?")[0]),
    ):
        status, body = await node.call(method, path, b"changed" if method == "PUT" else None)
        assert (status, body["error"]["code"]) == (403, "forbidden")
    assert await download(node, job_id, "b") == (200, b"b")


async def test_content_is_for_storing_and_never_for_showing(start: Start, tmp_path: Path) -> None:
    node = await start(flow(), TASK_FILES_DIR=tmp_path / "copies")
    job_id = await node.create()
    await put(node, job_id, "x/page.html", b"<script>")
    url = f"{node.url}/api/v1/jobs/{job_id}/files/download/x/page.html"
    async with node.session.head(url, headers=HEADERS, allow_redirects=True) as answer:
        assert (answer.status, answer.content_length) == (200, 8)
        assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''page.html"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.content_type == "application/octet-stream"


async def test_without_any_storage_on_disk_files_are_in_memory(
    start: Start, storage: str, tmp_path: Path
) -> None:
    node = await start(flow(), STORAGE_URL="memory://", AVTOMATIKA_DATA_DIR=tmp_path / "data")
    job_id = await node.create()
    assert (await put(node, job_id, "a", b"a"))[0] == 200
    assert await download(node, job_id, "a") == (200, b"a")
    assert not (tmp_path / "data" / "files").exists()


async def test_a_dead_storage_is_told_soon_and_does_not_stop_the_node(start: Start, tmp_path: Path) -> None:
    dead = {"S3_ENDPOINT_URL": "http://127.0.0.1:9", "S3_ACCESS_KEY": "a", "S3_SECRET_KEY": "s"}
    node = await start(flow(), TASK_FILES_DIR=tmp_path, **dead)
    job_id = await node.create()
    began = asyncio.get_running_loop().time()
    status, body = await put(node, job_id, "a", b"a")
    assert (status, body["error"]["code"]) == (503, "unavailable")
    assert asyncio.get_running_loop().time() - began < 10
    assert (await node.job(job_id))["status"] == "waiting_for_worker"
