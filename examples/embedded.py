"""Orchestrator, worker and client in one process, so that an example is one program.

Elsewhere they are three: `avtomatika serve`, `avtomatika-worker run`, and whatever speaks HTTP.
"""

import asyncio
import json
import os
import secrets
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

import aiohttp

from avtomatika import Blueprint, Config, OrchestratorEngine
from avtomatika_worker import Worker

Json = dict[str, Any]

TOKEN = secrets.token_hex()
WEBHOOK_SECRET = "whsec_" + b64encode(secrets.token_bytes(32)).decode()


class Refused(Exception):
    """The orchestrator said no. `error` has a code, a message, and the field that is wrong if it is one."""

    def __init__(self, error: Json) -> None:
        super().__init__(error["message"])
        self.error = error


class Client:
    """Speaks the HTTP API. Paths are those below `/api`."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self.url = url

    async def get(self, path: str) -> Json:
        """The answer. Raises Refused."""
        return await self._call("GET", path, None)

    async def post(self, path: str, body: Json | None = None) -> Json:
        """The answer. Raises Refused."""
        return await self._call("POST", path, body or {})

    async def create(self, path: str, **initial_data: Any) -> str:
        """The id of a new job. Raises Refused."""
        job_id: str = (await self.post(path, {"initial_data": initial_data}))["job_id"]
        return job_id

    async def end_of(self, job_id: str) -> Json:
        """The job, which is over within a minute."""
        return await self.get(f"/v1/jobs/{job_id}?wait=60")

    async def run(self, path: str, **initial_data: Any) -> Json:
        """A new job, once it is over. Raises Refused."""
        return await self.end_of(await self.create(path, **initial_data))

    async def follow(self, job_id: str) -> AsyncGenerator[tuple[str, Json], None]:
        """What happens to the job, from its beginning to its end: the kind of the news, and the news."""
        async with self._session.get(f"{self.url}/api/v1/jobs/{job_id}/events") as answer:
            kind = ""
            async for line in answer.content:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    yield kind, json.loads(value)["data"]

    async def until(self, job_id: str, status: str) -> None:
        """The job has had the status, or is over."""
        async with aclosing(self.follow(job_id)) as told:
            async for kind, news in told:
                if kind == "state" and news["status"] == status:
                    return

    async def _call(self, method: str, path: str, body: Json | None) -> Json:
        async with self._session.request(method, f"{self.url}/api{path}", json=body) as answer:
            said: Json = await answer.json()
        if not answer.ok:
            raise Refused(said["error"])
        return said


@asynccontextmanager
async def serving(*parts: Blueprint | Worker, **settings: str) -> AsyncIterator[Client]:
    """The orchestrator runs the blueprints, with these settings, and the workers work for it.

    Jobs are kept where STORAGE_URL says, in memory without it. The port is a free one.
    """
    chosen = {
        "API_PORT": "0",
        "STORAGE_URL": os.environ.get("STORAGE_URL", "memory://"),
        "CLIENT_TOKEN": TOKEN,
        "GLOBAL_WORKER_TOKEN": TOKEN,
        "APPROVAL_SECRET": TOKEN,
        "WEBHOOK_SECRET": WEBHOOK_SECRET,
        "RETRY_BACKOFF_SECONDS": "0.01",
    }
    engine = OrchestratorEngine(config=Config(chosen | settings))
    for blueprint in (part for part in parts if isinstance(part, Blueprint)):
        engine.register_blueprint(blueprint)
    await engine.start()
    host, port = engine.address or ("", 0)
    try:
        async with AsyncExitStack() as stack:
            session = aiohttp.ClientSession(headers={"X-Client-Token": TOKEN})
            client = Client(await stack.enter_async_context(session), f"http://{host}:{port}")
            for worker in (part for part in parts if isinstance(part, Worker)):
                await stack.enter_async_context(working(worker, client))
            yield client
    finally:
        await engine.stop()


@asynccontextmanager
async def working(worker: Worker, client: Client) -> AsyncIterator[None]:
    """The worker asks the orchestrator of the client for tasks, and ends when what it runs has ended."""
    worker.config.ORCHESTRATOR_URL = client.url
    worker.config.WORKER_TOKEN = TOKEN
    worker.config.HEARTBEAT_INTERVAL = 0.1  # by which it hears that a task was cancelled
    work = asyncio.create_task(worker.main())
    try:
        yield
    finally:
        worker.stop()
        await work
