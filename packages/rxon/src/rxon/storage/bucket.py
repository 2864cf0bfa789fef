"""What is asked of a place that keeps files."""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from rxon.attachments import Address

__all__ = ["Bucket", "Cache", "Entry", "OpenBucket", "Reading"]


class Entry(NamedTuple):
    """A stored file."""

    key: str
    size: int
    etag: str | None


class Reading(NamedTuple):
    """A stored file that is being read; its content arrives as it is asked for."""

    entry: Entry
    chunks: AsyncIterator[bytes]


class Bucket(Protocol):
    """Files by their keys, which are safe ones. Every method may raise StorageError."""

    async def head(self, key: str) -> Entry | None:
        """The file, or None."""
        ...

    async def get(self, key: str, offset: int = 0, etag: str | None = None) -> Reading:
        """The content from ``offset`` on. Raises StorageUnavailable if it is not ``etag`` now."""
        ...

    async def put(self, key: str, content: bytes) -> str | None:
        """The file holds ``content``; its etag."""
        ...

    async def put_parts(self, key: str, content: AsyncIterator[bytes], part: int) -> str | None:
        """The file holds ``content``, sent in parts of ``part`` bytes; its etag. All of it, or nothing."""
        ...

    def entries(self, prefix: str) -> AsyncIterator[Entry]:
        """All files whose keys begin with ``prefix``, which is empty or ends with ``/``."""
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """The files are gone; those that are not there are no error."""
        ...

    async def sign(self, method: str, key: str, seconds: int) -> str | None:
        """An address that anybody may use so for a while; None where there is no such thing."""
        ...


class Cache(Protocol):
    """Copies of files that were downloaded before. Nothing in it raises: then there is no copy."""

    async def take(self, address: Address, entry: Entry, target: Path) -> str | None:
        """``target`` is the file as ``entry`` says it is stored now; its digest. None without a copy."""
        ...

    async def keep(self, address: Address, entry: Entry, source: Path, digest: str) -> None:
        """There may be a copy of ``source``, which was downloaded."""
        ...


OpenBucket = Callable[[str], Bucket]
