"""The socket at the server, by hand: who may open it, and what does not get through."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from rxon.messages import HeartbeatAnswer, Registration
from rxon.stream.channel import SUBPROTOCOL, CloseCode
from rxon.testing.gateway import MemoryGateway
from rxon.transport import Credentials
from tests.integration.stream.conftest import Server

HEADERS = {"X-Worker-Token": "token", "X-Worker-ID": "w1"}
Socket = aiohttp.ClientWebSocketResponse


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture(autouse=True)
async def _known(gateway: MemoryGateway) -> None:
    for name in ("w1", "w2"):
        await gateway.register(Credentials("token", name), Registration(name))


@asynccontextmanager
async def stream(session: aiohttp.ClientSession, server: Server, name: str = "w1") -> AsyncIterator[Socket]:
    url = f"http://127.0.0.1:{server.port}/_worker/stream"
    headers = HEADERS | {"X-Worker-ID": name}
    async with session.ws_connect(url, protocols=(SUBPROTOCOL,), headers=headers, max_msg_size=0) as socket:
        assert await heard(socket) == {"frame": "welcome", "version": "2.0.0", "max_frame": 1024 * 1024}
        yield socket


async def heard(socket: Socket) -> Any:
    message = await socket.receive(timeout=5)
    assert message.type is aiohttp.WSMsgType.TEXT, message
    return json.loads(message.data)


async def closed(socket: Socket) -> int | None:
    """The code with which the server closed."""
    async for _ in socket:
        pass
    return socket.close_code


async def test_a_worker_that_hangs_up_while_its_stream_is_opened_is_no_failure(
    gateway: MemoryGateway, server: Server, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async def heartbeat(*_: object) -> HeartbeatAnswer:
        assert server.asking is not None
        server.asking.close()
        return HeartbeatAnswer("ok")

    gateway.heartbeat = heartbeat  # type: ignore[method-assign] - the moment at which the worker is gone
    with pytest.raises(aiohttp.ClientError):
        async with stream(session, server):
            pytest.fail("nobody is there")
    assert caplog.records == []


@pytest.mark.parametrize(
    ("headers", "protocol", "status", "code"),
    [
        ({"X-Worker-Token": "wrong", "X-Worker-ID": "w1"}, SUBPROTOCOL, 401, "unauthorized"),
        ({"X-Worker-ID": "w1"}, SUBPROTOCOL, 401, "unauthorized"),
        ({"X-Worker-Token": "token"}, SUBPROTOCOL, 400, "invalid_message"),
        ({"X-Worker-Token": "token", "X-Worker-ID": "no such"}, SUBPROTOCOL, 400, "invalid_message"),
        ({"X-Worker-Token": "token", "X-Worker-ID": "w3"}, SUBPROTOCOL, 404, "worker_not_found"),
        (HEADERS, "rxon.99", 400, "invalid_message"),
        (HEADERS, None, 400, "invalid_message"),
    ],
)
async def test_who_may_not_have_a_stream_is_told_before_the_upgrade(
    session: aiohttp.ClientSession,
    server: Server,
    headers: dict[str, str],
    protocol: str | None,
    status: int,
    code: str,
) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    wanted = {} if protocol is None else {"Sec-WebSocket-Protocol": protocol}
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    url = f"http://127.0.0.1:{server.port}/_worker/stream"
    async with session.get(url, headers=headers | upgrade | wanted | key) as answer:
        assert answer.status == status
        assert (await answer.json())["code"] == code
        assert answer.headers["X-RXON-Version"] == "2.0.0"


async def test_a_plain_request_gets_no_stream(session: aiohttp.ClientSession, server: Server) -> None:
    async with session.get(f"http://127.0.0.1:{server.port}/_worker/stream", headers=HEADERS) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "invalid_message")


async def test_frames_may_be_text_or_binary(
    session: aiohttp.ClientSession, server: Server, gateway: MemoryGateway
) -> None:
    ids = [await gateway.offer("work") for _ in range(2)]
    async with stream(session, server) as socket:
        await socket.send_bytes(b'{"frame":"ready","credits":1}')
        assert [each["task_id"] for each in (await heard(socket))["tasks"]] == ids[:1]
        await socket.send_str('{"frame":"ready","credits":1,"seen":1}')
        assert [each["task_id"] for each in (await heard(socket))["tasks"]] == ids[1:]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x00\xff\xfe", CloseCode.MALFORMED),
        (b"{}", CloseCode.MALFORMED),
        (b'{"frame":"ready","credits":-1}', CloseCode.MALFORMED),
        (b'{"frame":"beat","seq":1,"beat":{"status":"' + b"x" * 1024 * 1024 + b'"}}', CloseCode.TOO_LARGE),
    ],
    ids=["no text", "no name", "less than nothing", "too large"],
)
async def test_what_cannot_be_taken_closes_the_socket_and_no_other(
    session: aiohttp.ClientSession, server: Server, frame: bytes, code: int
) -> None:
    async with stream(session, server, "w2") as other:
        async with stream(session, server) as socket:
            await socket.send_bytes(frame)
            async with asyncio.timeout(5):
                assert await closed(socket) == code
        await other.send_str('{"frame":"beat","seq":4}')
        assert (await heard(other))["seq"] == 4


async def test_random_bytes_never_get_further_than_their_socket(
    session: aiohttp.ClientSession, server: Server
) -> None:
    for size in (0, 1, 10, 1_000):
        async with stream(session, server) as socket:
            await socket.send_bytes(os.urandom(size))
            async with asyncio.timeout(5):
                assert await closed(socket) == CloseCode.MALFORMED


async def test_a_newer_socket_of_the_same_worker_takes_the_place_of_the_older_one(
    session: aiohttp.ClientSession, server: Server, gateway: MemoryGateway
) -> None:
    async with stream(session, server) as older:
        await older.send_str('{"frame":"ready","credits":5}')
        await gateway.seen(lambda: len(gateway.polls) == 1)
        async with stream(session, server) as newer:
            async with asyncio.timeout(5):
                assert await closed(older) == CloseCode.REPLACED
            await newer.send_str('{"frame":"ready","credits":5}')
            await gateway.seen(lambda: len(gateway.polls) == 2)
            task = await gateway.offer("work")
            assert [each["task_id"] for each in (await heard(newer))["tasks"]] == [task]


async def test_a_worker_that_does_not_read_takes_no_more_than_the_buffers_hold(
    session: aiohttp.ClientSession, server: Server, gateway: MemoryGateway
) -> None:
    for _ in range(100):
        await gateway.offer("work", "x" * 500_000)
    async with stream(session, server, "w2") as other, stream(session, server) as lazy:
        connection = lazy._conn  # nothing public lets a client not read
        assert connection is not None
        transport: Any = connection.transport
        transport.pause_reading()
        for asked in range(1, 101):
            await lazy.send_json({"frame": "ready", "credits": asked})
            await other.send_json({"frame": "beat", "seq": asked})
            assert (await heard(other))["seq"] == asked  # others do not wait for it
        assert len(gateway._waiting) > 50
        transport.abort()


async def test_a_server_that_stops_says_so_and_when_to_come_back(
    session: aiohttp.ClientSession, server: Server
) -> None:
    async with stream(session, server) as socket:
        await socket.send_str('{"frame":"ready","credits":5}')
        stopping = asyncio.ensure_future(server.stop())
        assert await heard(socket) == {"frame": "bye", "after": 1.0}
        assert await closed(socket) == CloseCode.RESTART
        await stopping
