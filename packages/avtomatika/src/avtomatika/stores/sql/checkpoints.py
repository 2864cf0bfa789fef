"""When the write-ahead log is to be brought into the database."""

import os
from pathlib import Path
from typing import Final

EVERY_BATCHES: Final = 64
BYTES: Final = 4 * 1024 * 1024


class Checkpoints:
    """Counts what was written beside the database at *path*."""

    def __init__(self, path: Path) -> None:
        self._wal = path.with_name(path.name + "-wal")
        self._batches = 0
        self._weight = 0

    def due_after(self, weight: int) -> bool:
        """A batch with so many bytes of user data was written: whether the log is large by now."""
        self._batches += 1
        self._weight += weight
        if self._batches % EVERY_BATCHES and self._weight < BYTES:
            return False
        try:
            large = os.stat(self._wal).st_size > BYTES
        except FileNotFoundError:
            return False
        if large:
            self._weight = 0
        return large
