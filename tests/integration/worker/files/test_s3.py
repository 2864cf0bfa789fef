"""Files and folders go to S3 servers and come back, and whatever is wrong with the servers is said soon."""

import asyncio
import hashlib
import random
import socket
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from rxon.attachments import SHA256, Address, parse_uri
from rxon.messages import FileMetadata
from rxon.storage import (
    IntegrityError,
    NotThere,
    ObjectStorage,
    StorageSettings,
    StorageUnavailable,
    UnsafeKey,
)
from tests.integration.worker.files.s3_servers import S3Server

BIG = random.Random(7).randbytes(20_000_001)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> str:
    """A prefix that no other test uses."""
    return f"s3://inputs/{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]}"


@pytest.mark.parametrize("content", [b"", b"abc", BIG], ids=["empty", "small", "in parts"])
async def test_a_file_comes_back_as_it_went(
    storage: ObjectStorage, tmp_path: Path, place: str, content: bytes
) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(content)
    address = parse_uri(f"{place}/x y/ü#?&+~.bin")
    sent = await storage.upload(source, address)
    assert sent.metadata == {SHA256: hashlib.sha256(content).hexdigest()}
    assert await storage.download(address, target, expected=sent) == sent
    assert target.read_bytes() == content
    assert await storage.metadata(address) == FileMetadata(address.uri, len(content), sent.etag)
    await storage.delete(address)
    assert await storage.metadata(address) is None


async def test_a_folder_of_1000_files_comes_back(storage: ObjectStorage, tmp_path: Path, place: str) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    for number in range(1000):
        path = source / str(number % 10) / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    folder = parse_uri(f"{place}/folder/")
    sent = await storage.upload(source, folder)
    found = await storage.download(folder, target, expected=sent)
    assert found.metadata is not None
    assert found.metadata["files"] == 1000
    assert all((target / str(n % 10) / f"{n}.txt").read_text() == str(n) for n in range(1000))
    await storage.delete(folder)
    assert await storage.metadata(folder) is None


async def test_a_wrong_checksum_is_noticed(storage: ObjectStorage, tmp_path: Path, place: str) -> None:
    source = tmp_path / "a"
    source.write_bytes(BIG)
    address = parse_uri(f"{place}/x")
    sent = await storage.upload(source, address)
    source.write_bytes(BIG[:-1] + b"?")
    await storage.upload(source, address)
    for expected in (FileMetadata("", metadata=sent.metadata), FileMetadata("", etag=sent.etag)):
        with pytest.raises(IntegrityError):
            await storage.download(address, tmp_path / "b", expected=expected)
    assert not (tmp_path / "b").exists()


async def test_what_is_not_there_is_said_so(storage: ObjectStorage, tmp_path: Path, place: str) -> None:
    (tmp_path / "a").touch()
    for uri in (f"{place}/x", f"{place}/x/", "s3://no-such-bucket/x", "s3://no-such-bucket/x/"):
        with pytest.raises(NotThere):
            await storage.download(parse_uri(uri), tmp_path / "b")
    with pytest.raises(NotThere):
        await storage.upload(tmp_path / "a", parse_uri("s3://no-such-bucket/x"))


async def test_signed_urls_are_for_anybody(storage: ObjectStorage, place: str) -> None:
    address = parse_uri(f"{place}/x y")
    put, get = [await storage.signed_url(method, address, 60) for method in ("PUT", "GET")]
    assert put is not None
    assert get is not None

    def exchange() -> bytes:
        urllib.request.urlopen(request_to_put(put, b"signed")).close()
        with urllib.request.urlopen(get) as response:
            content: bytes = response.read()
            return content

    assert await asyncio.to_thread(exchange) == b"signed"


async def test_folders_that_other_tools_made_are_folders(moto_server: S3Server, tmp_path: Path) -> None:
    put(moto_server, "made/", b"")
    put(moto_server, "made/sub/", b"")
    put(moto_server, "made/sub/file", b"file")
    put(moto_server, "made/empty", b"")
    await moto_server.storage().download(parse_uri("s3://inputs/made/"), tmp_path / "b")
    assert (tmp_path / "b/sub/file").read_bytes() == b"file"
    assert (tmp_path / "b/empty").read_bytes() == b""


@pytest.mark.parametrize("name", ["../../out", "a//b", "./a", "a\\b", "/a", "a/../../../../out"])
async def test_a_folder_with_a_key_that_leads_elsewhere_is_refused(
    moto_server: S3Server, tmp_path: Path, name: str
) -> None:
    folder = f"evil-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    put(moto_server, f"{folder}/fine", b"fine")
    put(moto_server, f"{folder}/{name}", b"evil")
    with pytest.raises(UnsafeKey):
        await moto_server.storage().download(parse_uri(f"s3://inputs/{folder}/"), tmp_path / "copies/b")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def put(server: S3Server, key: str, content: bytes) -> None:
    """The key is stored as it is, as urllib and moto leave it."""
    url = f"{server.endpoint}/inputs/{key.replace(chr(92), '%5C')}"
    urllib.request.urlopen(request_to_put(url, content)).close()


def request_to_put(url: str, content: bytes) -> urllib.request.Request:
    # Without a type urllib says that it is a form, and moto believes it.
    return urllib.request.Request(url, content, {"Content-Type": "application/octet-stream"}, method="PUT")


async def nothing() -> AsyncIterator[bytes]:
    yield b""


@contextmanager
def dead(kind: str) -> Iterator[str]:
    """An endpoint of a server that is gone, accepts connections and never answers, or accepts no more."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        if kind == "hangs":
            listener.listen(100)
        if kind == "is full":
            listener.listen(0)
            for _ in range(3):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(listener.getsockname())
        yield endpoint


@pytest.mark.parametrize("kind", ["is gone", "hangs", "is full"])
async def test_a_dead_endpoint_is_known_within_10_seconds(tmp_path: Path, kind: str) -> None:
    (tmp_path / "small").write_bytes(b"x")
    (tmp_path / "big").write_bytes(BIG)
    file, folder = Address("inputs", "x", False), Address("inputs", "x/", True)
    with dead(kind) as endpoint:
        storage = ObjectStorage.s3(StorageSettings(endpoint=endpoint, access_key="k", secret_key="s"))

        async def seconds(doing: "asyncio.Future[object]") -> float:
            began = time.monotonic()
            with pytest.raises(StorageUnavailable):
                await doing
            return time.monotonic() - began

        took = await asyncio.gather(
            seconds(storage.download(file, tmp_path / "b")),
            seconds(storage.download(folder, tmp_path / "b")),
            seconds(storage.upload(tmp_path / "small", file)),
            seconds(storage.upload(tmp_path / "big", file)),
            seconds(storage.upload(tmp_path, folder)),
            seconds(storage.upload_stream(nothing(), file)),
            seconds(storage.metadata(file)),
            seconds(storage.delete(file)),
            seconds(storage.delete(folder)),
        )
    assert max(took) < 10


async def test_a_download_survives_broken_connections(moto_server: S3Server, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(BIG)
    address = parse_uri("s3://inputs/survivor")
    sent = await moto_server.storage().upload(tmp_path / "a", address)
    port = int(moto_server.endpoint.rpartition(":")[2])
    broken = 0
    handling: set[asyncio.Task[None] | None] = set()

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Passes on 5 MB of an answer, then breaks the connection."""
        nonlocal broken
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)

        async def requests() -> None:
            while data := await reader.read(65536):
                up_writer.write(data)

        forward = asyncio.create_task(requests())
        handling.update({asyncio.current_task(), forward})
        left = 5_000_000
        try:
            while left > 0 and (data := await up_reader.read(min(left, 65536))):
                writer.write(data)
                await writer.drain()
                left -= len(data)
            broken += left <= 0
        finally:
            forward.cancel()
            writer.transport.abort()
            up_writer.transport.abort()

    proxy = await asyncio.start_server(cut, "127.0.0.1", 0)
    async with proxy:
        endpoint = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        storage = ObjectStorage.s3(StorageSettings(endpoint=endpoint, access_key="k", secret_key="s"))
        await storage.download(address, tmp_path / "b", expected=sent)
    running = [task for task in handling if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert (tmp_path / "b").read_bytes() == BIG
    assert broken >= 3
