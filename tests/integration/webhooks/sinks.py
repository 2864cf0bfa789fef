"""Servers that webhooks go to: one answers as it is told, byte for byte, the other nobody may find."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

HERE = "127.0.0.2"
"""Where the sinks are. The traps are at 127.0.0.1, so that a policy can tell the two apart."""

TAKEN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Received(NamedTuple):
    """One request: its first line, its headers by lower-case name, its body."""

    line: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


def always(raw: bytes) -> Answer:
    """The same answer to everything."""

    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)

    return answer


def status(code: int, *headers: str) -> bytes:
    """An answer without a body."""
    lines = [f"HTTP/1.1 {code} Whatever", "Content-Length: 0", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Sink:
    """An HTTP server. What it received is in `received`."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.received: list[Received] = []
        self.connections = 0
        self.port = 0
        self.keeps_open = False
        self.serving: set[asyncio.Task[object]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        try:
            while await self._serve_one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other side left, or the test is over
        finally:
            writer.close()
            self.serving.discard(task)

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request was answered; True when the connection is kept for another."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.rstrip("\r\n").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.received.append(Received(line, headers, body))
        await self.answer(self.received[-1], writer)
        await writer.drain()
        return self.keeps_open

    async def close(self) -> None:
        """Whoever is still being served is cut off."""
        for task in self.serving:
            task.cancel()
        await asyncio.gather(*self.serving)


@asynccontextmanager
async def sink(answer: Answer, host: str = HERE, **options: object) -> AsyncIterator[Sink]:
    """A sink that is open for the time being."""
    opened = Sink(answer)
    server = await asyncio.start_server(opened.serve, host, 0, **options)
    opened.port = server.sockets[0].getsockname()[1]
    try:
        yield opened
    finally:
        server.close()
        await opened.close()


@asynccontextmanager
async def trap() -> AsyncIterator[Sink]:
    """A server on all loopback addresses that a webhook might be led to, which counts who comes."""
    caught = Sink(always(TAKEN))
    first = await asyncio.start_server(caught.serve, "127.0.0.1", 0)
    caught.port = first.sockets[0].getsockname()[1]
    servers = [first]
    if socket.has_ipv6:
        with suppress(OSError):  # a machine without ::1 has nothing to be trapped there
            servers.append(await asyncio.start_server(caught.serve, "::1", caught.port))
    try:
        yield caught
    finally:
        for server in servers:
            server.close()
        await caught.close()
