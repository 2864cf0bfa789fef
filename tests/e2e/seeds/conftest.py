"""An orchestrator for the workers of the pages, and those workers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Api, Launch, Program, free_port

HERE = Path(__file__).parent
CLIENT_TOKEN = "a-client-token-of-the-seeds"
WORKER_TOKEN = "your-secret-token"
OPERATOR_TOKEN = "an-operator-token-of-the-seeds"
PACE = {
    "HEARTBEAT_INTERVAL": "0.5",
    "POLL_BACKOFF_INITIAL": "0.1",
    "POLL_BACKOFF_MAX": "0.2",
    "REGISTRATION_RETRY_INITIAL_DELAY": "0.1",
    "REGISTRATION_RETRY_MAX_DELAY": "0.2",
    "WORKER_HEARTBEAT_COOLDOWN": "0",
}


class Node:
    """An orchestrator whose jobs are one task each, with its clients and its workers."""

    def __init__(self, folder: Path, token: str, port: int) -> None:
        folder.mkdir(exist_ok=True)
        environment = {
            "API_PORT": str(port),
            "CLIENT_TOKEN": CLIENT_TOKEN,
            "OPERATOR_TOKEN": OPERATOR_TOKEN,
            "GLOBAL_WORKER_TOKEN": token,
            "RETRY_BACKOFF_SECONDS": "0.02",
            "JOB_MAX_RETRIES": "2",
        }
        self.program = Program(HERE / "one_task.py", folder, environment).run()
        self.api, self.operator = Api(port, CLIENT_TOKEN), Api(port, OPERATOR_TOKEN)

    def until_ready(self) -> "Node":
        self.api.until_ready(self.program)
        return self

    def begun(
        self, skill: str, params: Any = None, ways: dict[str, str] | None = None, priority: float = 0
    ) -> str:
        """A job of one task for *skill*."""
        task = {"skill": skill, "params": params or {}, "transitions": {"success": "done", **(ways or {})}}
        return self.api.create("/api/v1/jobs/one", {**task, "task_priority": priority})

    def over(self, skill: str, params: Any = None, ways: dict[str, str] | None = None) -> dict[str, Any]:
        """Such a job at its end."""
        return self.api.ended(self.begun(skill, params, ways))

    def result(self, skill: str, params: Any = None) -> Any:
        """What came out of such a job."""
        job = self.over(skill, params)
        assert job["status"] == "finished", job
        return job["result"]

    def error(self, skill: str, params: Any = None) -> tuple[str, str, str]:
        """How such a job ended, and why."""
        job = self.over(skill, params)
        return job["status"], job["error"]["code"], job["error"]["message"]

    def hot(self, worker_id: str) -> list[str]:
        """The skills that are hot on a worker."""
        workers = self.operator.call("GET", "/api/v1/workers")[1]["workers"]
        (found,) = [worker["hot_skills"] for worker in workers if worker["worker_id"] == worker_id]
        return list(found)

    def tell(self, worker_id: str, command: str) -> str:
        """Whether the command is sent or waits to be."""
        status, answer = self.operator.call("POST", f"/api/v1/workers/{worker_id}/commands/{command}")
        assert status == 202, answer
        return str(answer["status"])


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node(tmp_path_factory.mktemp("node"), WORKER_TOKEN, free_port())
    yield node.until_ready()
    node.program.kill()


Start = Callable[..., Program]


@pytest.fixture
def start(node: Node, launch: Launch, tmp_path: Path) -> Start:
    """Runs one of the workers of this folder for the node, with more in its environment if need be."""

    def run(name: str, **environment: str) -> Program:
        shared = {
            "WORKER_ID": name,
            "ORCHESTRATOR_URL": node.api.url,
            "WORKER_TOKEN": WORKER_TOKEN,
            "WORKER_PORT": str(free_port()),
            "TASK_FILES_DIR": str(tmp_path / "payloads"),
            "WORKER_BLOB_CACHE_DIR": str(tmp_path / "cache"),
        }
        return launch(HERE / f"{name}.py", **(shared | PACE | environment))

    return run
