"""One orchestrator, and workers that misbehave."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Api, Launch, Program, free_port

HERE = Path(__file__).parent
CLIENT_TOKEN, WORKER_TOKEN = "client-token-of-the-workers", "worker-token-of-the-workers"
PACE = {
    "HEARTBEAT_INTERVAL": "1",
    "POLL_BACKOFF_INITIAL": "0.1",
    "POLL_BACKOFF_MAX": "0.5",
    "REGISTRATION_RETRY_INITIAL_DELAY": "0.1",
    "REGISTRATION_RETRY_MAX_DELAY": "0.5",
    "RESULT_RETRY_INITIAL_DELAY": "0.1",
    "WORKER_SHUTDOWN_TIMEOUT": "1",
}


class Scene:
    """An orchestrator whose leases last for ``lease`` seconds, and what its workers note."""

    def __init__(self, launch: Launch, folder: Path, lease: float) -> None:
        self._launch, self._folder = launch, folder
        port = free_port()
        self.node = launch(
            HERE / "orchestrator.py",
            API_PORT=str(port),
            STORAGE_URL=f"sqlite:///{folder / 'jobs.db'}",
            CLIENT_TOKEN=CLIENT_TOKEN,
            GLOBAL_WORKER_TOKEN=WORKER_TOKEN,
            TASK_LEASE_SECONDS=f"{lease:g}",
            MAX_DELIVERIES="20",
        )
        self.api = Api(port, CLIENT_TOKEN)
        self.api.until_ready(self.node)

    def worker(self, name: str, **environment: str) -> Program:
        """A worker of this name runs."""
        shared = {"ORCHESTRATOR_URL": self.api.url, "WORKER_TOKEN": WORKER_TOKEN, "WORKER_ID": name}
        effects = {"EFFECTS": str(self._folder / "effects")}
        return self._launch(HERE / "worker.py", **(shared | PACE | effects | environment))

    def create(self, key: str, **params: object) -> str:
        """A job of one task, which is called *key* in the notes."""
        return self.api.create("/api/v1/jobs/one", {"key": key, **params})

    def notes(self) -> list[tuple[str, str, str, float]]:
        """What was noted: what happened, to which task, in which worker, and when."""
        file = self._folder / "effects"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(what, key, name, float(at)) for what, key, name, at in (line.split() for line in lines)]

    def count(self, what: str) -> Counter[str]:
        """How often it happened to each task."""
        return Counter(key for happened, key, _, _ in self.notes() if happened == what)


Arrange = Callable[[float], Scene]


@pytest.fixture
def arrange(launch: Launch, tmp_path: Path) -> Arrange:
    return lambda lease: Scene(launch, tmp_path, lease)
