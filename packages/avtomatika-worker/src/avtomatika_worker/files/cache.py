"""Copies of downloaded files on this machine, for the next task that needs them."""

import asyncio
import hashlib
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from rxon.attachments import Address, digest_of
from rxon.storage import Entry

__all__ = ["FileCache"]

T = TypeVar("T")
_SMALLEST = 16 << 10  # bytes; fetching less is no work
_PIECE = 1 << 20

_log = logging.getLogger(__name__)


class FileCache:
    """Keeps up to ``limit`` bytes below ``folder``, the latest used ones, by the etag they were stored with.

    Tasks get copies of their own, so that what they do to them stays theirs; where the file system can, a
    copy shares its space until it is changed. A copy that is not what was kept, as its digest shows, is
    dropped. Several workers may share the folder. ``origin`` tells storages apart.
    """

    def __init__(self, folder: Path, limit: int, origin: str) -> None:
        self._folder = folder
        self._limit = limit
        self._origin = origin

    async def take(self, address: Address, entry: Entry, target: Path) -> str | None:
        """See rxon.storage.Cache."""
        return await self._quietly(lambda: self._take(address, entry, target))

    async def keep(self, address: Address, entry: Entry, source: Path, digest: str) -> None:
        """See rxon.storage.Cache."""
        await self._quietly(lambda: self._keep(address, entry, source, digest))

    def _take(self, address: Address, entry: Entry, target: Path) -> str | None:
        name = self._name(address, entry)
        if name is None or not _is_ours(self._folder):
            return None
        for kept in self._folder.glob(f"{name}-*"):
            digest = kept.name.rpartition("-")[2]
            with suppress(FileNotFoundError):  # another worker may make room
                os.utime(kept)
                _copy(kept, target)
                if target.stat().st_size == entry.size and _digest(target) == digest:
                    return digest
                _log.warning("The cached copy of '%s' is damaged: it is fetched again", address.uri)
                kept.unlink(missing_ok=True)
            target.unlink(missing_ok=True)
        return None

    def _keep(self, address: Address, entry: Entry, source: Path, digest: str) -> None:
        name = self._name(address, entry)
        if name is None or not _is_ours(self._folder):
            return
        self._make_room(entry.size)
        descriptor, path = tempfile.mkstemp(prefix=".", dir=self._folder)
        os.close(descriptor)
        fresh = Path(path)
        try:
            _copy(source, fresh)
            fresh.chmod(stat.S_IRUSR)
            fresh.replace(self._folder / f"{name}-{digest}")
        finally:
            fresh.unlink(missing_ok=True)

    def _name(self, address: Address, entry: Entry) -> str | None:
        if entry.etag is None or not _SMALLEST <= entry.size <= self._limit:
            return None
        return hashlib.sha256(f"{self._origin}\n{address.uri}\n{entry.etag}".encode()).hexdigest()

    def _make_room(self, size: int) -> None:
        """There is room for ``size`` bytes more: what was not used for longest is gone."""
        kept: list[tuple[float, int, Path]] = []
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                facts = path.stat()
                kept.append((facts.st_mtime, facts.st_size, path))
        total = size + sum(its_size for _, its_size, _ in kept)
        for _, its_size, path in sorted(kept):
            if total <= self._limit:
                return
            path.unlink(missing_ok=True)
            total -= its_size

    async def _quietly(self, do: Callable[[], T]) -> T | None:
        """A cache that does not work costs time, and no task."""
        try:
            return await asyncio.to_thread(do)
        except OSError as error:
            _log.warning("The cache in %s does not work: %s", self._folder, error)
            return None


def _is_ours(folder: Path) -> bool:
    """The folder exists, and nobody else may write in it: a shared one may be laid out as a trap."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    facts = folder.lstat()
    if stat.S_ISDIR(facts.st_mode) and (
        os.name != "posix" or (facts.st_uid == os.geteuid() and not facts.st_mode & 0o022)
    ):
        return True
    raise PermissionError(f"{folder} is not a folder that only this user writes in")


def _copy(source: Path, target: Path) -> None:
    """``target`` is a file of its own with the same content."""
    if not hasattr(os, "copy_file_range"):
        shutil.copyfile(source, target)
        return
    with source.open("rb") as reading, target.open("wb") as writing:
        try:
            while os.copy_file_range(reading.fileno(), writing.fileno(), 1 << 30):
                pass
        except OSError:  # not between these file systems
            reading.seek(0)
            writing.seek(0)
            writing.truncate()
            shutil.copyfileobj(reading, writing, _PIECE)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return digest_of(iter(lambda: file.read(_PIECE), b""))
