"""Where something listens, as others write it, and when it answers."""

import asyncio
import select
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

import aiohttp
import pytest
import trustme
import uvloop
from aiohttp import web

from avtomatika.http.connections import Site, url_of


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("localhost", "http://localhost:8080"),
        ("::1", "http://[::1]:8080"),
    ],
)
def test_an_address_is_a_url(host: str, url: str) -> None:
    assert url_of(host, 8080) == url


def test_an_answer_is_sent_before_anything_else_is_done_in_the_same_turn_of_the_loop() -> None:
    """Said of uvloop, with which `run` serves: it would send at the end of the turn."""
    assert uvloop.run(_readable_once_written()) == [True]


async def _readable_once_written() -> list[bool]:
    readable: list[bool] = []

    class Answer(web.Response):
        async def write_eof(self, data: bytes = b"") -> None:
            await super().write_eof(data)
            readable.append(bool(select.select([client], [], [], 0)[0]))

    async def hello(_: web.Request) -> web.Response:
        return Answer(text="hello")

    runner = await _serving(hello)
    loop = asyncio.get_running_loop()
    with socket.create_connection(runner.addresses[0]) as client:
        client.setblocking(False)
        await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"hello" in await loop.sock_recv(client, 65_536)
    await runner.cleanup()
    return readable


PIECES: Final = 100
PIECE: Final = b"x" * 65_536


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_an_answer_of_any_size_arrives_whole_over_tls_too(run: Callable[[Any], int]) -> None:
    assert run(_received_over_tls()) == PIECES * len(PIECE)


async def _received_over_tls() -> int:
    authority = trustme.CA()
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(ours)
    authority.configure_trust(theirs)

    async def large(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(PIECES):
            await response.write(PIECE)
        return response

    runner = await _serving(large, ours)
    host, port = runner.addresses[0]
    async with (
        asyncio.timeout(20),
        aiohttp.ClientSession() as session,
        session.get(f"https://{host}:{port}/", ssl=theirs) as answer,
    ):
        received = len(await answer.read())
    await runner.cleanup()
    return received


async def _serving(handler: Any, tls: ssl.SSLContext | None = None) -> web.AppRunner:
    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await Site(runner, "127.0.0.1", 0, lambda: "id", tls).start()
    return runner
