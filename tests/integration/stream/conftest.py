"""Real sockets: a worker, a proxy that does harm, and an orchestrator that tests control."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from avtomatika_worker import Worker, WorkerConfig
from avtomatika_worker.conversation import backoff
from rxon.http.server import add_routes
from rxon.stream import switching
from rxon.stream.channel import STREAM
from rxon.stream.server import add_stream
from rxon.testing.gateway import MemoryGateway
from tests.integration.stream.proxy import Proxy


class Server:
    """An orchestrator that can be stopped and started again on the same port."""

    def __init__(self, gateway: MemoryGateway) -> None:
        self.gateway = gateway
        self.port = 0
        self.streams = True
        self.paths: list[str] = []
        self.asking: asyncio.Transport | None = None
        self._runner: web.AppRunner | None = None

    async def start(self, max_frame: int = 1024 * 1024) -> None:
        app = web.Application(middlewares=[self._record], client_max_size=max_frame)
        add_routes(app, lambda _: self.gateway, transports=(STREAM,) if self.streams else ())
        if self.streams:
            add_stream(app, lambda _: self.gateway, max_frame)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def polls(self) -> int:
        """How many tasks were asked for over HTTP."""
        return sum("/tasks/next" in path for path in self.paths)

    @web.middleware
    async def _record(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.asking = request.transport
        self.paths.append(f"{request.method} {request.path}")
        return await handler(request)


@pytest.fixture(autouse=True)
def _short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was cut off tries again soon."""
    monkeypatch.setattr(switching, "FIRST_DELAY", 0.02)
    monkeypatch.setattr(switching, "LONGEST_DELAY", 0.1)
    monkeypatch.setattr(backoff, "QUICK_INITIAL", 0.02)
    monkeypatch.setattr(backoff, "QUICK_MAXIMUM", 0.1)


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
async def proxy(server: Server) -> AsyncIterator[Proxy]:
    proxy = Proxy(server.port)
    await proxy.start()
    yield proxy
    await proxy.stop()


@pytest.fixture
def worker(proxy: Proxy, tmp_path: Path) -> Worker:
    """A worker for the server behind the proxy, with nothing of the environment in its settings."""
    return Worker(config=settings(f"http://127.0.0.1:{proxy.port}", tmp_path))


def settings(url: str, folder: Path, **more: str) -> WorkerConfig:
    environ = {
        "WORKER_ID": "w1",
        "WORKER_TOKEN": "token",
        "ORCHESTRATOR_URL": url,
        "TASK_FILES_DIR": str(folder / "payloads"),
        "WORKER_SPOOL_DIR": str(folder / "spool"),
        "WORKER_SKILLS_DIR": str(folder / "skills"),
        "WORKER_SHUTDOWN_TIMEOUT": "5",
        "WORKER_PORT": "0",
        "POLL_BACKOFF_INITIAL": "0.1",
    }
    return WorkerConfig(environ | more)


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
