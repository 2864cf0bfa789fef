"""Files and folders come out of a storage as they went in, and never anywhere else."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rxon.attachments import SHA256, Address, parse_uri
from rxon.messages import FileMetadata
from rxon.storage import (
    IntegrityError,
    NotThere,
    ObjectStorage,
    StorageRefused,
    StorageSettings,
    StorageUnavailable,
    UnsafeKey,
)
from rxon.storage.bucket import Entry, Reading
from rxon.storage.contents import described
from rxon.storage.keys import path_below, safe_key

pytest.importorskip("obstore")
BIG = random.Random(5).randbytes(20_000_001)  # several parts


def at(uri: str) -> Address:
    return parse_uri(uri)


@pytest.fixture(params=["memory", "local"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStorage:
    return ObjectStorage.memory() if request.param == "memory" else ObjectStorage.local(tmp_path / "stored")


def test_settings_do_not_show_the_secret() -> None:
    assert "hidden" not in repr(StorageSettings(access_key="k", secret_key="hidden"))


@pytest.mark.parametrize("content", [b"", b"abc", BIG], ids=["empty", "small", "in parts"])
async def test_a_file_comes_back_as_it_went(storage: ObjectStorage, tmp_path: Path, content: bytes) -> None:
    source, target = tmp_path / "a", tmp_path / "deep" / "b"
    source.write_bytes(content)
    told: list[tuple[int, int | None]] = []
    sent = await storage.upload(source, at("s3://bucket/x y/ü%.bin"), progress=lambda *now: told.append(now))
    assert (sent.size, sent.metadata) == (len(content), {SHA256: hashlib.sha256(content).hexdigest()})
    assert told[-1:] == ([(len(content), len(content))] if content else [])
    found = await storage.download(at(sent.uri), target, expected=sent)
    assert found == sent
    assert target.read_bytes() == content
    assert [path.name for path in target.parent.iterdir()] == ["b"]
    assert await storage.metadata(at(sent.uri)) == FileMetadata(sent.uri, sent.size, sent.etag)
    assert b"".join([chunk async for chunk in storage.stream(at(sent.uri))]) == content


async def test_a_stream_is_stored_when_it_is_complete(storage: ObjectStorage) -> None:
    async def chunks(broken: bool) -> AsyncIterator[bytes]:
        for begin in range(0, len(BIG), 3_000_000):
            yield BIG[begin : begin + 3_000_000]
        if broken:
            raise ConnectionResetError("the client is gone")

    address = at("s3://bucket/stream")
    with pytest.raises(ConnectionResetError):
        await storage.upload_stream(chunks(broken=True), address)
    assert await storage.metadata(address) is None
    sent = await storage.upload_stream(chunks(broken=False), address)
    assert sent.metadata == {SHA256: hashlib.sha256(BIG).hexdigest()}
    assert b"".join([chunk async for chunk in storage.stream(address)]) == BIG


async def test_a_folder_comes_back_with_its_subfolders(storage: ObjectStorage, tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    names = [f"{n % 7}/{n % 3}/file {n}" for n in range(200)]
    for name in names:
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    target.mkdir()
    (target / "old").touch()
    sent = await storage.upload(source, at("s3://bucket/folder/"))
    found = await storage.download(at("s3://bucket/folder/"), target, expected=sent)
    assert found == sent
    assert sent.size == sum(map(len, names))
    assert sorted(p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()) == sorted(names)
    assert all((target / name).read_bytes() == name.encode() for name in names)
    assert await storage.metadata(at("s3://bucket/folder/")) == FileMetadata(
        "s3://bucket/folder/", sent.size, metadata={"files": 200}
    )
    await storage.upload(source / "0/0", at("s3://bucket/folder2/"))
    await storage.delete(at("s3://bucket/folder/"))
    await storage.delete(at("s3://bucket/folder/"))
    assert await storage.metadata(at("s3://bucket/folder/")) is None
    assert await storage.metadata(at("s3://bucket/folder2/")) is not None
    with pytest.raises(NotThere):
        await storage.download(at("s3://bucket/folder/"), tmp_path / "c")


def test_the_digest_of_a_folder_is_that_of_what_sha256sum_prints() -> None:
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("b", "a")}
    listing = f"{digests['a']}  a\n{digests['b']}  b\n"
    found = described("s3://b/f/", [(name, 1, digest) for name, digest in digests.items()])
    assert found.metadata == {SHA256: hashlib.sha256(listing.encode()).hexdigest(), "files": 2}


@pytest.mark.parametrize(
    "said",
    [
        FileMetadata("", 4),
        FileMetadata("", 0, "other"),
        FileMetadata("", 3, metadata={SHA256: hashlib.sha256(b"abd").hexdigest()}),
    ],
    ids=["size", "etag", "sha256"],
)
async def test_what_is_not_as_it_was_said_is_refused_and_nothing_is_replaced(
    storage: ObjectStorage, tmp_path: Path, said: FileMetadata
) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"abc")
    target.write_bytes(b"before")
    await storage.upload(source, at("s3://bucket/x"))
    with pytest.raises(IntegrityError):
        await storage.download(at("s3://bucket/x"), target, expected=said)
    assert target.read_bytes() == b"before"
    assert {path.name for path in tmp_path.iterdir()} <= {"a", "b", "stored"}


async def test_what_is_not_there_is_said_so(storage: ObjectStorage, tmp_path: Path) -> None:
    with pytest.raises(NotThere):
        await storage.download(at("s3://bucket/x"), tmp_path / "x")
    with pytest.raises(NotThere):
        _ = [chunk async for chunk in storage.stream(at("s3://bucket/x"))]
    assert await storage.metadata(at("s3://bucket/x")) is None
    await storage.delete(at("s3://bucket/x"))
    assert await storage.signed_url("GET", at("s3://bucket/x"), 60) is None
    assert not (tmp_path / "x").exists()


async def test_a_whole_bucket_is_not_deleted(storage: ObjectStorage) -> None:
    with pytest.raises(UnsafeKey):
        await storage.delete(at("s3://bucket/"))


async def test_links_out_of_a_folder_are_not_sent(storage: ObjectStorage, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "real").write_text("here")
    (folder / "inner").symlink_to("real")
    await storage.upload(folder, at("s3://bucket/fine/"))
    assert [entry.size async for entry in storage.entries(at("s3://bucket/fine/"))] == [4, 4]
    (folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(UnsafeKey):
        await storage.upload(folder, at("s3://bucket/folder/"))
    assert await storage.metadata(at("s3://bucket/folder/")) is None


def names_that_lead_elsewhere(number: int) -> list[str]:
    chance = random.Random(1)
    bad = ["..", ".", "", "\\", "..\\x", "\0", "a\0b", "\n"]
    plain = ["a", "b", "x.txt"]
    found: set[str] = {"/etc/passwd", "..", "../", "a/../../b", "C:\\x"}
    while len(found) < number:
        steps = [chance.choice(plain + bad) for _ in range(chance.randint(1, 6))]
        if not set(bad).isdisjoint(steps):
            found.add("/".join(steps))
    return sorted(found)


async def test_no_name_leads_out_of_its_folder(storage: ObjectStorage, tmp_path: Path) -> None:
    names = names_that_lead_elsewhere(1000)
    source = tmp_path / "file"
    source.touch()
    before = sorted(tmp_path.rglob("*"))
    for name in names:
        address = Address("bucket", f"p/{name}x/../y" if name.endswith("/") or not name else name, False)
        for refused in (
            storage.upload(source, address),
            storage.download(address, tmp_path / "copy"),
            storage.metadata(address),
            storage.delete(address),
            storage.signed_url("GET", address, 60),
        ):
            with pytest.raises(UnsafeKey):
                await refused
        with pytest.raises(UnsafeKey):
            path_below(tmp_path, address.key)
    assert sorted(p for p in tmp_path.rglob("*") if "stored" not in p.parts) == before


@pytest.mark.parametrize("bucket", ["", ".", "..", "a/b", "a\\b", "-x", "a b", "x\0", "é", "b" * 256])
async def test_the_name_of_a_bucket_is_one_step(storage: ObjectStorage, bucket: str) -> None:
    with pytest.raises(UnsafeKey):
        await storage.metadata(Address(bucket, "x", False))


@pytest.mark.parametrize("key", ["a", "a/b", "..a", "a..", "...", "a b/ü", "%2e%2e", "x" * 1024, " "])
def test_plain_names_are_safe(key: str) -> None:
    assert safe_key(key) == key


@pytest.mark.parametrize("key", ["x" * 1025, "ü" * 513, "\ud800"])
def test_what_no_storage_takes_is_refused(key: str) -> None:
    with pytest.raises(UnsafeKey):
        safe_key(key)


class Listing:
    """A bucket in which somebody else has put names of his own."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    async def head(self, key: str) -> Entry | None:
        return Entry(key, 1, None)

    async def get(self, key: str, offset: int = 0, etag: str | None = None) -> Reading:
        return Reading(Entry(key, 1, None), self._content())

    async def entries(self, prefix: str) -> AsyncIterator[Entry]:
        for name in self.names:
            yield Entry(prefix + name, 1, None)

    async def _content(self) -> AsyncIterator[bytes]:
        yield b"x"


async def test_no_key_in_a_folder_leads_out_of_the_copy(tmp_path: Path) -> None:
    target = tmp_path / "copies" / "copy"
    for name in names_that_lead_elsewhere(1000):
        storage = ObjectStorage(lambda bucket, name=name: Listing(["fine", name]))  # type: ignore[arg-type, misc]
        with pytest.raises(UnsafeKey):
            await storage.download(at("s3://bucket/folder/"), target)
        assert [path for path in tmp_path.rglob("*") if path != target.parent] == []


class Breaking:
    """A bucket whose connections break after some bytes."""

    def __init__(self, content: bytes, after: int, hangs_at: int = -1) -> None:
        self.content, self.after, self.hangs_at = content, after, hangs_at
        self.etags: list[str | None] = []

    async def get(self, key: str, offset: int = 0, etag: str | None = None) -> Reading:
        self.etags.append(etag)
        return Reading(Entry(key, len(self.content), "e"), self._from(offset))

    async def _from(self, offset: int) -> AsyncIterator[bytes]:
        end = offset + self.after
        if offset != self.hangs_at:
            yield self.content[offset:end]
        if end < len(self.content) or offset == self.hangs_at:
            raise StorageUnavailable("The connection broke.")


async def test_a_download_goes_on_where_the_connection_broke(tmp_path: Path) -> None:
    bucket = Breaking(b"0123456789", after=3)
    storage = ObjectStorage(lambda name: bucket)  # type: ignore[arg-type, return-value]
    await storage.download(at("s3://bucket/x"), tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"0123456789"
    assert bucket.etags == [None, "e", "e", "e"]


async def test_a_download_that_gets_no_further_ends(tmp_path: Path) -> None:
    bucket = Breaking(b"0123456789", after=3, hangs_at=6)
    storage = ObjectStorage(lambda name: bucket)  # type: ignore[arg-type, return-value]
    with pytest.raises(StorageUnavailable):
        await storage.download(at("s3://bucket/x"), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


async def test_who_may_write_and_not_read_can_store(tmp_path: Path) -> None:
    class WriteOnly:
        async def head(self, key: str) -> Entry | None:
            raise StorageRefused("Not for you.")

        async def put(self, key: str, content: bytes) -> str | None:
            return "etag"

    (tmp_path / "x").touch()
    storage = ObjectStorage(lambda name: WriteOnly())  # type: ignore[arg-type, return-value]
    assert (await storage.upload(tmp_path / "x", at("s3://bucket/x"))).etag == "etag"


async def test_a_cancelled_download_leaves_nothing(tmp_path: Path) -> None:
    begun = asyncio.Event()

    class Slow(Breaking):
        async def _from(self, offset: int) -> AsyncIterator[bytes]:
            yield b"0"
            begun.set()
            await asyncio.Event().wait()

    storage = ObjectStorage(lambda name: Slow(b"0123", 1))  # type: ignore[arg-type, return-value]
    download = asyncio.create_task(storage.download(at("s3://bucket/x"), tmp_path / "x"))
    await begun.wait()
    download.cancel()
    with pytest.raises(asyncio.CancelledError):
        await download
    assert list(tmp_path.iterdir()) == []
