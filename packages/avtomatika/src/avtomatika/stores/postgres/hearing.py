"""What nodes tell each other, by NOTIFY: hints alone, which may be lost.

A notification is a statement of its own and never part of a commit: the server lets only one transaction at a
time commit that notifies.
"""

import asyncio
from contextlib import suppress
from typing import Any, Final

from avtomatika import observe
from avtomatika.stores.announcements import Announcements
from avtomatika.stores.postgres.batches import start
from avtomatika.stores.postgres.driver import TROUBLE, Connection
from avtomatika.stores.postgres.pool import CLOSE_S, Pool

TELL_EVERY_S: Final = 0.005
CHECK_EVERY_S: Final = 15.0
AGAIN_AFTER_S: Final = 1.0
MOST_BYTES: Final = 7_900
"""The server refuses payloads of 8,000 bytes."""

_NOTIFY: Final = "SELECT pg_notify($1, payload) FROM unnest($2::text[]) payload"


class Hearing:
    """One connection that listens, and one statement now and then that tells."""

    def __init__(self, pool: Pool, announcements: Announcements) -> None:
        self._pool, self._announcements = pool, announcements
        self._channel = pool.schema
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.listening = asyncio.Event()

    def start(self) -> None:
        """From now on it hears what others tell."""
        self._beside(self._listen(), "postgres.listen")

    def tell(self) -> None:
        """What was announced is told within milliseconds."""
        if self._timer is None and not self._pool.closed.is_set():
            self._timer = asyncio.get_running_loop().call_later(TELL_EVERY_S, self._tell)

    async def close(self) -> None:
        """It hears and tells nothing. The pool is closed already, or will be."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _beside(self, work: Any, name: str) -> None:
        task = start(work, name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _tell(self) -> None:
        self._timer = None
        payloads = [payload.decode() for payload in self._announcements.payloads(MOST_BYTES)]
        if payloads and not self._pool.closed.is_set():
            self._beside(self._notify(payloads), "postgres.notify")

    async def _notify(self, payloads: list[str]) -> None:
        with suppress(*TROUBLE):
            async with self._pool.connection() as connection:
                await connection.execute(_NOTIFY, self._channel, payloads)

    async def _listen(self) -> None:
        while not self._pool.closed.is_set():
            try:
                connection = await self._pool.connect()
                try:
                    await self._hear(connection)
                finally:
                    self.listening.clear()
                    await _end(connection)
            except TROUBLE as error:
                observe.event("storage.deaf", error=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._pool.closed.wait(), AGAIN_AFTER_S)

    async def _hear(self, connection: Connection) -> None:
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        await connection.add_listener(self._channel, self._heard)
        self.listening.set()
        while not ended.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), CHECK_EVERY_S)
            await connection.execute("SELECT 1")  # a network that swallows everything ends nothing

    def _heard(self, _connection: Any, _process: int, _channel: str, payload: str) -> None:
        self._announcements.hear(payload.encode())


async def _end(connection: Connection) -> None:
    try:
        with suppress(*TROUBLE):
            await connection.close(timeout=CLOSE_S)
    except BaseException:
        connection.terminate()
        raise
