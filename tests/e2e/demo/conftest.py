"""The command as a user starts it, in a process and a folder of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Long enough for a slow machine; no test waits for it when all is well.
DEADLINE = 60

WORDS = [
    *("the", "job", "goes", "on", "and", "every", "worker", "that", "is", "left", "takes"),
    *("what", "another", "one", "had", "in", "hand", "when", "it", "was", "lost"),
]


class Command:
    """A running `avtomatika`; its output is read line by line."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "avtomatika", *arguments],
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # Who runs us in the background may have told us to ignore Ctrl-C, and that is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )
        self.said: list[str] = []

    def until(self, wanted: str) -> str:
        """The first line from now on that has *wanted* in it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if wanted in line:
                return line
        raise AssertionError(f"it never said {wanted!r} but:\n{''.join(self.said)}")

    def end(self, number: int) -> int:
        """The exit code after the signal."""
        self.process.send_signal(number)
        return self.code()

    def code(self) -> int:
        """The exit code, after the rest of the output was read."""
        rest, _ = self.process.communicate(timeout=DEADLINE)
        self.said.append(rest)
        return self.process.returncode

    @property
    def output(self) -> str:
        return "".join(self.said)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    """Starts `avtomatika` with the arguments; it ends with the test at the latest."""
    started: list[Command] = []

    def run(*arguments: str, **variables: str) -> Command:
        started.append(Command(tmp_path, *arguments, **variables))
        return started[-1]

    yield run
    for command in started:
        if command.process.poll() is None:
            command.process.send_signal(signal.SIGTERM)
        try:
            command.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            command.process.kill()
            command.process.communicate()


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder with texts that are all different, and one file that is no text."""
    folder = tmp_path / "texts"
    folder.mkdir()
    for n in range(24):
        lines = (" ".join([*WORDS[(n + k) % len(WORDS) :], f"{n}x{k}"]) for k in range(60))
        (folder / f"text-{n:02}.md").write_text(f"# Text {n}\n\n" + "\n".join(lines) + "\n")
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\0\0")
    return folder


def processes_with(marker: str) -> list[str]:
    """The command lines of processes that have *marker* in their environment (Linux)."""
    found: list[str] = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and marker.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it has ended meanwhile
    return found


Start = Callable[..., Command]
