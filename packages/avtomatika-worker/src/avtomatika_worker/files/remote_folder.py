"""The place of one task in the storage."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from avtomatika_worker.files.failures import as_failure
from rxon.attachments import Address, parse_uri
from rxon.messages import FileMetadata
from rxon.storage import ObjectStorage, Progress, UnsafeKey

__all__ = ["RemoteFolder"]


class RemoteFolder:
    """Keeps files below ``prefix`` in ``bucket``, and fetches any.

    Every method raises a HandlerError that says whether another attempt makes sense. ``progress`` makes
    what hears how far a transfer is, from what is being done.
    """

    def __init__(
        self, storage: ObjectStorage, bucket: str, prefix: str, progress: Callable[[str], Progress]
    ) -> None:
        self._storage = storage
        self._bucket = bucket
        self._prefix = prefix
        self._progress = progress

    async def store(self, source: Path, name: str) -> FileMetadata:
        """The file or folder ``source`` is stored as ``name``; "" is the place itself."""
        folder = await asyncio.to_thread(source.is_dir)
        key = self._prefix + (f"{name}/" if folder and name else name)
        with as_failure(f"'{name or source.name}' could not be stored"):
            progress = self._progress(f"storing {name or source.name}")
            return await self._storage.upload(source, Address(self._bucket, key, folder), progress=progress)

    async def fetch(
        self, uri: str, target: Path, expected: FileMetadata | None = None, where: str = ""
    ) -> FileMetadata:
        """``target`` is the file, or the folder, at ``uri``, and checked against ``expected``.

        A ``uri`` without ``s3://`` is a key in the bucket. ``where`` says whose input it is.
        """
        with as_failure(f"{where or uri} could not be fetched", is_input=bool(where)):
            address = parse_uri(uri, self._bucket)
            if not address.key and not address.is_dir:
                raise UnsafeKey(f"'{uri}' is a bucket: a folder ends with '/'.")
            progress = self._progress(f"fetching {uri}")
            return await self._storage.download(address, target, expected=expected, progress=progress)
