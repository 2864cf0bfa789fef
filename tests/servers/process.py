"""One process of a server, and how the others find it."""

import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

DEADLINE = 60.0
"""Long enough for a busy machine; nobody waits for it when all is well."""

LOOK_AGAIN = 0.01
PORTS = range(20_000, 30_000)


def free_port() -> int:
    """A port for a server that stops and starts again: none that the kernel would give away meanwhile."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def until(what: Callable[[], object], complaint: Callable[[], str] = lambda: "it never happened") -> None:
    """Returns when *what* is true."""
    deadline = time.monotonic() + DEADLINE
    while not what():
        assert time.monotonic() < deadline, complaint()
        time.sleep(LOOK_AGAIN)


class Process:
    """A server process that writes a log; it can be killed, paused and run again."""

    def __init__(self, log: Path, **options: Any) -> None:
        self._log = log
        self._options = options
        self._running: subprocess.Popen[bytes] | None = None
        log.touch()

    @property
    def runs(self) -> bool:
        """True from `start` to `end`, whether it still lives or not."""
        return self._running is not None

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text("utf-8", errors="replace")

    def start(self, command: Sequence[str | Path], ready: Callable[[], object]) -> None:
        """The command runs and is *ready*. Raises AssertionError with its log when it ends before."""
        with self._log.open("ab") as log:
            self._running = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._options
            )
        try:
            until(lambda: self._alive() and ready(), lambda: self.log)
        except BaseException:
            self.end()
            raise

    def _alive(self) -> bool:
        assert self._running is not None
        assert self._running.poll() is None, self.log
        return True

    def end(self, number: int = signal.SIGKILL) -> None:
        """The process is gone, after this signal; nothing happens when there was none."""
        if self._running is not None:
            self._running.send_signal(number)
            until(self._ended)
            self._running = None

    def _ended(self) -> bool:
        """True when the process is gone. A child that dies slowly would hold up PostgreSQL for a minute."""
        assert self._running is not None
        for child in self._children():
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        return self._running.poll() is not None

    def signal(self, number: int) -> None:
        """The process and its children have got the signal."""
        assert self._running is not None
        for process in (self._running.pid, *self._children()):
            os.kill(process, number)

    def _children(self) -> list[int]:
        assert self._running is not None
        try:
            found = Path(f"/proc/{self._running.pid}/task/{self._running.pid}/children").read_text()
        except OSError:
            return []
        return [int(child) for child in found.split()]


def new_folder(name: str) -> Path:
    """An empty temporary folder for the data of a server."""
    return Path(tempfile.mkdtemp(prefix=f"avtomatika-{name}-"))
