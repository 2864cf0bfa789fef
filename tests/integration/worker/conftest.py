"""A real HTTP server with an orchestrator behind it that tests control."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from avtomatika_worker import Worker, WorkerConfig
from rxon.http.server import add_routes
from rxon.testing.gateway import MemoryGateway
from rxon.transport import WorkerGateway


class Server:
    """An orchestrator that can be stopped and started again on the same port.

    It does not know the paths that end with one of ``missing``.
    """

    def __init__(self, gateway: WorkerGateway) -> None:
        self.gateway = gateway
        self.port = 0
        self.paths: list[str] = []
        self.missing: set[str] = set()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        app = web.Application(middlewares=[self._record])
        add_routes(app, lambda _: self.gateway)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _record(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.paths.append(f"{request.method} {request.path}")
        if any(request.path.endswith(path) for path in self.missing):
            raise web.HTTPNotFound
        return await handler(request)


@pytest.fixture
async def gateway() -> MemoryGateway:
    return MemoryGateway()


@pytest.fixture
async def server(gateway: MemoryGateway) -> AsyncIterator[Server]:
    server = Server(gateway)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def worker(server: Server, tmp_path: Path) -> Worker:
    """A worker for the server, with nothing of the environment in its settings."""
    environ = {
        "WORKER_ID": "w1",
        "WORKER_TOKEN": "token",
        "ORCHESTRATOR_URL": server.url,
        "TASK_FILES_DIR": str(tmp_path / "payloads"),
        "WORKER_SPOOL_DIR": str(tmp_path / "spool"),
        "WORKER_SKILLS_DIR": str(tmp_path / "skills"),
        "WORKER_SHUTDOWN_TIMEOUT": "5",
        "WORKER_PORT": "0",
    }
    return Worker(config=WorkerConfig(environ))


@asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[None]:
    """The worker works while the block runs; then it is drained. Nothing may take 30 seconds."""
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        main = group.create_task(worker.main())
        try:
            yield
        finally:
            worker.stop()
            await asyncio.wait([main])


def json_of(raw: Any) -> Any:
    return msgspec.json.decode(raw)
