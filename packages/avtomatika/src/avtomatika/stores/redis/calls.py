"""Calls to the server as the store makes them: scripts that write, scripts and commands that read."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from redis.asyncio.connection import AbstractConnection

from avtomatika.errors import InvalidInput
from avtomatika.stores.redis.encoding import packed
from avtomatika.stores.redis.line import Line
from avtomatika.stores.redis.reading import Reply
from avtomatika.stores.redis.scripts import Script
from avtomatika.stores.redis.wire import Barrier

BUCKET_S: Final = 15
"""Answers are kept in buckets, each for the calls of so many seconds (prelude.lua keeps them a minute)."""

LINES: Final = 4
"""So many batches may wait for replicas at once."""

_ENCODER: Final = msgspec.msgpack.Encoder()

Key = str | bytes


class Calls:
    """The primary, as far as the keys of one prefix go. *sender* is a name that no other process has."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[AbstractConnection]],
        prefix: str,
        sender: str,
        barrier: Barrier | None = None,
    ) -> None:
        self._base = f"{{{prefix}}}".encode()
        self.replicated = barrier is not None
        self._sender = sender
        self._made = 0
        self._loop = asyncio.get_running_loop()
        self._reads = Line(connect)
        self._writes = [Line(connect, barrier) for _ in range(LINES if barrier else 1)]
        self._line = self._writes[0]
        for line in self._writes:  # a primary that was deposed takes nothing, but would still answer
            line.redialled = self._reads.renew

    @property
    def redialled(self) -> Callable[[], None]:
        """Is called when the primary was dialled again: it may be another one."""
        return self._reads.redialled

    @redialled.setter
    def redialled(self, call: Callable[[], None]) -> None:
        self._reads.redialled = call

    async def write(self, script: Script, asked: tuple[object, ...], *, may_be_lost: bool = False) -> Reply:
        """What the script answers. It takes effect once, however often it has to be sent.

        What *may_be_lost* waits for no replica. Raises Unavailable when it may or may not have taken effect,
        InvalidInput for text without encoding.
        """
        self._made += 1
        bucket = f"{self._sender}:{int(self._loop.time()) // BUCKET_S}"
        call = packed(b"EVALSHA", script.digest, 1, self._base, bucket, self._made, _encoded(asked))
        return await self._sent(self._reads if may_be_lost else self._writing(), call)

    async def read(self, script: Script, asked: tuple[object, ...]) -> Reply:
        """What the script answers, which changes nothing. Raises Unavailable and InvalidInput."""
        call = packed(b"EVALSHA", script.digest, 1, self._base, b"", b"", _encoded(asked))
        return await self._sent(self._reads, call)

    async def ask(self, command: str, key: str, *arguments: str | bytes | int) -> Reply:
        """What the server answers to a command about one key. Raises Unavailable and InvalidInput."""
        try:
            call = packed(command, self._base + key.encode(), *arguments)
        except UnicodeEncodeError as error:
            raise InvalidInput("This text holds half a character.") from error
        return await self._sent(self._reads, call)

    def publish(self, channel: bytes, payload: bytes) -> None:
        """Whoever listens to the channel hears *payload*, unless it is lost."""
        heard: asyncio.Future[Reply] = self._loop.create_future()
        heard.add_done_callback(_ignored)
        self._reads.send(packed(b"PUBLISH", channel, payload), heard)

    async def close(self) -> None:
        """The connections are closed."""
        for line in (self._reads, *self._writes):
            await line.close()

    async def _sent(self, line: Line, call: bytes) -> Reply:
        answer: asyncio.Future[Reply] = self._loop.create_future()
        line.send(call, answer)
        return await answer

    def _writing(self) -> Line:
        """The line for the batch of this turn: what is asked for at once happens in that order."""
        if len(self._writes) > 1 and not self._line.gathering:
            self._line = min(self._writes, key=lambda line: line.owed)
        return self._line


def _encoded(asked: tuple[object, ...]) -> bytes:
    try:
        return _ENCODER.encode(asked)
    except UnicodeEncodeError as error:
        raise InvalidInput("This text holds half a character.") from error


def _ignored(heard: "asyncio.Future[Reply]") -> None:
    if not heard.cancelled():
        heard.exception()
