"""Contents of files on their way, counted and digested."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import IO, Final, TypeVar

from rxon.attachments import SHA256, mismatch
from rxon.messages.capability import FileMetadata
from rxon.storage.errors import IntegrityError

__all__ = [
    "FILES",
    "Passage",
    "Progress",
    "Sum",
    "described",
    "for_each",
    "pieces_of",
    "replacement",
    "verify",
    "write",
]

FILES: Final = "files"
"""The member of ``FileMetadata.metadata`` that holds how many files a folder has."""

Progress = Callable[[int, int | None], None]
"""Is told how many bytes are through, and how many there are if that is known."""

T = TypeVar("T")
_PIECE: Final = 1 << 20


class Passage:
    """What passed by: how much, and its digest."""

    def __init__(self, total: int | None = None, progress: Progress | None = None) -> None:
        self.size = 0
        self._digest = sha256()
        self._total = total
        self._progress = progress

    @property
    def digest(self) -> str:
        """SHA-256 of everything so far."""
        return self._digest.hexdigest()

    def take(self, chunk: bytes) -> None:
        """The chunk is digested; this takes a while for a long one."""
        self._digest.update(chunk)

    def passed(self, chunk: bytes) -> None:
        """The chunk is through."""
        self.size += len(chunk)
        if self._progress is not None:
            self._progress(self.size, self._total)


class Sum:
    """Progress of several files together."""

    def __init__(self, total: int | None, progress: Progress | None) -> None:
        self._total = total
        self._progress = progress
        self._size = 0

    def part(self) -> Progress | None:
        """What one of the files tells its progress."""
        progress, before = self._progress, 0
        if progress is None:
            return None

        def add(size: int, total: int | None) -> None:
            nonlocal before
            self._size += size - before
            before = size
            progress(self._size, self._total)

        return add


async def pieces_of(source: Path, passage: Passage) -> AsyncIterator[bytes]:
    """The content of a file, read and digested in a thread."""
    file = await _in_thread(lambda: source.open("rb"), _close)
    try:

        def read() -> bytes:
            """The next piece, digested."""
            piece = file.read(_PIECE)
            passage.take(piece)
            return piece

        while piece := await _in_thread(read):
            yield piece
            passage.passed(piece)
    finally:
        file.close()


async def write(chunks: AsyncIterator[bytes], target: Path, passage: Passage) -> None:
    """The file ``target``, which may be there already, holds the chunks."""
    file = await _in_thread(lambda: target.open("wb"), _close)
    try:

        def add(chunk: bytes) -> None:
            """The chunk is digested, and in the file."""
            passage.take(chunk)
            file.write(chunk)

        async for chunk in chunks:
            await _in_thread(partial(add, chunk))
            passage.passed(chunk)
    finally:
        file.close()


@asynccontextmanager
async def replacement(target: Path, *, folder: bool = False) -> AsyncGenerator[Path]:
    """A temporary path beside ``target`` that takes its place when the block ends well, or else is gone.

    What was at ``target`` before stays there until then.
    """
    beside = await _in_thread(lambda: _room_beside(target), Path.rmdir)
    fresh = beside / "new"
    try:
        if folder:
            fresh.mkdir()
        yield fresh
        await _in_thread(partial(_replace, fresh, target, beside))
    finally:
        await _in_thread(partial(shutil.rmtree, beside, ignore_errors=True))


async def for_each(items: AsyncIterator[T], work: Callable[[T], Awaitable[None]], at_once: int) -> None:
    """``work`` was done on each item, on several of them at once. Raises the first error there is."""
    turn = asyncio.Lock()

    async def take() -> None:
        """No item is left that nobody works on."""
        while True:
            async with turn:
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    return
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(take())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


def described(uri: str, files: Iterable[tuple[str, int, str]]) -> FileMetadata:
    """The description of a folder of ``files``: name in it, size and digest of each.

    Its digest is that of the lines ``<digest>  <name>``, sorted by name, as ``sha256sum`` writes them.
    """
    listing, size, number = sha256(), 0, 0
    for name, its_size, digest in sorted(files):
        listing.update(f"{digest}  {name}\n".encode())
        size += its_size
        number += 1
    return FileMetadata(uri, size, metadata={SHA256: listing.hexdigest(), FILES: number})


def verify(expected: FileMetadata | None, found: FileMetadata) -> None:
    """Raises IntegrityError unless ``found`` is what was expected, as far as both say it."""
    if expected is None:
        return
    problem = mismatch(expected, found.size, (found.metadata or {}).get(SHA256), found.etag)
    if problem is not None:
        raise IntegrityError(f"'{found.uri}' is not what was said: {problem}.")


def _close(file: IO[bytes]) -> None:
    file.close()


async def _in_thread(do: Callable[[], T], undo: Callable[[T], None] | None = None) -> T:
    """What ``do`` returned in a thread. When nobody waits for it any more, it has ended too, and is undone.

    A thread that went on would make files where everything has been cleaned up.
    """
    doing = asyncio.get_running_loop().run_in_executor(None, do)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        if doing.exception() is None and undo is not None:
            undo(doing.result())
        raise


def _room_beside(target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=".", suffix=".part", dir=target.parent))


def _replace(fresh: Path, target: Path, beside: Path) -> None:
    if os.path.lexists(target) and (target.is_dir() or fresh.is_dir()):
        os.replace(target, beside / "old")  # a folder is not replaced in one step
    os.replace(fresh, target)
