"""A way to the primary that outlives its connections: what was not answered is sent again, in order."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from redis.asyncio.connection import AbstractConnection

from avtomatika import observe
from avtomatika.errors import Unavailable
from avtomatika.stores.redis.wire import Barrier, Call, Wire

PATIENCE_S: Final = 10.0
"""For so long a call is sent again; then its outcome is unknown, and its caller hears `Unavailable`."""

SHORT_S: Final = 1.0
"""The patience when there has been no primary for longer than the other one."""

CONNECT_S: Final = 3.0
FIRST_PAUSE_S: Final = 0.02
MOST_PAUSE_S: Final = 0.64


class Line:
    """Whatever is sent within one turn of the loop goes out as one batch."""

    def __init__(
        self, connect: Callable[[], Awaitable[AbstractConnection]], barrier: Barrier | None = None
    ) -> None:
        self._connect, self._barrier = connect, barrier
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Call] = deque()
        self._work = asyncio.Event()
        self._wire: Wire | None = None
        self._failures = 0
        self._down_since: float | None = None
        self._closed = False
        self.redialled: Callable[[], None] = _nothing
        self._task = self._loop.create_task(self._run())

    @property
    def gathering(self) -> bool:
        """True when a batch is to go out."""
        return bool(self._waiting)

    @property
    def owed(self) -> int:
        """How many batches wait for answers."""
        return 0 if self._wire is None else self._wire.owed

    def send(self, packed: bytes, future: "asyncio.Future[object]") -> None:
        """The command is on its way, and *future* gets its answer, or Unavailable."""
        now = self._loop.time()
        long = self._down_since is None or now - self._down_since < PATIENCE_S
        if self._closed:
            future.set_exception(Unavailable("The store is closed."))
            return
        self._waiting.append(Call(packed, future, now + (PATIENCE_S if long else SHORT_S)))
        self._work.set()

    def renew(self) -> None:
        """The primary may be another one: it is looked for again before anything else is sent."""
        if self._wire is not None:
            self._wire.doubt()

    async def close(self) -> None:
        """Nothing is sent any more; who still waits hears so."""
        self._closed = True
        self._task.cancel()
        await asyncio.wait((self._task,))
        if self._wire is not None:
            await self._wire.close()
        for call in self._waiting:
            self._refuse(call, "The store is closed.")
        self._waiting.clear()

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._waiting:
                wire = self._wire or await self._dial()
                calls, self._waiting = self._waiting, deque()
                if wire is None:
                    self._again(list(calls), "There is no connection to Redis.")
                else:
                    await wire.send(list(calls))

    async def _dial(self) -> Wire | None:
        """A new connection, after a pause when the last ones came to nothing."""
        if self._failures:
            pause = min(MOST_PAUSE_S, FIRST_PAUSE_S * 2**self._failures)
            await asyncio.sleep(pause)  # noqa: TID251 - an adapter; no rule depends on it
        try:
            async with asyncio.timeout(CONNECT_S):
                connection = await self._connect()
        except Exception as error:  # noqa: BLE001 - whatever it is, the line does not die of it
            self._failures += 1
            if self._down_since is None:
                self._down_since = self._loop.time()
                observe.warning("redis.lost", reason=f"{type(error).__name__}: {error}")
            return None
        if self._down_since is not None:
            observe.event("redis.found")
        self._down_since = None
        if self._failures:
            self.redialled()
        self._wire = Wire(connection, self._barrier, self._ended)
        return self._wire

    def _ended(self, wire: Wire, calls: list[Call]) -> None:
        if wire is self._wire:
            self._wire = None
            self._failures = 1 if wire.answered else self._failures + 1
        self._again(calls, f"Redis does not answer: {wire.why}")

    def _again(self, calls: list[Call], why: str) -> None:
        now = self._loop.time()
        for call in reversed(calls):
            if call.future.done():
                continue  # nobody waits any more: an outcome that is unknown stays so
            if call.deadline <= now or self._closed:
                self._refuse(call, why)
            else:
                self._waiting.appendleft(call)
        if self._waiting:
            self._work.set()

    @staticmethod
    def _refuse(call: Call, why: str) -> None:
        if not call.future.done():
            call.future.set_exception(Unavailable(why))


def _nothing() -> None:
    """Nobody wants to know."""
