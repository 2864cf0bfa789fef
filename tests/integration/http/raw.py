"""Requests as bytes on a socket: nothing between a test and the server can repair them."""

import asyncio
import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple

CHUNK = 65_536


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def request(
    method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes, chunked: bool
) -> bytes:
    """The bytes of a request. Characters below U+0100 in *headers* and *target* become single bytes."""
    length = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(body)))
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (*headers, length)]
    head = "\r\n".join((*lines, "", "")).encode("latin-1")
    if not chunked:
        return head + body
    pieces = [body[at : at + CHUNK] for at in range(0, len(body), CHUNK)]
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


async def exchange(port: int, sent: bytes, *, end: bool = False) -> Answer:
    """The answer to these bytes. With *end* nothing follows them, so that an unfinished request stays so."""
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(sent)
            if end:
                writer.write_eof()
            # A server that refuses a body need not read all of it.
            received = await _all(reader)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(first.split()[1]) if first else 0, headers, body)


async def _all(reader: asyncio.StreamReader) -> bytes:
    received = b""
    with suppress(ConnectionError):
        while piece := await reader.read(CHUNK):
            received += piece
    return received
