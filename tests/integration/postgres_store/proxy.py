"""A relay between a client and a server that loses what it is told to lose."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Proxy:
    """Passes bytes on. Of a connection whose next question or answer is to be lost nothing is left."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._lose_answer = self._lose_question = False
        self._writers: set[asyncio.StreamWriter] = set()
        self.lost = 0

    def lose_next_answer(self) -> None:
        """The server does what it is asked next, and the client does not hear of it."""
        self._lose_answer = True

    def lose_next_question(self) -> None:
        """The server never hears what it is asked next."""
        self._lose_question = True

    def cut(self) -> None:
        """Nobody is connected any more."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection(self._host, self._port)
        self._writers |= {to_client, to_server}
        try:
            await asyncio.gather(self._ask(client, to_server), self._answer(server, to_client))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._writers -= {to_client, to_server}
            to_client.transport.abort()
            to_server.transport.abort()

    async def _ask(self, client: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
        while data := await client.read(65_536):
            if self._lose_question:
                self._lose_question = False
                self.lost += 1
                raise ConnectionResetError
            to_server.write(data)
        raise ConnectionResetError

    async def _answer(self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        while data := await server.read(65_536):
            if self._lose_answer:
                self._lose_answer = False
                self.lost += 1
                raise ConnectionResetError
            to_client.write(data)
        raise ConnectionResetError


@asynccontextmanager
async def proxy_to(uri: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy, and the URI of the database behind it."""
    parts = urlsplit(uri)
    proxy = Proxy(parts.hostname or "", parts.port or 0)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield proxy, uri.replace(f":{parts.port}/", f":{port}/")
    finally:
        server.close()
        proxy.cut()
        with suppress(asyncio.CancelledError):
            await server.wait_closed()
