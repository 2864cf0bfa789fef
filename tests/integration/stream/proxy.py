"""What may lie between a worker and its orchestrator: a proxy that refuses, cuts, and swallows."""

import asyncio
from contextlib import suppress

REFUSALS = {
    "400": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "404": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "200": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
    "hang up": b"",
}


class Proxy:
    """Passes bytes on, and does to streams what a test says.

    ``refuse`` names an answer to the opening of a stream. ``cut_after`` is how many bytes may pass through
    the next stream, ``direction`` which of the two ways is counted; ``cuts`` counts what was cut.
    """

    def __init__(self, target: int) -> None:
        self.refuse: str | None = None
        self.cut_after: int | None = None
        self.direction = "down"
        self.cuts = 0
        self.streams = 0
        self.refused = 0
        self.requests: list[bytes] = []
        self._target = target
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._streams: set[asyncio.StreamWriter] = set()

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            writer.transport.abort()

    def cut(self) -> None:
        """Every stream is cut off."""
        for writer in self._streams:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head.partition(b"\r\n")[0])
            stream = b"/_worker/stream" in self.requests[-1]
            if stream and self.refuse is not None:
                self.refused += 1
                writer.write(REFUSALS[self.refuse])
                await writer.drain()
            else:
                await self._pass_on(head, reader, writer, stream)
        writer.close()

    async def _pass_on(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stream: bool
    ) -> None:
        there_reader, there = await asyncio.open_connection("127.0.0.1", self._target)
        pair = {writer, there}
        self._open |= pair
        if stream:
            self._streams |= pair
            self.streams += 1
        budget = self.cut_after if stream else None
        there.write(head)
        down = self._pump(there_reader, writer, pair, budget if self.direction == "down" else None)
        up = self._pump(reader, there, pair, budget if self.direction == "up" else None)
        try:
            await asyncio.gather(down, up)
        finally:
            self._open -= pair
            self._streams -= pair
            for each in pair:
                each.transport.abort()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        pair: set[asyncio.StreamWriter],
        budget: int | None,
    ) -> None:
        while data := await reader.read(65_536):
            if budget is not None and len(data) > budget:
                data = data[:budget]
            writer.write(data)
            await writer.drain()
            if budget is not None:
                budget -= len(data)
                if budget == 0:
                    self.cuts += 1
                    self.cut_after = None
                    for each in pair:
                        each.transport.abort()
                    return
        for each in pair:
            each.transport.abort()
