"""A store in a Valkey that tests may stop, cut and tamper with."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest

from avtomatika.stores.redis.opening import Place, open_redis
from avtomatika.stores.redis.registry import RedisRegistry
from avtomatika.stores.redis.store import RedisStore
from avtomatika.testing.store_contract import CountedTokens, VirtualClock
from tests.servers.valkey import ValkeyServer

Opened = tuple[RedisStore, RedisRegistry]
Open = Callable[..., Awaitable[Opened]]


@pytest.fixture
async def open_at(storage_prefix: str) -> AsyncIterator[Open]:
    """Opens the store of the test at a URL, again and again; a node each time."""
    opened: list[RedisStore] = []
    tokens = CountedTokens()

    async def open_at(url: str, *, replicated: bool = False, volatile: bool = False) -> Opened:
        place = Place(url, storage_prefix, replicated, volatile)
        name = f"node-{len(opened)}"
        found = await open_redis(place, now=VirtualClock().now, tokens=tokens, sender=name)
        opened.append(found[0])
        return found

    yield open_at
    for store in opened:
        await store.close()


class Cutter:
    """Stands between a store and its server, and lets no answer through when it is told so."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._swallow = b""
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.cut = 0
        self.heard = bytearray()
        self.url = ""

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        """It listens."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"

    async def stop(self) -> None:
        """Nobody gets through."""
        assert self._server is not None
        self._server.close()
        self.hang_up()

    def after(self, script: str) -> None:
        """The next call of the script is let through, and the connection ends before its answer."""
        self._swallow = script.encode()

    async def until_heard(self, word: bytes, times: int) -> None:
        """Returns when the word came by so many times."""
        async with asyncio.timeout(20):
            while self.heard.count(word) < times:
                await asyncio.sleep(0.01)

    def hang_up(self) -> None:
        """All connections end."""
        for writer in self._open:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onward = await asyncio.open_connection("127.0.0.1", self._port)
        self._open |= {writer, onward}
        deaf = asyncio.Event()
        back = asyncio.ensure_future(self._answers(there, writer, deaf))
        with suppress(OSError):
            while data := await reader.read(65_536):
                self.heard += data
                if self._swallow and self._swallow in data:
                    self._swallow = b""
                    deaf.set()
                onward.write(data)
        onward.close()
        writer.close()
        await asyncio.wait((back,))

    async def _answers(
        self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, deaf: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while data := await there.read(65_536):
                if deaf.is_set():
                    self.cut += 1
                    writer.close()
                    return
                writer.write(data)


@pytest.fixture
async def cutter(valkey_server: ValkeyServer) -> AsyncIterator[Cutter]:
    """Between a store and the server."""
    cutter = Cutter(valkey_server.port)
    await cutter.start()
    yield cutter
    await cutter.stop()
