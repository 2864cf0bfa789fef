"""Processes beside this one that never outlive it."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any, Final, Self

PDEATHSIG: Final = 1
"""The option of Linux's prctl that names the signal for when the parent dies."""


class Child:
    """A process in a group of its own; where it writes its output is `log`, or None for our terminal."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log: Path | None) -> None:
        self.name = name
        self.log = log
        self._process = process

    @property
    def code(self) -> int | None:
        """How it ended, or None while it runs."""
        return self._process.poll()

    def interrupt(self) -> None:
        """It has been asked to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """It is gone, without having had a say, and so is everything that it started."""
        self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        self._process.wait()

    def end(self, patience: float) -> None:
        """It is gone, by itself within *patience* seconds, else by force."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        self.kill()

    def last_words(self) -> str:
        """The last line of its output, or nothing when that went to our terminal."""
        if self.log is None:
            return ""
        lines = self.log.read_text("utf-8", errors="replace").rstrip().splitlines()
        return lines[-1] if lines else "nothing"

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)


class Children:
    """The processes that were started. None of them is left when the block ends, however it ends."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def start(
        self, name: str, command: Sequence[str | Path], env: Mapping[str, str], log: Path | None = None
    ) -> Child:
        """The command runs; its output is added to the log, else shown here. Raises OSError."""
        with _output(log) as output:
            process = subprocess.Popen(  # noqa: S603 - the commands are our own
                [str(part) for part in command],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # A group of its own: Ctrl-C is for us, and we end the others in order.
                start_new_session=True,
                preexec_fn=_die_with_parent(),  # noqa: PLW1509 - we have no threads, and it is one system call
            )
        child = Child(name, process, log)
        self._children.append(child)
        return child

    def dead(self) -> Child | None:
        """One that has ended although nobody asked it to, or None."""
        return next((child for child in self._children if child.code is not None), None)

    def kill(self, child: Child) -> None:
        """It was ended by force and is none of ours any more."""
        self._children.remove(child)
        child.kill()

    def end(self, patience: float = 5.0) -> None:
        """All are gone, the last to be started first."""
        ending, self._children = self._children[::-1], []
        for child in ending:
            child.interrupt()
        for child in ending:
            child.end(patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, problem: type[BaseException] | None, *_: object) -> None:
        try:
            # Whoever pressed Ctrl-C does not want to wait for work that nobody will look at.
            self.end() if problem is None else self.end(patience=0.5)
        finally:
            for child in self._children:
                child.kill()


@contextmanager
def ended_by_signals() -> Generator[None]:
    """A polite end from outside unwinds the block like Ctrl-C does, so that it can tidy up."""

    def unwind(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    names = ("SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, unwind) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _output(log: Path | None) -> Generator[IO[bytes] | None]:
    if log is None:
        yield None
        return
    with log.open("ab") as file:
        yield file


def _die_with_parent() -> Callable[[], Any] | None:
    """What a child does before it becomes the command: it asks Linux to be killed when we are."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)

    return ask
