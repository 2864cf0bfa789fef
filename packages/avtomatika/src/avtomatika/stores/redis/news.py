"""Hints between the nodes of a store, by way of the server. They may be lost: no work is carried here."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from redis.asyncio.connection import AbstractConnection

from avtomatika.stores.announcements import Announcements
from avtomatika.stores.redis.calls import Calls
from avtomatika.stores.redis.reading import next_reply

PAUSE_S: Final = 0.5
CONNECT_S: Final = 3.0
QUIET_S: Final = 5.0
"""Whoever says nothing for so long is asked whether it is still there."""


class News:
    """Tells the other nodes once a turn of the loop what happened in it, and hears from them."""

    def __init__(
        self,
        calls: Calls,
        connect: Callable[[], Awaitable[AbstractConnection]],
        prefix: str,
        announcements: Announcements,
    ) -> None:
        self._calls, self._connect, self._announcements = calls, connect, announcements
        self._channel = f"{{{prefix}}}:news".encode()
        self._loop = asyncio.get_running_loop()
        self._telling = False
        self._connection: AbstractConnection | None = None
        self._parting: asyncio.Task[None] | None = None
        calls.redialled = self._elsewhere
        self._task = self._loop.create_task(self._listen())

    def tell(self) -> None:
        """What was gathered goes out with this turn of the loop."""
        if not self._telling:
            self._telling = True
            self._loop.call_soon(self._tell)

    async def close(self) -> None:
        """Nothing is heard any more."""
        self._task.cancel()
        await asyncio.wait((self._task,))

    def _tell(self) -> None:
        self._telling = False
        payload = self._announcements.payload()
        if payload is not None:
            self._calls.publish(self._channel, payload)

    def _elsewhere(self) -> None:
        """The primary may be another one now: the present one is not listened to any more."""
        if self._connection is not None:
            self._parting = self._loop.create_task(self._connection.disconnect(nowait=True))

    async def _listen(self) -> None:
        while True:
            with suppress(Exception):  # whatever it is, others have to be heard again
                async with asyncio.timeout(CONNECT_S):
                    self._connection = await self._connect()
                try:
                    await self._hear(self._connection)
                finally:
                    connection, self._connection = self._connection, None
                    await connection.disconnect(nowait=True)
            await asyncio.sleep(PAUSE_S)  # noqa: TID251 - an adapter; no rule depends on it

    async def _hear(self, connection: AbstractConnection) -> None:
        await connection.send_command("SUBSCRIBE", self._channel, check_health=False)
        asked = False
        while True:
            said = await next_reply(connection, QUIET_S)
            if said is not None:
                asked = False
                if said[0] == b"message":
                    self._announcements.hear(said[2])
            elif asked:
                raise TimeoutError("Redis did not answer.")
            else:
                asked = True
                await connection.send_command("PING", check_health=False)
