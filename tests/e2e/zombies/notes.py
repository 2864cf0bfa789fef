"""What the processes of a run write down about themselves, and how they make themselves stand still."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAME = os.environ.get("NOTED_BY", "")
FOLDER = Path(os.environ.get("NOTES", "."))


class Notes:
    """A file that all processes add lines to. A line is there whole when `add` returns."""

    def __init__(self) -> None:
        self._file = os.open(FOLDER / "notes", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, what: str, **fields: Any) -> None:
        """It has happened, now and in this process."""
        line = {"what": what, "by": NAME, "t": time.monotonic(), **fields}
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def stand_still(self, where: str, key: str) -> None:
        """The process has stopped itself, the first time that anybody came here with this key."""
        try:
            os.close(os.open(FOLDER / f"stopped-{key}", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        self.add("stops", where=where, key=key)
        os.kill(os.getpid(), signal.SIGSTOP)
        self.add("goes on", where=where, key=key)


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """All that was written down, in order."""
    file = folder / "notes"
    for line in file.read_bytes().splitlines() if file.exists() else ():
        yield json.loads(line)
