"""A clock of a process that others may set: what `time.time` shows is moved by what a file says."""

import mmap
import struct
import time
from pathlib import Path

_FORM = struct.Struct("<d")


def make(path: Path) -> None:
    """The file says that the clock is right."""
    path.write_bytes(_FORM.pack(0.0))


def step(path: Path, seconds: float) -> None:
    """The clocks that follow the file are ahead by so many seconds, at once."""
    with path.open("r+b") as file:
        file.write(_FORM.pack(seconds))


def follow(path: Path) -> None:
    """From now on the clock of this process is ahead by what the file says."""
    with path.open("rb") as file:
        shown = mmap.mmap(file.fileno(), _FORM.size, access=mmap.ACCESS_READ)
    real, real_ns = time.time, time.time_ns
    ahead = _FORM.unpack_from
    time.time = lambda: real() + ahead(shown)[0]
    time.time_ns = lambda: real_ns() + int(ahead(shown)[0] * 1e9)
