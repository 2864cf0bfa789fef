"""Programs as users start them: in processes of their own, with an environment that is all theirs."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Long enough for a busy machine; no test waits for it when all is well.
DEADLINE = 60.0
LOOK_AGAIN = 0.02


class Program:
    """A Python file that runs; it can be killed and run again."""

    def __init__(self, file: Path, folder: Path, environment: dict[str, str]) -> None:
        self.file, self.folder = file, folder
        self.environment = environment
        self.log = folder / f"{file.stem}-{environment.get('WORKER_ID', 'node')}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def run(self) -> "Program":
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-u", str(self.file)],
                cwd=self.folder,
                env={**kept, "XDG_STATE_HOME": str(self.folder / "state"), **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def kill(self) -> None:
        """The process is dead without a chance to say anything."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(DEADLINE)

    def end(self, number: int = signal.SIGTERM) -> int:
        """The exit code after a signal that asks for a decent end."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(DEADLINE)

    @property
    def output(self) -> str:
        return self.log.read_text("utf-8", errors="replace") if self.log.exists() else ""

    def says(self, wanted: str) -> str:
        """The output, once *wanted* is in it."""
        until(lambda: wanted in self.output, f"{self.log.name} never said {wanted!r}:\n", lambda: self.output)
        return self.output


def until(
    what: Callable[[], bool], complaint: str = "it never happened", more: Callable[[], str] = str
) -> None:
    """Returns when *what* is true."""
    deadline = time.monotonic() + DEADLINE
    while not what():
        assert time.monotonic() < deadline, complaint + more()
        time.sleep(LOOK_AGAIN)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Api:
    """A client that speaks plain HTTP, with the token under the header that it is told."""

    def __init__(self, port: int, token: str, header: str = "X-Client-Token") -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.headers = {header: token, "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, self.headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def ready(self) -> bool:
        try:
            return self.call("GET", "/_public/ready")[0] == 200
        except OSError:
            return False

    def until_ready(self, program: Program) -> None:
        until(self.ready, f"{program.log.name} never listened:\n", lambda: program.output)

    def create(self, path: str, body: Any) -> str:
        status, answer = self.call("POST", path, body)
        assert status == 202, answer
        job_id: str = answer["job_id"]
        return job_id

    def ended(self, job_id: str) -> dict[str, Any]:
        status, job = self.call("GET", f"/api/v1/jobs/{job_id}?detailed=true&wait=30")
        assert status == 200, job
        assert job["status"] in ("finished", "failed", "quarantined", "cancelled"), job
        assert isinstance(job, dict)
        return job


Launch = Callable[..., Program]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Runs programs in a folder of the test's own; none outlives the test."""
    programs: list[Program] = []

    def start(file: Path, **environment: str) -> Program:
        programs.append(Program(file, tmp_path, environment).run())
        return programs[-1]

    yield start
    for program in programs:
        if program.process is not None and program.process.poll() is None:
            program.kill()
