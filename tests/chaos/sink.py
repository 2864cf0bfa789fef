"""The server that webhooks go to. It treats some first attempts badly, and writes down what came."""

import asyncio
from hashlib import sha256
from typing import Final, cast
from zlib import crc32

import msgspec

from tests.chaos.lines import Delivery, Journal, now

REASONS: Final = {200: b"OK", 500: b"Internal Server Error"}


class News(msgspec.Struct, frozen=True):
    """What a webhook tells."""

    event: str
    job_id: str
    status: str
    sequence: int


class Sink(asyncio.Protocol):
    """One connection. Of the webhooks some are refused the first time they come."""

    seen: Final = set[str]()

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._text = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._text += data
        head, found, rest = self._text.partition(b"\r\n\r\n")
        if not found:
            return
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head.decode().split("\r\n")[1:])
        }
        length = int(headers.get("content-length", "0"))
        if len(rest) >= length:
            self._text = rest[length:]
            self._take(headers["webhook-id"], rest[:length])

    def _take(self, name: str, body: bytes) -> None:
        news = msgspec.json.decode(body, type=News)
        first = name not in self.seen
        self.seen.add(name)
        answer = 500 if first and crc32(name.encode()) % 10 == 0 else 200
        self._journal.add(
            Delivery(
                t=now(),
                name=name,
                job=news.job_id,
                event=news.event,
                sequence=news.sequence,
                status=news.status,
                digest=sha256(body).hexdigest()[:16],
                answer=answer,
            )
        )
        if self._transport is not None:
            status = b"%d %s" % (answer, REASONS[answer])
            self._transport.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
