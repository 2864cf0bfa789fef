"""The socket of earlier orchestrators: tasks are called back over it, events go over HTTP, which answers."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from avtomatika_worker import Worker
from avtomatika_worker.skills.commands import Command
from rxon.http.command_socket import ListeningTransport
from rxon.http.keys import Keys
from rxon.messages import Registration
from tests.integration.worker.conftest import working
from tests.integration.worker.earlier.certificates import server_context, write_certificates
from tests.integration.worker.earlier.fleet import serving, worker_for
from tests.integration.worker.earlier.releases import O21, O27, RELEASES
from tests.integration.worker.earlier.server import EarlierServer

LISTENS = {"WORKER_ENABLE_WEBSOCKETS": "true", "HEARTBEAT_INTERVAL": "60"}
Release = type[EarlierServer]


def patient(folder: Path, server: EarlierServer, **settings: str) -> tuple[Worker, asyncio.Event, list[Any]]:
    """A worker whose tasks wait to be stopped; that one has begun; those that were stopped."""
    worker = worker_for(folder, server.url, **LISTENS, **settings)
    began, stopped = asyncio.Event(), list[Any]()

    @worker.skill("work")
    async def work(n: int) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(n)
            server.changed.set()

    return worker, began, stopped


@pytest.mark.parametrize("release", RELEASES)
async def test_a_task_is_stopped_over_the_socket_long_before_the_next_heartbeat(
    release: Release, tmp_path: Path
) -> None:
    server = release(own_tokens={"w1": "own-token"})
    async with serving(server):
        settings = {"WORKER_INDIVIDUAL_TOKEN": "own-token"}
        worker, began, stopped = patient(tmp_path, server, **settings)
        async with working(worker), asyncio.timeout(10):
            job = await server.dispatch("work", {"n": 1})
            await began.wait()
            await server.until(lambda: "w1" in server.sockets)
            await server.cancel(job)
            await server.until(lambda: stopped == [1])
            began.clear()
            second = await server.dispatch("work", {"n": 2})
            await began.wait()  # its place was free at once
            await server.cancel(second)
            await server.until(lambda: stopped == [1, 2])
    assert server.results == []


@pytest.mark.parametrize("release", RELEASES)
async def test_events_go_over_http_though_there_is_a_socket(release: Release, tmp_path: Path) -> None:
    server = release()
    async with serving(server):
        worker = worker_for(tmp_path, server.url, **LISTENS)

        @worker.skill("work")
        async def work(send_event: Any) -> None:
            async with asyncio.timeout(10):
                await server.until(lambda: "w1" in server.sockets)
            await send_event("seen", {"n": 1})

        async with working(worker), asyncio.timeout(10):
            job = await server.dispatch("work")
            await job.over.wait()
    assert [event["payload"] for event in server.events] == [{"n": 1}]
    assert server.frames == []


async def test_a_command_of_another_name_reaches_its_handler(tmp_path: Path) -> None:
    server, told = O27(), asyncio.Queue[Command]()
    async with serving(server):
        worker = worker_for(tmp_path, server.url, **LISTENS)
        worker.skill("work")(lambda: None)
        worker.on_command("reload")(told.put)
        async with working(worker), asyncio.timeout(10):
            await server.until(lambda: "w1" in server.sockets)
            await server.sockets["w1"].send_str(json.dumps({"command": "reload", "params": {"n": 1}}))
            assert (await told.get()).params == {"n": 1}


@pytest.mark.parametrize("release", [O21, O27])
async def test_the_socket_is_opened_with_certificate_and_the_token_that_is_shown(
    release: Release, tmp_path: Path
) -> None:
    write_certificates(tmp_path, "w1")
    server = release()
    server.tls = server_context(tmp_path)
    certificate = {
        "TLS_CA_PATH": str(tmp_path / "ca.pem"),
        "TLS_CERT_PATH": str(tmp_path / "worker.pem"),
        "TLS_KEY_PATH": str(tmp_path / "worker.key"),
    }
    async with serving(server):
        worker, began, stopped = patient(tmp_path, server, **certificate)
        async with working(worker), asyncio.timeout(10):
            job = await server.dispatch("work", {"n": 1})
            await began.wait()
            await server.until(lambda: "w1" in server.sockets)
            await server.cancel(job)
            await server.until(lambda: stopped == [1])


async def test_the_token_does_not_follow_a_redirect_to_another_place() -> None:
    elsewhere, asked = list[str](), asyncio.Event()
    app = web.Application()

    async def redirect(request: web.Request) -> web.Response:
        asked.set()
        raise web.HTTPTemporaryRedirect("/elsewhere")

    async def other(request: web.Request) -> web.Response:
        elsewhere.append(request.headers.get("X-Worker-Token", ""))
        return web.Response()

    async def register(request: web.Request) -> web.Response:
        return web.json_response({"status": "registered", "version": "2.0.0"})

    app.router.add_get("/_worker/ws/{id}", redirect)
    app.router.add_get("/elsewhere", other)
    app.router.add_post("/_worker/workers/register", register)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    transport = ListeningTransport(url, "w1", Keys("token"), chance=lambda: 1.0)
    async with asyncio.timeout(10):
        for _ in range(2):  # when it asks again, what became of the first is known
            asked.clear()
            await transport.register(Registration("w1"))
            await asked.wait()
    await transport.close()
    await runner.cleanup()
    assert elsewhere == []
