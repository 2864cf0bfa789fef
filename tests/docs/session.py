"""A reader at work: saves the files of a page, runs its commands, and compares what they print.

`<!-- run: file NAME -->` saves the block, `start NAME` starts its command and leaves it running, `kill NAME`
ends that process with SIGKILL, `check` runs the commands and compares their output, `python` runs the block
as a program, `python NAME` saves it first. In a command, `…` after the name of a kind of token stands for the
token of the first run, any other for the id of the last job; in output for anything, on a line of its own for
number of lines. Ports 8080, 8081 and 8083 are free ports here, addresses of stores those of servers here.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.docs.pages import Block

DEADLINE = 20.0
JOB = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
KEPT = "_exported"


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """True when somebody takes connections on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Session:
    """One reader in one folder. All processes are gone at the end."""

    def __init__(self, folder: Path, places: Mapping[str, str] | None = None) -> None:
        """*places* are what to put in the place of addresses that the pages name."""
        self.folder = folder
        self.places = places or {}
        self.port, self.worker_port, self.second_port = free_port(), free_port(), free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._job = ""
        programs = Path(sys.executable).parent
        plain = {k: v for k, v in os.environ.items() if not k.endswith(("_TOKEN", "_URL"))}
        self._env = {
            **plain,
            "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",
            "API_PORT": str(self.port),
            "WORKER_PORT": str(self.worker_port),
            "ORCHESTRATOR_URL": f"http://127.0.0.1:{self.port}",
            "PYTHONUNBUFFERED": "1",
            "TASK_FILES_DIR": str(folder / "payloads"),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._processes.values():
            try:
                process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if error is not None:
            for log in sorted(self.folder.glob("*.log")):
                print(f"---- {log.name}\n{log.read_text('utf-8')}")

    def follow(self, blocks: Iterable[Block]) -> None:
        """Everything that the blocks ask for has been done, and printed what they say."""
        for block in blocks:
            if block.verb == "run":
                self._do(block)

    def _do(self, block: Block) -> None:
        verb, _, name = block.rest.partition(" ")
        match verb:
            case "file":
                (self.folder / name).write_text(block.text, "utf-8")
            case "python":
                program = name or "block.py"
                (self.folder / program).write_text(block.text, "utf-8")
                self.run(f"python {program}")
            case "start":
                self._start(name, block.text)
            case "kill":
                process = self._processes[name]
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            case "check":
                self._check(block)
            case _:
                raise AssertionError(f"line {block.line}: nobody knows how to run '{block.rest}'")

    def set(self, **variables: str) -> None:
        """Later commands have these variables in their environment."""
        self._env |= variables

    def ended(self, name: str, seconds: float) -> bool:
        """True when the process ends within that time."""
        try:
            self._processes[name].wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def listening(self) -> bool:
        """True when the orchestrator takes connections."""
        return listens(self.port)

    def wait_for(self, name: str, word: str) -> None:
        """The log of the process has the word."""
        deadline = time.monotonic() + DEADLINE
        while word not in (self.folder / f"{name}.log").read_text("utf-8"):
            assert time.monotonic() < deadline, f"{name} never said {word}"
            time.sleep(0.02)

    def _start(self, name: str, text: str) -> None:
        self.launch(name, self._filled(text.strip().removeprefix("$ ")))
        if name in ("orchestrator", "second"):
            port = self.port if name == "orchestrator" else self.second_port
            self._wait_until_it_listens(self._processes[name], port)

    def launch(self, name: str, command: str) -> None:
        """The command runs, its output in a log of that name."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=self.folder,
                env=self._env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes[name] = process

    def _wait_until_it_listens(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        deadline = time.monotonic() + DEADLINE
        while not listens(port):
            assert process.poll() is None, "the orchestrator ended"
            assert time.monotonic() < deadline, "the orchestrator does not listen"
            time.sleep(0.02)

    def _check(self, block: Block) -> None:
        for command, expected in _commands(block.text):
            printed = self.run(self._filled(command))
            jobs = JOB.findall(printed)
            if jobs:
                self._job = jobs[-1]
            assert _matches(expected, printed), (
                f"line {block.line}: {command}\nprinted\n{printed}\nand not\n{expected}"
            )

    def run(self, command: str) -> str:
        """What the command printed, which ended well; what it exports stays for later ones."""
        kept = self.folder / KEPT
        script = f"set -eo pipefail; {command}\nexport -p > {KEPT}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{command} failed:\n{done.stdout}{done.stderr}"
        for line in kept.read_text("utf-8").splitlines():
            found = re.fullmatch(r'declare -x (\w+_TOKEN|JOB|TASK)="(.*)"', line)
            if found:
                self._env[found[1]] = found[2]
        return done.stdout.strip()

    def _filled(self, command: str) -> str:
        for kind, token in self.tokens().items():
            command = command.replace(f"avt_{kind}_…", token)
        for published, place in self.places.items():
            command = command.replace(published, place)
        for published, free in ((8080, self.port), (8081, self.second_port), (8083, self.worker_port)):
            command = command.replace(f":{published}", f":{free}").replace(
                f"PORT={published}", f"PORT={free}"
            )
        return command.replace("…", self._job)

    def tokens(self) -> Mapping[str, str]:
        """The tokens of the first run, by kind; none before it."""
        file = self.folder / ".avtomatika" / "secrets.toml"
        return tomllib.loads(file.read_text("utf-8")) if file.exists() else {}


def without_curl() -> bool:
    """True when the commands of the pages cannot be run as they are."""
    return shutil.which("curl") is None


def _commands(text: str) -> list[tuple[str, str]]:
    """Each command with the output that is expected of it."""
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    found = (part.partition("\n") for part in parts if part.strip())
    return [(command, output.strip()) for command, _, output in found]


def _matches(expected: str, printed: str) -> bool:
    if printed == expected:
        return True
    lines = [
        r"(?:.*\n)*?.*" if line.strip() == "…" else r"[^\n]*".join(map(re.escape, line.split("…")))
        for line in expected.splitlines()
    ]
    return (
        re.fullmatch("\n".join(lines), "\n".join(line.rstrip() for line in printed.splitlines())) is not None
    )
