"""A spool in a file to which lines are added: one for each result, one for several that are settled.

Nothing is forced onto the disk. What was written survives the end of the process, however it ends, as the
system holds it; it does not survive the end of the machine, after which the tasks are simply run again.
"""

import contextlib
import logging
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from avtomatika_worker.spool.file_lock import lock_file
from avtomatika_worker.spool.spool import Spooled
from rxon.codec import decode, encode
from rxon.errors import ProtocolError
from rxon.messages import TaskResult

__all__ = ["Journal"]

KEPT_FOR: Final = 7 * 24 * 3600  # seconds; no lease lasts that long
COMPACT_AT: Final = 1024 * 1024
RESULTS: Final = "results"
NEWER: Final = "results.new"
SET_ASIDE: Final = "set-aside"
LOCK: Final = "lock"

_log = logging.getLogger(__name__)

_Key = tuple[str, str]


class _Line(msgspec.Struct, omit_defaults=True):
    to: str
    result: TaskResult | None = None
    lease: float | None = None
    done: tuple[str, ...] = ()


class _Place(msgspec.Struct, frozen=True):
    offset: int
    length: int


class Journal:
    """The spool in ``folder``, which is made if need be and belongs to one process at a time.

    ``restored`` is what the process before has left, without what is older than a week at the Unix time
    ``now``. Raises OSError when the folder cannot be used, BlockingIOError when another process uses it.
    """

    def __init__(self, folder: Path, now: float) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._lock = lock_file(folder / LOCK)
        self._places: dict[_Key, _Place] = {}
        self._done: dict[str, list[str]] = {}
        self._failed = False
        self._compact_at = COMPACT_AT
        self.restored: list[Spooled] = []
        try:
            (folder / NEWER).unlink(missing_ok=True)
            self._file = _opened(folder / RESULTS)
            self._size = self._read(now)
            self._compact()
        except OSError:
            os.close(self._lock)
            raise

    def put(self, spooled: Spooled) -> None:
        """The next process with this spool finds the result, however this one ends."""
        line = _written(_Line(spooled.to, spooled.result, spooled.lease))
        before = self._done_lines()
        if self._append(before + line):
            self._done.clear()
            self._places[spooled.to, spooled.result.task_id] = _Place(self._size - len(line), len(line))

    def done(self, to: str, task_id: str) -> None:
        """The result need not be kept any more; ``flush`` says so on the disk."""
        if self._places.pop((to, task_id), None) is not None:
            self._done.setdefault(to, []).append(task_id)
            if self._size > self._compact_at:
                self.flush()

    def flush(self) -> None:
        """The next process does not find what is done."""
        if self._done and self._append(self._done_lines()):
            self._done.clear()
        if self._size > self._compact_at:
            self._compact()

    def close(self) -> None:
        """Another process may use the spool."""
        if self._file < 0:
            return
        self.flush()
        self._compact()
        os.close(self._file)
        os.close(self._lock)
        self._file = -1  # what comes now must not get into the next file of that number

    # ------------------------------------------------------------ writing

    def _done_lines(self) -> bytes:
        return b"".join(_written(_Line(to, done=tuple(ids))) for to, ids in self._done.items())

    def _append(self, lines: bytes) -> bool:
        try:
            if os.write(self._file, lines) != len(lines):
                raise OSError("the disk is full")
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)  # half a line would spoil the next one
            self._trouble(error)
            return False
        self._size += len(lines)
        if self._failed:
            self._failed = False
            _log.warning("Results are kept in %s again", self._folder)
        return True

    def _compact(self) -> None:
        """Only what is not done is left in the file, or the file is as it was."""
        if sum(place.length for place in self._places.values()) == self._size:
            return
        newer = self._folder / NEWER
        places: dict[_Key, _Place] = {}
        size = 0
        try:
            file = _opened(newer)
            try:
                for key, place in self._places.items():
                    if os.write(file, os.pread(self._file, place.length, place.offset)) != place.length:
                        raise OSError("the disk is full")
                    places[key] = _Place(size, place.length)
                    size += place.length
                newer.replace(self._folder / RESULTS)
            except OSError:
                os.close(file)
                raise
        except OSError as error:
            self._compact_at = 2 * self._size
            self._trouble(error)
            return
        os.close(self._file)
        self._file, self._places, self._size = file, places, size
        self._compact_at = max(COMPACT_AT, 2 * size)
        self._done.clear()

    def _trouble(self, error: OSError) -> None:
        """Said once, until something works again."""
        if not self._failed:
            _log.warning(
                "Results cannot be kept in %s: %s. The worker goes on; a restart would lose results that were"
                " not acknowledged",
                self._folder,
                error,
            )
        self._failed = True

    # ------------------------------------------------------------ reading

    def _read(self, now: float) -> int:
        """The size of the file without half a line at its end; ``restored`` is filled."""
        content = (self._folder / RESULTS).read_bytes()
        found: dict[_Key, Spooled] = {}
        spoilt: list[bytes] = []
        for place, text in _lines(content):
            line = _read_line(text)
            if line is None:
                spoilt.append(text)
            elif line.result is None:
                for task_id in line.done:
                    found.pop((line.to, task_id), None)
                    self._places.pop((line.to, task_id), None)
            else:
                key = line.to, line.result.task_id
                found[key] = Spooled(line.to, line.result, line.lease)
                self._places[key] = place
        if spoilt:
            self._set_aside(spoilt)
        for key, spooled in found.items():
            if (spooled.result.timestamp or now) + KEPT_FOR < now:
                _log.warning("The result of task %s is dropped: it is older than a week", key[1])
                del self._places[key]
            else:
                self.restored.append(spooled)
        end = content.rfind(b"\n") + 1
        os.ftruncate(self._file, end)
        return end

    def _set_aside(self, spoilt: list[bytes]) -> None:
        target = self._folder / SET_ASIDE
        _log.warning("%d results that cannot be read are set aside in %s", len(spoilt), target)
        with contextlib.suppress(OSError), target.open("ab") as file:
            file.writelines(text + b"\n" for text in spoilt)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)


def _written(line: _Line) -> bytes:
    # JSON has line feeds only where blanks may be, and only where the user's own JSON has them.
    text = encode(line).replace(b"\n", b" ")
    return b"%08x %b\n" % (zlib.crc32(text), text)


def _lines(content: bytes) -> Iterator[tuple[_Place, bytes]]:
    offset = 0
    for text in content.split(b"\n"):
        if text:
            yield _Place(offset, len(text) + 1), text
        offset += len(text) + 1


def _read_line(text: bytes) -> _Line | None:
    checksum, _, body = text.partition(b" ")
    try:
        if int(checksum, 16) == zlib.crc32(body):
            return decode(_Line, body)
    except (ValueError, ProtocolError):
        pass
    return None
