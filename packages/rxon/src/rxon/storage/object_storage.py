"""Files of any size in an object storage, moved with bounded memory."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from rxon.attachments import SHA256, Address
from rxon.messages.capability import FileMetadata
from rxon.storage.bucket import Bucket, Cache, Entry, OpenBucket
from rxon.storage.contents import FILES, Passage, Progress, Sum, described, for_each, replacement, verify
from rxon.storage.errors import NotThere, StorageRefused, UnsafeKey
from rxon.storage.keys import files_below, path_below, safe_bucket, safe_key, safe_prefix
from rxon.storage.settings import CONCURRENCY, StorageSettings
from rxon.storage.transfers import Transfers, resumed

__all__ = ["ObjectStorage"]

_BATCH: Final = 1000


class ObjectStorage:
    """Files and folders at addresses ``s3://bucket/key``, used in one event loop.

    Every method raises StorageUnavailable when the storage cannot be reached, which is known within 10
    seconds, NotThere for what is not there (also a bucket), StorageRefused when the credentials do not
    allow it, and UnsafeKey for a bucket or key that may lead elsewhere, before anything happens. Keys are
    steps joined by ``/``; none is empty, ``.`` or ``..``, and none has a backslash or control character.
    ``progress`` is called with the bytes that are through and the bytes in all, or None if unknown. What
    ``cache`` has a copy of is not downloaded again while it is stored unchanged.
    """

    def __init__(
        self, open_bucket: OpenBucket, concurrency: int = CONCURRENCY, cache: Cache | None = None
    ) -> None:
        self._open_bucket = open_bucket
        self._buckets: dict[str, Bucket] = {}
        self._concurrency = concurrency
        self._transfers = Transfers(concurrency, cache)

    @classmethod
    def s3(cls, settings: StorageSettings, *, cache: Cache | None = None) -> "ObjectStorage":
        """An S3 of any vendor. Raises ModuleNotFoundError without the extra ``rxon[storage]``."""
        from rxon.storage.obstores import s3_buckets  # noqa: PLC0415 - obstore is an extra

        return cls(s3_buckets(settings), settings.concurrency, cache)

    @classmethod
    def local(
        cls, folder: Path, concurrency: int = CONCURRENCY, *, cache: Cache | None = None
    ) -> "ObjectStorage":
        """A folder with a subfolder for each bucket, which is made when it is first used."""
        from rxon.storage.obstores import local_buckets  # noqa: PLC0415 - obstore is an extra

        return cls(local_buckets(folder), concurrency, cache)

    @classmethod
    def memory(cls) -> "ObjectStorage":
        """Memory of this object."""
        from rxon.storage.obstores import memory_buckets  # noqa: PLC0415 - obstore is an extra

        return cls(memory_buckets())

    async def download(
        self,
        address: Address,
        target: Path,
        *,
        expected: FileMetadata | None = None,
        progress: Progress | None = None,
    ) -> FileMetadata:
        """``target`` is a copy of the file, or of the whole folder, and replaced what was there.

        It appears when it is complete, never before. The description has the etag of a file and the digest.
        Raises IntegrityError, and leaves ``target`` as it was, when it is not as ``expected``; NotThere for
        a folder without files unless ``expected`` says that it has none.
        """
        bucket = self._bucket(address)
        if address.is_dir:
            return await self._download_folder(address, target, expected, progress)
        async with replacement(target) as fresh:
            return await self._transfers.fetch(bucket, address, fresh, expected, progress)

    async def upload(
        self, source: Path, address: Address, *, progress: Progress | None = None
    ) -> FileMetadata:
        """The file, or every file in the folder, is stored at ``address``.

        A folder needs an address that ends with ``/``; its subfolders are kept, files that were there
        before too, and empty subfolders are not. The description holds the digest of what was sent. A file
        appears when it is complete, never before; after an error a folder may be there in part. Raises
        FileNotFoundError without ``source`` and UnsafeKey for links that lead out of the folder.
        """
        bucket = self._bucket(address)
        await _greet(bucket, safe_prefix(address.key) + "-" if address.is_dir else safe_key(address.key))
        if not await asyncio.to_thread(source.is_dir):
            return await self._transfers.send(bucket, source, address, progress)
        if not address.is_dir:
            raise UnsafeKey(f"The address of a folder ends with '/', but '{address.uri}' does not.")
        return await self._upload_folder(source, address, progress)

    async def upload_stream(
        self,
        chunks: AsyncIterable[bytes],
        address: Address,
        *,
        size: int | None = None,
        progress: Progress | None = None,
    ) -> FileMetadata:
        """The file holds the chunks, which are asked for as they are sent; it appears when it is complete.

        ``size``, about how many bytes will come, is needed only for more than 70 GiB. What ``chunks``
        raises is raised, and nothing is stored.
        """
        bucket, key, passage = self._bucket(address), safe_key(address.key), Passage(size, progress)

        async def counted() -> AsyncIterator[bytes]:
            """The chunks, digested and counted as they pass."""
            async for chunk in chunks:
                await asyncio.to_thread(passage.take, chunk)
                yield chunk
                passage.passed(chunk)

        await _greet(bucket, key)
        etag = await self._transfers.put(bucket, key, counted(), size)
        return FileMetadata(address.uri, passage.size, etag, {SHA256: passage.digest})

    async def stream(self, address: Address) -> AsyncIterator[bytes]:
        """The content of the file, resumed when the connection breaks."""
        bucket, key = self._bucket(address), safe_key(address.key)
        async for chunk in resumed(bucket, await bucket.get(key)):
            yield chunk

    async def metadata(self, address: Address) -> FileMetadata | None:
        """Size and etag of the file, or size and number of files of the folder; None if it is not there."""
        bucket = self._bucket(address)
        if not address.is_dir:
            entry = await bucket.head(safe_key(address.key))
            return None if entry is None else FileMetadata(address.uri, entry.size, entry.etag)
        sizes = [entry.size async for entry in bucket.entries(safe_prefix(address.key))]
        return FileMetadata(address.uri, sum(sizes), metadata={FILES: len(sizes)}) if sizes else None

    async def entries(self, address: Address) -> AsyncIterator[FileMetadata]:
        """Every file below the folder."""
        async for entry in self._bucket(address).entries(safe_prefix(address.key)):
            uri = Address(address.bucket, entry.key, False).uri
            yield FileMetadata(uri, entry.size, entry.etag)

    async def delete(self, address: Address) -> None:
        """The file, or everything below the folder, is gone; it is no error if it was not there.

        A whole bucket cannot be deleted: UnsafeKey.
        """
        bucket = self._bucket(address)
        if not address.is_dir:
            await bucket.delete([safe_key(address.key)])
            return
        prefix = safe_prefix(address.key)
        if not prefix:
            raise UnsafeKey("A whole bucket is not deleted.")
        # All keys first: deleting while listing may skip some.
        keys = [entry.key async for entry in bucket.entries(prefix)]
        for begin in range(0, len(keys), _BATCH):
            await bucket.delete(keys[begin : begin + _BATCH])

    async def signed_url(self, method: str, address: Address, seconds: int) -> str | None:
        """A URL with which anybody may use ``method`` on the file for a while, or None if there are none."""
        return await self._bucket(address).sign(method, safe_key(address.key), seconds)

    def _bucket(self, address: Address) -> Bucket:
        name = safe_bucket(address.bucket)
        found = self._buckets.get(name)
        if found is None:
            found = self._buckets[name] = self._open_bucket(name)
        return found

    async def _download_folder(
        self, address: Address, target: Path, expected: FileMetadata | None, progress: Progress | None
    ) -> FileMetadata:
        bucket, prefix, total = self._bucket(address), safe_prefix(address.key), Sum(None, progress)
        files: list[tuple[str, int, str]] = []
        async with replacement(target, folder=True) as fresh:

            async def fetch(entry: Entry) -> None:
                name = entry.key[len(prefix) :]
                path = path_below(fresh, name)
                if entry.size == 0 and await bucket.head(entry.key) is None:
                    # Some tools keep folders as empty files whose keys end with a slash.
                    path.mkdir(parents=True, exist_ok=True)
                    return
                path.parent.mkdir(parents=True, exist_ok=True)
                inner = Address(address.bucket, entry.key, False)
                found = await self._transfers.fetch(bucket, inner, path, None, total.part())
                files.append((name, found.size, (found.metadata or {})[SHA256]))

            await for_each(bucket.entries(prefix), fetch, self._concurrency)
            found = described(address.uri, files)
            verify(expected, found)
            if not files and (expected is None or not (expected.metadata or {}).get(SHA256)):
                raise NotThere(f"There are no files in '{address.uri}'.")
        return found

    async def _upload_folder(self, source: Path, address: Address, progress: Progress | None) -> FileMetadata:
        found = await asyncio.to_thread(lambda: list(files_below(source, address)))
        total = Sum(sum(path.stat().st_size for path, _ in found), progress)
        bucket, prefix = self._bucket(address), safe_prefix(address.key)
        files: list[tuple[str, int, str]] = []

        async def send(item: tuple[Path, str]) -> None:
            path, key = item
            inner = Address(address.bucket, key, False)
            sent = await self._transfers.send(bucket, path, inner, total.part())
            files.append((key.removeprefix(prefix), sent.size, (sent.metadata or {})[SHA256]))

        await for_each(_each(found), send, self._concurrency)
        return described(address.uri, files)


async def _greet(bucket: Bucket, key: str) -> None:
    """Raises StorageUnavailable soon if there is nobody: what sends content would wait longer."""
    with suppress(StorageRefused):  # it may be allowed to write, and not to read
        await bucket.head(key)


async def _each(items: list[tuple[Path, str]]) -> AsyncIterator[tuple[Path, str]]:
    for item in items:
        yield item
