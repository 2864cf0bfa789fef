"""A worker that listens to the WebSocket of an earlier orchestrator, beside its polls."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from avtomatika_worker import Worker, WorkerConfig
from avtomatika_worker.skills.commands import Command
from rxon.http import command_socket
from rxon.http.server import add_routes
from rxon.testing.gateway import MemoryGateway
from tests.integration.worker.conftest import working


class Sockets:
    """The sockets that workers open, and what was asked for with each."""

    def __init__(self) -> None:
        self.open: asyncio.Queue[web.WebSocketResponse] = asyncio.Queue()
        self.headers: list[Any] = []
        self.refused = 0
        self.refuse = 0

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if self.refuse:
            self.refuse -= 1
            self.refused += 1
            raise web.HTTPForbidden
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.headers.append(request.headers)
        await self.open.put(socket)
        async for message in socket:
            assert message.type is not WSMsgType.ERROR
        return socket


@pytest.fixture
def sockets() -> Sockets:
    return Sockets()


@pytest.fixture
async def worker(sockets: Sockets, gateway: MemoryGateway, tmp_path: Path) -> AsyncIterator[Worker]:
    app = web.Application()
    add_routes(app, lambda _: gateway)
    app.router.add_get("/_worker/ws/{worker_id}", sockets.serve)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    environ = {
        "WORKER_ID": "w1",
        "WORKER_TOKEN": "token",
        "ORCHESTRATOR_URL": f"http://127.0.0.1:{runner.addresses[0][1]}",
        "TASK_FILES_DIR": str(tmp_path / "payloads"),
        "WORKER_SKILLS_DIR": str(tmp_path / "skills"),
        "WORKER_ENABLE_WEBSOCKETS": "true",
    }
    yield Worker(config=WorkerConfig(environ))
    await runner.cleanup()


async def test_a_task_is_stopped_when_the_socket_says_so(
    worker: Worker, sockets: Sockets, gateway: MemoryGateway
) -> None:
    began, stopped = asyncio.Event(), asyncio.Event()

    @worker.skill("work")
    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with working(worker):
        socket = await sockets.open.get()
        task = await gateway.offer("work")
        await began.wait()
        await socket.send_json({"command": "cancel_task", "task_id": task, "job_id": "job-1"})
        async with asyncio.timeout(5):
            await stopped.wait()
    assert not gateway.results
    assert sockets.headers[0]["X-Worker-Token"] == "token"


async def test_commands_are_heard_also_after_the_socket_was_cut_and_refused(
    worker: Worker, sockets: Sockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_socket, "FIRST_DELAY", 0.01)
    seen: asyncio.Queue[Command] = asyncio.Queue()
    worker.skill("work")(lambda: None)
    worker.on_command("reload")(seen.put)
    async with working(worker):
        socket = await sockets.open.get()
        for rubbish in ("no JSON", "[]", "{}", '{"command": 7}', '{"command": "cancel_task"}'):
            await socket.send_str(rubbish)
        await socket.send_json({"command": "reload", "params": {"n": 1}})
        assert (await seen.get()).params == {"n": 1}
        sockets.refuse = 2
        await socket.close()
        socket = await sockets.open.get()
        await socket.send_json({"command": "reload"})
        assert (await seen.get()).params == {}
    assert sockets.refused == 2


async def test_without_the_setting_there_is_no_socket(
    worker: Worker, sockets: Sockets, gateway: MemoryGateway
) -> None:
    worker.config.WORKER_ENABLE_WEBSOCKETS = False
    worker.skill("work")(lambda: None)
    async with working(worker):
        await gateway.result_of(await gateway.offer("work"))
    assert sockets.open.empty()
