"""What was fetched once is not fetched again while it is unchanged, whatever handlers do to their copies."""

import os
import random
import stat
from pathlib import Path
from typing import Any

import pytest

from avtomatika_worker.files.cache import FileCache
from rxon.attachments import Address, digest_of, parse_uri
from rxon.storage import IntegrityError, ObjectStorage
from rxon.storage.bucket import Bucket, OpenBucket, Reading
from rxon.storage.contents import described

pytest.importorskip("obstore")
from rxon.storage.obstores import local_buckets

CONTENT = random.Random(1).randbytes(100_000)
URI = parse_uri("s3://b/model.bin")


class Counted:
    """Buckets that count the pieces of content that are fetched."""

    def __init__(self, open_bucket: OpenBucket) -> None:
        self.open_bucket = open_bucket
        self.pieces = 0

    def __call__(self, name: str) -> Bucket:
        counted, bucket = self, self.open_bucket(name)

        class Watched:
            def __getattr__(self, method: str) -> Any:
                return getattr(bucket, method)

            async def get(self, *args: Any) -> Reading:
                reading = await bucket.get(*args)

                async def chunks() -> Any:
                    async for chunk in reading.chunks:
                        counted.pieces += 1
                        yield chunk

                return Reading(reading.entry, chunks())

        return Watched()  # type: ignore[return-value]


class Place:
    def __init__(self, folder: Path, limit: int = 10**6) -> None:
        self.folder = folder
        self.cached = folder / "cache"
        self.buckets = Counted(local_buckets(folder / "stored"))
        self.storage = ObjectStorage(self.buckets, cache=FileCache(self.cached, limit, "here"))
        self.number = 0

    async def store(self, address: Address, content: bytes) -> None:
        (self.folder / "source").write_bytes(content)
        await self.storage.upload(self.folder / "source", address)

    async def fetch(self, address: Address = URI, **more: Any) -> Path:
        self.number += 1
        target = self.folder / f"copy{self.number}"
        await self.storage.download(address, target, **more)
        return target

    def kept(self) -> list[Path]:
        return sorted(self.cached.iterdir())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_an_unchanged_file_is_fetched_once(place: Place) -> None:
    await place.store(URI, CONTENT)
    metadata = await place.storage.download(URI, place.folder / "first")
    assert place.buckets.pieces == 1
    told: list[tuple[int, int | None]] = []
    again = await place.fetch(expected=metadata, progress=lambda *now: told.append(now))
    assert again.read_bytes() == CONTENT
    assert place.buckets.pieces == 1
    assert told == [(len(CONTENT), len(CONTENT))]
    changed = CONTENT[::-1]
    await place.store(URI, changed)
    assert (await place.fetch()).read_bytes() == changed
    assert place.buckets.pieces == 2


async def test_files_of_folders_are_kept_too(place: Place) -> None:
    await place.store(parse_uri("s3://b/f/1"), CONTENT)
    await place.store(parse_uri("s3://b/f/sub/2"), CONTENT[1:])
    folder = parse_uri("s3://b/f/")
    first = await place.storage.download(folder, place.folder / "first")
    assert first == described(
        folder.uri, [("1", 100_000, digest_of([CONTENT])), ("sub/2", 99_999, digest_of([CONTENT[1:]]))]
    )
    assert await place.storage.download(folder, place.folder / "second", expected=first) == first
    assert (place.folder / "second/sub/2").read_bytes() == CONTENT[1:]
    assert place.buckets.pieces == 2


async def test_what_a_handler_does_to_its_file_stays_its_own(place: Place) -> None:
    await place.store(URI, CONTENT)
    for copy in (await place.fetch(), await place.fetch()):
        assert copy.read_bytes() == CONTENT
        with copy.open("r+b") as file:
            file.write(b"changed")
        copy.chmod(0o777)
    assert (await place.fetch()).read_bytes() == CONTENT
    assert place.buckets.pieces == 1


async def test_what_is_kept_can_only_be_read(place: Place) -> None:
    await place.store(URI, CONTENT)
    await place.fetch()
    (kept,) = place.kept()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o400
    assert stat.S_IMODE(place.cached.stat().st_mode) == 0o700


async def test_a_damaged_copy_is_fetched_again(place: Place) -> None:
    await place.store(URI, CONTENT)
    await place.fetch()
    (kept,) = place.kept()
    kept.chmod(0o600)
    kept.write_bytes(b"x" * len(CONTENT))
    assert (await place.fetch()).read_bytes() == CONTENT
    assert place.buckets.pieces == 2
    assert (await place.fetch()).read_bytes() == CONTENT
    assert place.buckets.pieces == 2


async def test_what_was_not_used_for_longest_makes_room(tmp_path: Path) -> None:
    place = Place(tmp_path, limit=250_000)
    uris = [parse_uri(f"s3://b/{number}") for number in range(3)]
    for number, uri in enumerate(uris):
        await place.store(uri, bytes([number]) + CONTENT)
    await place.fetch(uris[0])
    (first,) = place.kept()
    await place.fetch(uris[1])
    (second,) = set(place.kept()) - {first}
    os.utime(first, (1, 1))
    os.utime(second, (2, 2))
    await place.fetch(uris[0])  # used again: now the second is the oldest
    assert place.buckets.pieces == 2
    await place.fetch(uris[2])
    assert first in place.kept()
    assert second not in place.kept()
    assert sum(path.stat().st_size for path in place.kept()) <= 250_000


async def test_what_is_small_or_too_large_is_not_kept(tmp_path: Path) -> None:
    place = Place(tmp_path, limit=50_000)
    await place.store(URI, CONTENT)
    await place.fetch()
    await place.store(parse_uri("s3://b/small"), b"small")
    await place.fetch(parse_uri("s3://b/small"))
    assert not place.cached.exists() or place.kept() == []


async def test_what_is_not_as_it_was_said_is_not_kept(place: Place) -> None:
    await place.store(URI, CONTENT)
    metadata = await place.storage.download(URI, place.folder / "first")
    place.kept()[0].unlink()
    wrong = type(metadata)(metadata.uri, metadata={"sha256": "00"})
    with pytest.raises(IntegrityError):
        await place.fetch(expected=wrong)
    assert place.kept() == []
    await place.fetch()
    with pytest.raises(IntegrityError):
        await place.fetch(expected=wrong)


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
async def test_a_folder_that_others_write_in_is_not_used(place: Place) -> None:
    place.cached.mkdir()
    place.cached.chmod(0o777)
    await place.store(URI, CONTENT)
    assert (await place.fetch()).read_bytes() == CONTENT
    assert place.kept() == []


async def test_storages_with_the_same_names_do_not_mix(place: Place) -> None:
    await place.store(URI, CONTENT)
    await place.fetch()
    other = FileCache(place.cached, 10**6, "elsewhere")
    entry = (await place.buckets("b").get(URI.key)).entry
    assert await other.take(URI, entry, place.folder / "x") is None
    assert not (place.folder / "x").exists()
