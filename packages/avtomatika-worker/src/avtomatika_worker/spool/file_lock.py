"""A lock between processes that ends with the process that has it."""

import os
import sys
from pathlib import Path

__all__ = ["lock_file"]

if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(error.errno, "another process has it") from None

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def lock_file(path: Path) -> int:
    """An open file that is locked until it is closed.

    Raises BlockingIOError when another process has locked it, OSError when there can be no such file.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(file)
    except OSError:
        os.close(file)
        raise
    return file
