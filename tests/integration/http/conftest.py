"""Real nodes on real ports, and both sides of the conversation with them: clients and workers."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from avtomatika import Blueprint, ClientConfig, Config, OrchestratorEngine
from avtomatika.app import parts as composition
from avtomatika.commands.access import Access
from avtomatika.settings import Settings

CLIENT_TOKEN = "client-token-of-the-tests"
OTHER_TOKEN = "other-client-token-of-the-tests"
WORKER_TOKEN = "worker-token-of-the-tests"
OPERATOR_TOKEN = "operator-token-of-the-tests"
STORES = ("memory", "sqlite")
SHARED = {"valkey": "valkey_url", "postgres": "postgres_url"}

# What matters most runs on every store; all else would find the same on each.
on_every_store = pytest.mark.parametrize("storage", [*STORES, *SHARED], indirect=True)
on_lasting_stores = pytest.mark.parametrize("storage", ["sqlite", *SHARED], indirect=True)


class Worker:
    """One worker over plain HTTP: what it sends is what a test says, byte for byte."""

    def __init__(self, node: "Orchestrator", worker_id: str, **headers: str) -> None:
        self.id = worker_id
        self.node = node
        self._headers = {"X-Worker-Token": WORKER_TOKEN, **headers}

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        headers = self._headers | options.pop("headers", {})
        return await self.node.call(method, path, body, headers=headers, **options)

    async def register(self, *skills: str, **fields: Any) -> tuple[int, Any]:
        described = [{"name": skill, "type": skill} for skill in skills]
        body = {"worker_id": self.id, "worker_type": "test", "supported_skills": described, **fields}
        return await self.call("POST", "/_worker/workers/register", body)

    async def poll(self, timeout: float = 5.0, **query: Any) -> dict[str, Any] | None:
        """One task in the shape of the earlier generations, or None."""
        status, body = await self.poll_raw(timeout=timeout, **query)
        assert status in (200, 204), body
        return body if status == 200 else None

    async def take(self, **query: Any) -> dict[str, Any]:
        """The next task, which is there or comes soon."""
        task = await self.poll(**query)
        assert task is not None
        return task

    async def poll_batch(self, limit: int, timeout: float = 5.0) -> list[dict[str, Any]]:
        """Tasks in the shape of ours."""
        status, body = await self.poll_raw(timeout=timeout, limit=limit)
        assert status in (200, 204), body
        return body["tasks"] if status == 200 else []

    async def poll_raw(self, **query: Any) -> tuple[int, Any]:
        return await self.call("GET", f"/_worker/workers/{self.id}/tasks/next", params=query)

    async def beat(self, *tasks: str, **fields: Any) -> tuple[int, Any]:
        body = {"worker_id": self.id, "status": "idle", "current_tasks": list(tasks), **fields}
        return await self.call("PATCH", f"/_worker/workers/{self.id}", body)

    async def report(
        self, task: dict[str, Any], data: Any = None, *, token: bool = True, **fields: Any
    ) -> tuple[int, Any]:
        """The result of a task: with its lease token as ours, without it as the earlier generations."""
        return await self.call(
            "POST", "/_worker/tasks/result", self.result(task, data, token=token, **fields)
        )

    def result(
        self, task: dict[str, Any], data: Any = None, *, token: bool = True, **fields: Any
    ) -> dict[str, Any]:
        body = {"job_id": task["job_id"], "task_id": task["task_id"], "worker_id": self.id, "data": data}
        if token:
            body["lease_token"] = task["lease_token"]
        return body | fields

    async def fail(
        self, task: dict[str, Any], code: str, message: str = "no luck", **fields: Any
    ) -> tuple[int, Any]:
        return await self.report(task, status="failure", error={"code": code, "message": message}, **fields)


class Orchestrator:
    """A running engine, and a client of it."""

    def __init__(self, engine: OrchestratorEngine, session: aiohttp.ClientSession) -> None:
        self.engine = engine
        self.session = session

    @property
    def url(self) -> str:
        assert self.engine.url is not None
        return self.engine.url

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        """Status and decoded body. A *body* that is bytes goes out as it is, all else as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        url = URL(self.url + path, encoded=True)
        async with self.session.request(method, url, data=data, **options) as response:
            raw = await response.read()
        return response.status, json.loads(raw) if raw else None

    async def get(self, path: str, *, token: str = CLIENT_TOKEN, **query: Any) -> tuple[int, Any]:
        return await self.call("GET", path, headers={"X-Client-Token": token}, params=query)

    async def post(
        self, path: str, body: Any = None, *, token: str = CLIENT_TOKEN, **headers: str
    ) -> tuple[int, Any]:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.call("POST", path, body, headers={"X-Client-Token": token, **given})

    async def create(self, body: Any = None, path: str = "/api/v1/jobs/flow", **headers: str) -> str:
        status, answer = await self.post(path, {} if body is None else body, **headers)
        assert status == 202, answer
        assert answer["status"] == "accepted"
        job_id: str = answer["job_id"]
        return job_id

    async def job(self, job_id: str, **query: Any) -> dict[str, Any]:
        status, body = await self.get(f"/api/v1/jobs/{job_id}", **({"detailed": "true"} | query))
        assert status == 200, body
        assert isinstance(body, dict)
        return body

    async def ended(self, job_id: str, wait: float = 20.0) -> dict[str, Any]:
        """The job, which is over."""
        job = await self.job(job_id, wait=wait)
        assert job["status"] in ("finished", "failed", "cancelled", "quarantined"), job
        return job

    async def worker(self, worker_id: str = "w1", *skills: str, **headers: str) -> Worker:
        """A worker that is registered with these skills."""
        worker = Worker(self, worker_id, **headers)
        status, body = await worker.register(*(skills or ("work",)))
        assert status == 200, body
        return worker


Start = Callable[..., Awaitable[Orchestrator]]


def storage_url(kind: str, folder: Path) -> str:
    return "memory://" if kind == "memory" else f"sqlite:///{folder / 'jobs.db'}"


def two_clients(settings: Settings) -> Access:
    """The access of a node with two clients; the configuration of a node knows one so far."""
    return Access(
        [(CLIENT_TOKEN, ClientConfig(id="default")), (OTHER_TOKEN, ClientConfig(id="other"))],
        worker_token=settings.worker_token,
        operator_token=settings.operator_token,
    )


async def started(
    url: str, blueprints: tuple[Blueprint, ...], settings: dict[str, Any]
) -> OrchestratorEngine:
    config = Config({})
    defaults = {
        "API_PORT": 0,
        "CLIENT_TOKEN": CLIENT_TOKEN,
        "GLOBAL_WORKER_TOKEN": WORKER_TOKEN,
        "OPERATOR_TOKEN": OPERATOR_TOKEN,
        "APPROVAL_SECRET": "approval-secret-of-the-tests",
        "WEBHOOK_SECRET": "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cy10aGF0LW5vYm9keS11c2Vz",
        "STORAGE_URL": url,
        "DRAIN_TIMEOUT_SECONDS": 5,
        "RETRY_BACKOFF_SECONDS": 0.05,
    }
    for name, value in (defaults | settings).items():
        setattr(config, name, value)
    engine = OrchestratorEngine(config=config)
    for blueprint in blueprints:
        engine.register_blueprint(blueprint)
    await engine.start()
    return engine


@pytest.fixture(params=STORES)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param in SHARED:
        url: str = request.getfixturevalue(SHARED[request.param])
        return url
    return storage_url(request.param, tmp_path)


@pytest.fixture
async def start(
    storage: str,
    storage_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> AsyncIterator[Start]:
    """Starts nodes on the storage; afterwards nothing on the log may be an error."""
    place = {"STORAGE_PREFIX": storage_prefix}
    monkeypatch.setattr(composition, "access_of", two_clients)
    nodes: list[Orchestrator] = []

    async def begin(*blueprints: Blueprint, **settings: Any) -> Orchestrator:
        engine = await started(storage, blueprints, place | settings)
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        nodes.append(Orchestrator(engine, session))
        return nodes[-1]

    with caplog.at_level(logging.INFO, "avtomatika"):
        yield begin
        for node in nodes:
            await node.session.close()
            await node.engine.stop()
        await asyncio.sleep(0)
    assert alarming(caplog.records) == []


def alarming(records: list[logging.LogRecord]) -> list[str]:
    """What no request of anybody may bring about: errors and traces on the log."""
    return [record.getMessage() for record in records if record.levelno >= logging.ERROR or record.exc_info]
