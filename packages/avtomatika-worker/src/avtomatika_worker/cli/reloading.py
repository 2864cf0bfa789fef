"""Runs a worker and starts it again when its code has changed."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from watchfiles import PythonFilter, watch

__all__ = ["Reloader"]

DEBOUNCE: Final = 200  # milliseconds: editors write several files at once
LOOK: Final = 250  # milliseconds between looks at the worker

Say = Callable[[str], None]


class Reloader:
    """Keeps ``command`` running, and starts it anew when a Python file in ``folder`` has changed.

    The old process is told to end with SIGTERM, so that its tasks have their time, and waited for.
    """

    def __init__(self, command: Sequence[str], folder: Path, say: Say) -> None:
        self._command = list(command)
        self._folder = folder
        self._say = say
        self._stop = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._told = False

    def run(self) -> int:
        """Until SIGTERM or SIGINT; a second one ends the worker at once. The exit code of the worker."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signalled)
        self._start()
        changes = watch(
            self._folder,
            watch_filter=PythonFilter(),
            debounce=DEBOUNCE,
            rust_timeout=LOOK,
            yield_on_timeout=True,
            stop_event=self._stop,
            raise_interrupt=False,
        )
        for found in changes:
            if found and not self._stop.is_set():
                self._say(f"{_names(found, self._folder)} changed: starting the worker again")
                self._end()
                if not self._stop.is_set():
                    self._start()
            else:
                self._look()
        return self._end()

    def _start(self) -> None:
        # In a session of its own: Ctrl-C is for us, and we tell the worker, once.
        # No compiled files: they are told apart by seconds, and two changes may be within one.
        environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(  # noqa: S603 - this program itself
            self._command, env=environ, start_new_session=os.name == "posix"
        )
        self._told = False

    def _end(self) -> int:
        """The process is over; tasks that it ran had their time. Its exit code."""
        process = self._process
        if process is None:
            return 0
        if process.poll() is None and not self._told:
            self._tell(process)
        return process.wait()

    def _look(self) -> None:
        process = self._process
        if process is not None and process.poll() is not None and not self._told:
            self._told = True
            self._say(f"The worker ended with exit code {process.returncode}; it starts again after a change")

    def _tell(self, process: "subprocess.Popen[bytes]") -> None:
        self._told = True
        process.terminate()

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        process, again = self._process, self._stop.is_set()
        self._stop.set()
        if process is not None and process.poll() is None and (again or not self._told):
            self._tell(process)


def _names(changes: Iterable[tuple[object, str]], folder: Path) -> str:
    paths = sorted({os.path.relpath(path, folder) for _, path in changes})
    rest = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(paths[:3]) + rest
