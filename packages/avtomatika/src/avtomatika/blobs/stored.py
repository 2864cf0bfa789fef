"""Files in an object storage: an S3, a folder of this machine, or memory."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from avtomatika.errors import IntegrityError, InvalidInput, NotFound, Unavailable
from avtomatika.ports.blobs import FileMetadata
from rxon import storage as objects
from rxon.attachments import Address


class StoredBlobs:
    """The files of one bucket. Implements `ports.blobs.Blobs`. The storage is opened when first used."""

    def __init__(self, bucket: str, open_storage: Callable[[], objects.ObjectStorage]) -> None:
        self._bucket, self._open = bucket, open_storage

    @cached_property
    def _storage(self) -> objects.ObjectStorage:
        return self._open()

    @property
    def bucket(self) -> str:
        """The name of the bucket."""
        return self._bucket

    def uri(self, key: str) -> str:
        """The address that workers and clients know the file by."""
        return self._address(key).uri

    async def download(self, key: str, target: Path, expected: FileMetadata | None = None) -> FileMetadata:
        """*target* is a copy, and appeared when it was complete. Raises NotFound, IntegrityError."""
        with _translated():
            return await self._storage.download(self._address(key), target, expected=expected)

    async def upload(self, source: Path, key: str) -> FileMetadata:
        """The file, or every file in the folder, is stored. Raises FileNotFoundError."""
        with _translated(writes=True):
            return await self._storage.upload(source, self._address(key))

    async def upload_stream(
        self, chunks: AsyncIterable[bytes], key: str, size: int | None = None
    ) -> FileMetadata:
        """The file is stored, and appeared when it was complete. What *chunks* raises is raised."""
        with _translated(writes=True):
            return await self._storage.upload_stream(chunks, self._address(key), size=size)

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        """The content. Raises NotFound."""
        with _translated():
            async for chunk in self._storage.stream(self._address(key)):
                yield chunk

    async def metadata(self, key: str) -> FileMetadata | None:
        """What is known of the file, or the folder; None when it is not there."""
        try:
            with _translated():
                return await self._storage.metadata(self._address(key))
        except NotFound:  # no bucket yet
            return None

    async def delete(self, key: str) -> None:
        """The file, or everything in the folder, is gone."""
        try:
            with _translated():
                await self._storage.delete(self._address(key))
        except NotFound:
            pass

    async def signed_url(self, method: str, key: str, seconds: int) -> str | None:
        """An address that anybody may use so for a while; None where the storage itself has no such thing."""
        with _translated():
            return await self._storage.signed_url(method, self._address(key), seconds)

    def _address(self, key: str) -> Address:
        return Address(self._bucket, key, key.endswith("/"))


class FolderBlobs(StoredBlobs):
    """Files in *folder* of this machine, which others cannot read."""

    def __init__(self, bucket: str, folder: Path) -> None:
        super().__init__(bucket, lambda: objects.ObjectStorage.local(_made(folder)))
        self._folder = folder

    async def upload(self, source: Path, key: str) -> FileMetadata:
        """The file, or every file in the folder, is stored and on disk. Raises FileNotFoundError."""
        stored = await super().upload(source, key)
        names = await asyncio.to_thread(_names, source) if key.endswith("/") else [""]
        await asyncio.to_thread(self._sync, [key + name for name in names])
        return stored

    async def upload_stream(
        self, chunks: AsyncIterable[bytes], key: str, size: int | None = None
    ) -> FileMetadata:
        """The file is stored and on disk, and appeared when it was complete."""
        stored = await super().upload_stream(chunks, key, size)
        await asyncio.to_thread(self._sync, [key])
        return stored

    async def delete(self, key: str) -> None:
        """The file, or everything in the folder, is gone, and so is what a process that died left there."""
        await super().delete(key)
        if key.endswith("/"):
            await asyncio.to_thread(shutil.rmtree, self._folder / self.bucket / key, ignore_errors=True)

    def _sync(self, keys: Iterable[str]) -> None:
        """The files, and that they are where they are, survive a power cut."""
        files = [self._folder / self.bucket / key for key in keys]
        above = {parent for file in files for parent in file.parents if parent.is_relative_to(self._folder)}
        for path in (*files, *sorted(above, reverse=True)):
            try:
                opened = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                continue  # removed meanwhile
            try:
                os.fsync(opened)
            finally:
                os.close(opened)


def _names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


@contextmanager
def _translated(*, writes: bool = False) -> Generator[None]:
    """Errors of the storage as ours. Whoever *writes* and hears of something missing lacks the bucket."""
    try:
        yield
    except objects.UnsafeKey as error:
        raise InvalidInput(error.message, field="filename") from error
    except objects.IntegrityError as error:
        raise IntegrityError(error.message) from error
    except objects.NotThere as error:
        if writes:
            raise Unavailable(f"The object storage has no place for files: {error.message}") from error
        raise NotFound("File not found") from error
    except objects.StorageError as error:
        raise Unavailable(f"The object storage: {error.message}") from error
