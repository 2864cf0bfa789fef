"""Workers of ours for earlier orchestrators."""

import json
from pathlib import Path

from avtomatika_worker import Worker, WorkerConfig


def worker_for(folder: Path, *urls: str, **settings: str) -> Worker:
    """A worker that serves the orchestrators at ``urls``, with nothing of the environment in its settings."""
    environ = {
        "WORKER_ID": "w1",
        "WORKER_TOKEN": "fleet-token",
        "ORCHESTRATORS_CONFIG": json.dumps([{"url": url} for url in urls]),
        "TASK_FILES_DIR": str(folder / "payloads"),
        "WORKER_SKILLS_DIR": str(folder / "skills"),
        "HEARTBEAT_INTERVAL": "0.1",
        "TASK_POLL_TIMEOUT": "1",
        "REGISTRATION_RETRY_INITIAL_DELAY": "0.05",
        "POLL_BACKOFF_INITIAL": "0.05",
        "RESULT_RETRY_INITIAL_DELAY": "0.05",
    }
    return Worker(config=WorkerConfig(environ | settings))
