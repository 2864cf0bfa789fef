"""Where something listens, as others write it, and when it answers."""

import asyncio
import select
import socket

import pytest
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

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    site = Site(runner, "127.0.0.1", 0, lambda: "id")
    await site.start()
    loop = asyncio.get_running_loop()
    with socket.create_connection(runner.addresses[0]) as client:
        client.setblocking(False)
        await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"hello" in await loop.sock_recv(client, 65_536)
    await runner.cleanup()
    return readable
