"""Workers of ours for earlier orchestrators."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from avtomatika_worker import Worker, WorkerConfig
from tests.integration.worker.earlier.book import Job
from tests.integration.worker.earlier.server import EarlierServer


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


@asynccontextmanager
async def serving(server: EarlierServer) -> AsyncIterator[None]:
    await server.start()
    try:
        yield
    finally:
        await server.stop()


def busy(folder: Path, *urls: str, **settings: str) -> Worker:
    """A worker with the skill ``work``."""
    worker = worker_for(folder, *urls, **settings)
    worker.skill("work")(lambda: {"ok": True})
    return worker


async def over(job: Job) -> Job:
    async with asyncio.timeout(10):
        await job.over.wait()
    return job
