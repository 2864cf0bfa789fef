"""What can go wrong with an object storage, in the words of ours."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from avtomatika.blobs.stored import FolderBlobs, StoredBlobs
from avtomatika.errors import InvalidInput, NotFound, Unavailable
from rxon.storage import ObjectStorage, StorageSettings

NOWHERE = StorageSettings(endpoint="http://127.0.0.1:9", access_key="a", secret_key="s")


async def chunks(*given: bytes) -> AsyncIterator[bytes]:
    for chunk in given:
        yield chunk


@pytest.fixture
def folder(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs("bucket", tmp_path / "stored")


async def test_a_storage_is_opened_when_it_is_first_needed(folder: FolderBlobs, tmp_path: Path) -> None:
    assert folder.uri("jobs/a/x") == "s3://bucket/jobs/a/x"
    assert not (tmp_path / "stored").exists()
    assert await folder.metadata("jobs/a/x") is None
    await folder.upload_stream(chunks(b"abc"), "jobs/a/x")
    assert (tmp_path / "stored").stat().st_mode & 0o077 == 0
    found = await folder.metadata("jobs/a/x")
    assert found is not None
    assert (found.uri, found.size) == ("s3://bucket/jobs/a/x", 3)


async def test_a_folder_that_is_deleted_leaves_nothing_behind(folder: FolderBlobs, tmp_path: Path) -> None:
    await folder.upload_stream(chunks(b"a"), "jobs/a/x")
    await folder.upload_stream(chunks(b"b"), "jobs/a_1/x")
    unfinished = tmp_path / "stored" / "bucket" / "jobs" / "a" / "y#1"
    unfinished.write_bytes(b"what a process that was killed has left")
    await folder.delete("jobs/a/")
    await folder.delete("jobs/never/")
    assert [path.name for path in (tmp_path / "stored" / "bucket" / "jobs").iterdir()] == ["a_1"]


async def test_what_is_stored_in_a_folder_is_on_disk_before_anybody_hears_so(
    folder: FolderBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = set[Path]()
    fsync = os.fsync

    def watched(opened: int) -> None:
        synced.add(Path(os.readlink(f"/proc/self/fd/{opened}")))
        fsync(opened)

    monkeypatch.setattr(os, "fsync", watched)
    bucket = tmp_path / "stored" / "bucket"
    await folder.upload_stream(chunks(b"a"), "jobs/a/x y/ü%41.bin")
    above = {tmp_path / "stored", bucket, bucket / "jobs", bucket / "jobs" / "a"}
    assert synced == above | {bucket / "jobs/a/x y", bucket / "jobs/a/x y/ü%41.bin"}
    synced.clear()
    (tmp_path / "out" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "deep" / "b").write_text("b")
    await folder.upload(tmp_path / "out", "jobs/a/out/")
    assert {bucket / "jobs/a/out/deep/b", bucket / "jobs/a/out/deep", bucket / "jobs/a/out"} <= synced


async def test_what_is_not_there_is_not_found(folder: FolderBlobs, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await folder.download("jobs/a/x", tmp_path / "x")
    with pytest.raises(NotFound):
        await anext(folder.stream("jobs/a/x"))
    with pytest.raises(FileNotFoundError):
        await folder.upload(tmp_path / "none", "jobs/a/x")


async def test_a_key_that_is_not_safe_is_refused(folder: FolderBlobs) -> None:
    for key in ("a/../b", "/a", "", "a\x00"):
        with pytest.raises(InvalidInput):
            await folder.upload_stream(chunks(b""), key)
    with pytest.raises(InvalidInput):
        await folder.delete("/")


async def test_a_storage_that_cannot_be_reached_is_unavailable(tmp_path: Path) -> None:
    dead = StoredBlobs("bucket", lambda: ObjectStorage.s3(NOWHERE))
    with pytest.raises(Unavailable):
        await dead.metadata("jobs/a/x")
    with pytest.raises(Unavailable):
        await dead.delete("jobs/a/")


async def test_what_a_stream_raises_is_raised_and_nothing_is_stored(folder: FolderBlobs) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"a" * 3_000_000
        raise InvalidInput("broken off", field="body")

    with pytest.raises(InvalidInput, match="broken off"):
        await folder.upload_stream(broken(), "jobs/a/x")
    assert await folder.metadata("jobs/a/x") is None
    assert await folder.metadata("jobs/a/") is None
