"""Hints between the nodes of a store, by way of the server. They may be lost: no work is carried here."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from avtomatika.stores.announcements import Announcements
from avtomatika.stores.redis.calls import Calls
from avtomatika.stores.redis.reading import next_reply

PAUSE_S: Final = 0.5
CONNECT_S: Final = 3.0


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
        self.listening = asyncio.Event()
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

    async def _listen(self) -> None:
        while True:
            try:
                async with asyncio.timeout(CONNECT_S):
                    connection = await self._connect()
            except (RedisError, OSError):
                connection = None
            if connection is not None:
                try:
                    await self._hear(connection)
                except (RedisError, OSError):
                    pass
                finally:
                    self.listening.clear()
                    await connection.disconnect(nowait=True)
            await asyncio.sleep(PAUSE_S)  # noqa: TID251 - an adapter; no rule depends on it

    async def _hear(self, connection: AbstractConnection) -> None:
        await connection.send_command("SUBSCRIBE", self._channel, check_health=False)
        while True:
            kind, _, payload = await next_reply(connection)
            if kind == b"subscribe":
                self.listening.set()
            elif kind == b"message":
                self._announcements.hear(payload)
