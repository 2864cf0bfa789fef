"""A worker exchanges files with an S3 server: of any size, folders too, and it says what is wrong."""

import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rxon.attachments import SHA256, parse_uri
from rxon.messages import FileMetadata
from rxon.testing.gateway import MemoryGateway
from tests.integration.worker.conftest import json_of
from tests.integration.worker.files.conftest import Program, peak_of
from tests.integration.worker.files.s3_servers import S3Server

MEBIBYTE = 1 << 20


async def stored(s3: S3Server, uri: str, tmp_path: Path, content: bytes = b"content") -> FileMetadata:
    source = tmp_path / "source"
    source.write_bytes(content)
    return await s3.storage().upload(source, parse_uri(uri))


async def test_a_file_goes_through_a_worker(
    s3: S3Server, program: Program, gateway: MemoryGateway, tmp_path: Path
) -> None:
    said = await stored(s3, "s3://inputs/deep/photo.jpg", tmp_path)
    async with program(**s3.environ()):
        task = await gateway.offer("copy", {"source": said.uri}, params_metadata={"source": said})
        result = await gateway.result_of(task)
    uri = "s3://results/jobs/job-1/task-1/copy"
    data = json_of(result.data)
    assert (result.error, data["copy"]) == (None, uri)
    assert data["was"] == "photo.jpg"
    assert result.data_metadata is not None
    assert result.data_metadata["copy"].metadata == said.metadata
    found = await s3.storage().download(
        parse_uri(uri), tmp_path / "back", expected=result.data_metadata["copy"]
    )
    assert found.size == len(b"content")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_200_mebibytes_go_through_a_worker_in_less_than_150(
    moto_server: S3Server, program: Program, gateway: MemoryGateway, tmp_path: Path
) -> None:
    piece = bytes(range(256)) * (MEBIBYTE // 256)

    async def pieces() -> Any:
        for _ in range(200):
            yield piece

    said = await moto_server.storage().upload_stream(pieces(), parse_uri("s3://inputs/big"))
    async with program(**moto_server.environ()) as process:
        task = await gateway.offer("copy", {"source": said.uri}, params_metadata={"source": said})
        result = await gateway.result_of(task)
        peak = peak_of(process.pid)
    assert result.error is None
    assert result.data_metadata is not None
    assert (result.data_metadata["copy"].size, result.data_metadata["copy"].metadata) == (
        200 * MEBIBYTE,
        said.metadata,
    )
    assert peak < 150
    for uri in ("s3://inputs/big", "s3://results/jobs/"):  # moto keeps them in memory
        await moto_server.storage().delete(parse_uri(uri))


async def test_a_folder_goes_through_a_worker(
    s3: S3Server, program: Program, gateway: MemoryGateway, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    for number in range(50):
        path = folder / str(number % 3) / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    said = await s3.storage().upload(folder, parse_uri("s3://inputs/worker-folder/"))
    async with program(**s3.environ()):
        task = await gateway.offer("copy", {"source": said.uri}, params_metadata={"source": said})
        result = await gateway.result_of(task)
    assert json_of(result.data)["copy"] == "s3://results/jobs/job-1/task-1/copy/"
    assert result.data_metadata is not None
    assert result.data_metadata["copy"].metadata == said.metadata


async def test_a_handler_in_a_process_of_its_own_has_files_too(
    moto_server: S3Server, program: Program, gateway: MemoryGateway, tmp_path: Path
) -> None:
    said = await stored(moto_server, "s3://inputs/apart", tmp_path)
    async with program(**moto_server.environ()) as process:
        result = await gateway.result_of(await gateway.offer("apart", {"source": said.uri}))
        process.terminate()
        assert await process.wait() == 0
    assert result.error is None
    assert json_of(result.data) == {"copy": "s3://results/jobs/job-1/task-1/copy"}
    assert result.data_metadata is not None
    assert result.data_metadata["copy"].metadata == said.metadata
    assert list((tmp_path / "payloads").iterdir()) == []


async def test_what_a_handler_does_to_its_input_is_not_seen_by_the_next(
    moto_server: S3Server, program: Program, gateway: MemoryGateway, tmp_path: Path
) -> None:
    said = await stored(moto_server, "s3://inputs/shared", tmp_path, b"good" * 20_000)
    async with program(**moto_server.environ()):
        for _ in range(3):
            task = await gateway.offer("spoil", {"source": said.uri})
            assert json_of((await gateway.result_of(task)).data) == {"before": "good"}
    assert len(list((tmp_path / "cache").iterdir())) == 1


async def test_files_are_gone_after_the_acknowledgement(
    moto_server: S3Server, program: Program, gateway: MemoryGateway, tmp_path: Path
) -> None:
    said = await stored(moto_server, "s3://inputs/x", tmp_path)
    async with program(**moto_server.environ()) as process:
        await gateway.result_of(await gateway.offer("copy", {"source": said.uri}))
        process.terminate()
        assert await process.wait() == 0
    assert list((tmp_path / "payloads").iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "said", "code"),
    [
        (
            "s3://inputs/checked",
            FileMetadata("s3://inputs/checked", metadata={SHA256: "0" * 64}),
            "INTEGRITY_MISMATCH_ERROR",
        ),
        ("s3://inputs/checked", FileMetadata("s3://inputs/checked", 8), "INTEGRITY_MISMATCH_ERROR"),
        ("s3://inputs/missing", None, "INVALID_INPUT_ERROR"),
        ("s3://no-such-bucket/x/", None, "INVALID_INPUT_ERROR"),
        ("s3://inputs/../results/x", None, "INVALID_INPUT_ERROR"),
    ],
)
async def test_a_wrong_input_fails_the_task(
    moto_server: S3Server,
    program: Program,
    gateway: MemoryGateway,
    tmp_path: Path,
    uri: str,
    said: FileMetadata | None,
    code: str,
) -> None:
    await stored(moto_server, "s3://inputs/checked", tmp_path)
    async with program(**moto_server.environ()):
        task = await gateway.offer(
            "copy", {"source": uri}, params_metadata=None if said is None else {"source": said}
        )
        result = await gateway.result_of(task)
    assert result.error is not None
    assert (result.status, result.error.code) == ("failure", code)
    assert not (tmp_path / "payloads").exists() or list((tmp_path / "payloads").rglob("*/*")) == []


@pytest.mark.parametrize("kind", ["is gone", "hangs"])
async def test_a_dead_endpoint_is_a_transient_error_within_10_seconds(
    program: Program, gateway: MemoryGateway, kind: str
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if kind == "hangs":
            listener.listen(10)
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with program(S3_ENDPOINT_URL=endpoint, S3_ACCESS_KEY="k", S3_SECRET_KEY="s"):
            await gateway.seen(lambda: bool(gateway.polls))
            began = time.monotonic()
            result = await gateway.result_of(await gateway.offer("copy", {"source": "s3://inputs/x"}))
            took = time.monotonic() - began
    assert result.error is not None
    assert (result.status, result.error.code) == ("failure", "TRANSIENT_ERROR")
    assert took < 10
