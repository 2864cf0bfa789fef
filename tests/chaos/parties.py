"""The processes of a run."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PROGRAMS: Final = Path(__file__).parent / "programs"
DEADLINE: Final = 30.0


class Party:
    """A process that can be killed, stopped, and run again; its output goes to a file."""

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        folder: Path,
        env: Mapping[str, str],
        *,
        spoken_to: bool = False,
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._words, self._folder, self._spoken_to = words, folder, spoken_to
        kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        self._env = {**kept, "PYTHONPATH": path, **env}
        self.process: subprocess.Popen[bytes] | None = None
        self.held = False
        """True while it is down, or not itself, because somebody wanted that."""

    def run(self) -> None:
        """The process has been started."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-u", *self._words],
                cwd=self._folder,
                env=self._env,
                stdin=subprocess.PIPE if self._spoken_to else subprocess.DEVNULL,
                stdout=subprocess.PIPE if self._spoken_to else log,
                stderr=log,
                start_new_session=True,
            )

    def signal(self, number: int) -> None:
        """The process, if it lives, has got the signal."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """The process is dead without a chance to say anything."""
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait(DEADLINE)

    @property
    def ended(self) -> int | None:
        """The exit code, or None while it lives."""
        return None if self.process is None else self.process.poll()

    def tell(self, line: bytes) -> None:
        """The process has the line on its standard input."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        """A line that the process says."""
        assert self.process is not None
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()

    def close(self) -> None:
        """The process is gone: told so where it listens, else killed."""
        if self.process is None:
            return
        if self.process.stdin is not None:
            with suppress(OSError, subprocess.TimeoutExpired):
                self.process.stdin.close()
                self.process.wait(5)
        self.kill()
        if self.process.stdout is not None:
            self.process.stdout.close()


def program(name: str) -> list[str]:
    """The words that run one of our programs."""
    return [str(PROGRAMS / f"{name}.py")]


def module(name: str) -> list[str]:
    """The words that run one of our modules."""
    return ["-m", f"tests.chaos.{name}"]
