"""Single files on their way, so many at once that memory stays bounded."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from rxon.attachments import SHA256, Address
from rxon.messages.capability import FileMetadata
from rxon.storage.bucket import Bucket, Cache, Reading
from rxon.storage.contents import Passage, Progress, pieces_of, verify, write
from rxon.storage.errors import StorageUnavailable
from rxon.storage.keys import safe_key

__all__ = ["Transfers", "resumed"]

_SMALL: Final = 1 << 20  # bytes; what is smaller is sent in one piece
_PART: Final = 8 << 20  # bytes; S3 wants 5 MiB at least, and all parts alike
_PARTS: Final = 9_500  # S3 takes 10,000
_LARGE_AT_ONCE: Final = 2  # files sent in parts: their parts are what takes memory
_RESUMES: Final = 3


class Transfers:
    """Moves up to ``concurrency`` files at once; those of which ``cache`` has a copy are not fetched."""

    def __init__(self, concurrency: int, cache: Cache | None = None) -> None:
        self._cache = cache
        self._slots = asyncio.Semaphore(concurrency)
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)

    async def fetch(
        self,
        bucket: Bucket,
        address: Address,
        target: Path,
        expected: FileMetadata | None = None,
        progress: Progress | None = None,
    ) -> FileMetadata:
        """``target`` is the file at ``address``. Raises IntegrityError when it is not as ``expected``."""
        async with self._slots:
            reading = await bucket.get(safe_key(address.key))
            entry = reading.entry
            verify(expected, FileMetadata(address.uri, entry.size, entry.etag))
            digest = None if self._cache is None else await self._cache.take(address, entry, target)
            fetched = digest is None
            if digest is None:
                passage = Passage(entry.size, progress)
                await write(resumed(bucket, reading), target, passage)
                digest = passage.digest
            elif progress is not None:
                progress(entry.size, entry.size)
            found = FileMetadata(address.uri, entry.size, entry.etag, {SHA256: digest})
            verify(expected, found)
            if fetched and self._cache is not None:
                await self._cache.keep(address, entry, target, digest)
        return found

    async def send(
        self, bucket: Bucket, source: Path, address: Address, progress: Progress | None = None
    ) -> FileMetadata:
        """The file ``source`` is stored at ``address``."""
        size = (await asyncio.to_thread(source.stat)).st_size
        passage = Passage(size, progress)
        async with self._slots:
            etag = await self.put(bucket, address.key, pieces_of(source, passage), size)
        return FileMetadata(address.uri, passage.size, etag, {SHA256: passage.digest})

    async def put(
        self, bucket: Bucket, key: str, pieces: AsyncIterator[bytes], size: int | None
    ) -> str | None:
        """The file holds the pieces, of about ``size`` bytes; its etag."""
        head: list[bytes] = []
        async for piece in pieces:
            head.append(piece)
            if sum(map(len, head)) > _SMALL:
                break
        else:
            return await bucket.put(safe_key(key), b"".join(head))

        async def all_of_it() -> AsyncIterator[bytes]:
            """What was read ahead, and then the rest."""
            while head:
                yield head.pop(0)
            async for piece in pieces:
                yield piece

        part = max(_PART, -(-(size or 0) // _PARTS))
        async with self._large:
            return await bucket.put_parts(safe_key(key), all_of_it(), part)


async def resumed(bucket: Bucket, reading: Reading) -> AsyncIterator[bytes]:
    """The whole content, fetched on from where it broke off, as long as it is the same file.

    Raises StorageUnavailable when it breaks off again and again without getting further.
    """
    entry, chunks = reading
    done = tries = 0
    while True:
        try:
            async for chunk in chunks:
                done, tries = done + len(chunk), 0
                yield chunk
        except StorageUnavailable:
            tries += 1
            if tries > _RESUMES:
                raise
        if done >= entry.size:
            return
        if tries == 0:
            raise StorageUnavailable(f"'{entry.key}' ended after {done} of {entry.size} bytes.")
        chunks = (await bucket.get(entry.key, done, entry.etag)).chunks
