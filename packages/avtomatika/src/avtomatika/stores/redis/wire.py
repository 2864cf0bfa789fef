"""One connection to the primary: batches of calls go out at once, answers come back in their order."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from avtomatika import observe
from avtomatika.stores.redis.reading import Reply, next_reply
from avtomatika.stores.redis.refusals import is_passing, translate

SILENCE_S: Final = 4.0
"""A server that owes an answer and is silent for so long is given up."""

LOOK_S: Final = 0.5


class Call:
    """One command, and who waits for its answer. It may be sent again until *deadline*."""

    __slots__ = ("deadline", "future", "packed")

    def __init__(self, packed: bytes, future: "asyncio.Future[Reply]", deadline: float) -> None:
        self.packed = packed
        self.future = future
        self.deadline = deadline

    def answer(self, reply: Reply) -> None:
        """Who waits has the answer, or the error that it amounts to."""
        if self.future.done():
            return
        if isinstance(reply, ResponseError):
            self.future.set_exception(translate(reply))
        else:
            self.future.set_result(reply)


class Barrier:
    """Commands after each batch: one of their answers tells that replicas have all that was written."""

    __slots__ = ("packed", "passed")

    def __init__(self, packed: Sequence[bytes], passed: Callable[[Reply], bool]) -> None:
        self.packed = packed
        self.passed = passed


class _Again(Exception):
    """The server cannot answer now."""


class _Batch:
    """Calls that went out together. Behind a barrier nobody hears of an answer before the barrier's."""

    __slots__ = ("_answered", "_asked", "_barrier", "_calls", "_replies")

    def __init__(self, calls: Sequence[Call], barrier: Barrier | None) -> None:
        self._calls, self._barrier = calls, barrier
        self._answered = 0
        self._replies: list[Reply] = []
        self._asked = 0 if barrier is None else len(barrier.packed)

    @property
    def left(self) -> Sequence[Call]:
        """The calls that nobody has heard of."""
        return self._calls[self._answered :]

    def take(self, reply: Reply) -> bool:
        """The next answer. True when it was the last. Raises when the calls have to be sent again."""
        if isinstance(reply, ResponseError) and is_passing(reply):
            raise _Again(str(reply))
        if self._barrier is None:
            self._calls[self._answered].answer(reply)
            self._answered += 1
            return self._answered == len(self._calls)
        if len(self._replies) < len(self._calls):
            self._replies.append(reply)
            return False
        self._asked -= 1
        if isinstance(reply, ResponseError):
            raise _Again(str(reply))  # the server is no primary any more: nobody waits for its replicas
        if self._barrier.passed(reply):
            for call, kept in zip(self._calls, self._replies, strict=True):
                call.answer(kept)
            self._answered = len(self._calls)
        elif not self._asked:
            raise _Again("No replica has it.")
        return not self._asked


class Wire:
    """A connection until it breaks; then *ended* hears which calls were not answered, in their order."""

    def __init__(
        self,
        connection: AbstractConnection,
        barrier: Barrier | None,
        ended: Callable[["Wire", list[Call]], None],
    ) -> None:
        self.answered = False
        self.why: BaseException | None = None
        self._connection, self._barrier, self._ended = connection, barrier, ended
        self._sent: deque[_Batch] = deque()
        self._open = True
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._watch = self._loop.call_later(LOOK_S, self._look)
        self._parting: asyncio.Task[None] | None = None
        self._reader = self._loop.create_task(self._read())
        # Not in a `finally` of the reader: one that is cancelled before it begins never comes to it.
        self._reader.add_done_callback(self._read_no_more)

    @property
    def owed(self) -> int:
        """How many batches wait for answers."""
        return len(self._sent)

    async def send(self, calls: Sequence[Call]) -> None:
        """The calls are on their way; should they not arrive, `ended` hears of them."""
        if not self._sent:
            self._heard = self._loop.time()
        self._sent.append(_Batch(calls, self._barrier))
        if not self._open:
            self._give_back()
            return
        packed = [call.packed for call in calls]
        if self._barrier is not None:
            packed += self._barrier.packed
        try:
            async with asyncio.timeout(SILENCE_S):  # a server that reads nothing lets nothing leave
                await self._connection.send_packed_command(packed, check_health=False)
        except Exception as error:  # noqa: BLE001 - whatever it is, what was not sent is given back
            self.why = error
            self._reader.cancel()

    def _give_back(self) -> None:
        self._open = False
        calls = [call for batch in self._sent for call in batch.left]
        self._sent.clear()
        self._ended(self, calls)

    async def close(self) -> None:
        """The connection is closed."""
        self._reader.cancel()
        await asyncio.wait((self._reader,))
        if self._parting is not None:
            await self._parting

    def doubt(self) -> None:
        """The server may be no primary any more: what it owes is given back. A new one is not doubted."""
        if self.answered:
            self.why = RedisError("The primary may be another one.")
            self._reader.cancel()

    def _look(self) -> None:
        self._watch = self._loop.call_later(LOOK_S, self._look)
        if self._sent and self._loop.time() - self._heard > SILENCE_S:
            self.why = TimeoutError("Redis did not answer.")
            self._reader.cancel()

    async def _read(self) -> None:
        while True:
            self._take(await self._reply())

    def _read_no_more(self, reader: "asyncio.Task[None]") -> None:
        if not reader.cancelled():
            self.why = reader.exception()
            if not isinstance(self.why, RedisError | OSError | _Again | None):
                observe.failure("redis.unreadable", self.why)
        self._watch.cancel()
        self._give_back()
        self._parting = self._loop.create_task(self._connection.disconnect(nowait=True))

    async def _reply(self) -> Reply:
        try:
            return await next_reply(self._connection)
        except ResponseError as error:
            return error

    def _take(self, reply: Reply) -> None:
        self._heard = self._loop.time()
        batch = self._sent[0]
        if batch.take(reply):
            self._sent.popleft()
            self.answered = True
