"""The processes of the demo: an orchestrator and two workers, on a port and with tokens of their own."""

import os
import secrets
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from avtomatika.cli.connection import Connection
from avtomatika.cli.processes import Child, Children
from avtomatika.cli.refusal import Refusal
from avtomatika.cli.serve import PIPELINE

WORKERS: Final = ("worker-1", "worker-2")
START_TIMEOUT: Final = 30.0
PAUSE: Final = 0.02

_ORCHESTRATOR: Final = {
    "AVTOMATIKA_INSECURE_HTTP": "false",
    "CLIENT_API_PREFIX": "api",
    "DRAIN_TIMEOUT_SECONDS": "3",
    "ENABLE_CLIENT_API": "true",
    # Short, so that what a killed worker had in hand is given to another soon.
    "TASK_LEASE_SECONDS": "3",
    "RUN_LEASE_SECONDS": "3",
    "WORKER_POLL_TIMEOUT_SECONDS": "5",
}
_WORKER: Final = {
    "HEARTBEAT_INTERVAL": "1",
    "MAX_CONCURRENT_TASKS": "2",
    "POLL_BACKOFF_INITIAL": "0.1",
    "POLL_BACKOFF_MAX": "0.5",
    "REGISTRATION_RETRY_INITIAL_DELAY": "0.1",
    "REGISTRATION_RETRY_MAX_DELAY": "0.5",
    "RESULT_MAX_RETRIES": "100",
    "RESULT_RETRY_INITIAL_DELAY": "0.1",
    "TASK_POLL_ERROR_DELAY": "0.1",
    "WORKER_SHUTDOWN_TIMEOUT": "2",
}


class Stage:
    """Where the demo plays. Everything is started through *children* and kept in *folder*."""

    def __init__(self, children: Children, folder: Path) -> None:
        self._children = children
        self._folder = folder
        self._port = free_port()
        self._client_token = secrets.token_urlsafe(24)
        self._worker_token = secrets.token_urlsafe(24)
        self.connection = Connection(f"http://127.0.0.1:{self._port}", self._client_token)

    def orchestrator(self) -> Child:
        """The orchestrator takes requests, with all that an earlier one had accepted. Raises Refusal."""
        variables = {
            **clean_environment(),
            **_ORCHESTRATOR,
            "API_HOST": "127.0.0.1",
            "API_PORT": str(self._port),
            "AVTOMATIKA_DATA_DIR": str(self._folder),
            "CLIENT_TOKEN": self._client_token,
            "GLOBAL_WORKER_TOKEN": self._worker_token,
            "STORAGE_URL": f"sqlite:///{self._folder / 'demo.db'}",
        }
        command: list[str | Path] = [sys.executable, "-m", "avtomatika", "serve", PIPELINE / "blueprint.py"]
        child = self._start("orchestrator", command, variables)
        self._await(child, self.connection.ready)
        return child

    def worker(self, name: str) -> Child:
        """The worker runs; it registers by itself. Raises Refusal."""
        variables = {
            **clean_environment(),
            **_WORKER,
            "ORCHESTRATOR_URL": f"http://127.0.0.1:{self._port}",
            "WORKER_ID": name,
            "WORKER_TOKEN": self._worker_token,
            "TASK_FILES_DIR": str(self._folder / name),
            "WORKER_SPOOL_DIR": str(self._folder / "spool"),
        }
        return self._start(name, [sys.executable, PIPELINE / "worker.py"], variables)

    def kill(self, child: Child) -> None:
        """The process was killed, as by a power cut, and the system has buried it."""
        self._children.kill(child)

    def check(self) -> None:
        """Every process lives. Raises Refusal with the last words of one that does not."""
        child = self._children.dead()
        if child is not None:
            raise Refusal(f"The {child.name} ended with code {child.code}: {child.last_words()}")

    def _start(self, name: str, command: list[str | Path], variables: dict[str, str]) -> Child:
        return self._children.start(name, command, variables, self._folder / f"{name}.log")

    def _await(self, child: Child, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not happened():
            self.check()
            if time.monotonic() > deadline:
                raise Refusal(f"The {child.name} did not start: {child.last_words()}")
            time.sleep(PAUSE)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def clean_environment() -> dict[str, str]:
    """Our environment without what is meant for other orchestrators and workers."""
    from avtomatika.config import VARIABLES

    def foreign(name: str) -> bool:
        return name in VARIABLES or name.startswith(("WORKER_", "ORCHESTRATOR", "TLS_", "MULTI_"))

    return {name: value for name, value in os.environ.items() if not foreign(name)}
