"""Connections that are shared by all who ask for something, and what is done when one of them breaks."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar

from avtomatika.errors import Unavailable
from avtomatika.stores.postgres.driver import (
    TROUBLE,
    Connection,
    Row,
    connect,
    is_again,
    is_away,
    refusal,
)

MOST: Final = 8
PATIENCE_S: Final = 10.0
FIRST_PAUSE_S: Final = 0.02
LONGEST_PAUSE_S: Final = 1.0
CLOSE_S: Final = 2.0

T = TypeVar("T")


class Patience:
    """How long somebody who met trouble goes on trying."""

    def __init__(self, closed: asyncio.Event) -> None:
        self._closed = closed
        self._until: float | None = None
        self._pause = FIRST_PAUSE_S

    async def pause(self, error: BaseException) -> None:
        """Some time has passed: try again. Raises what *error* amounts to when it has been too long."""
        now = asyncio.get_running_loop().time()
        self._until = self._until or now + PATIENCE_S
        if now >= self._until or self._closed.is_set():
            raise refusal(error) from error
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), self._pause)
        self._pause = min(LONGEST_PAUSE_S, 2 * self._pause)


class Pool:
    """Up to `MOST` connections to one schema."""

    def __init__(self, url: str, schema: str) -> None:
        self._url, self.schema = url, schema
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(MOST)
        self.closed = asyncio.Event()

    async def connect(self) -> Connection:
        """A connection of the caller's own. Raises what `TROUBLE` names, or ConfigError."""
        return await connect(self._url, self.schema)

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """A connection for one statement. Whatever interrupts that costs the connection."""
        if self.closed.is_set():
            raise Unavailable("The store is closed.")
        async with self._free:
            connection = await self._taken()
            try:
                yield connection
            except BaseException as error:
                if not isinstance(error, TROUBLE) or is_away(error):
                    connection.terminate()
                raise
            finally:
                self._put_back(connection)

    async def fetch(self, statement: str, *values: object) -> list[Row]:
        """The rows. It is done again when nobody knows whether it was. Raises Unavailable."""
        return await self._repeated(lambda connection, _: connection.fetch(statement, *values))

    async def fetch_again(self, statement: str, *values: object) -> list[Row]:
        """The same; the last value of the statement tells that it was asked before."""
        return await self._repeated(lambda connection, again: connection.fetch(statement, *values, again))

    async def fetchrow(self, statement: str, *values: object) -> Row | None:
        """The first row, or None; as `fetch` does it."""
        return await self._repeated(lambda connection, _: connection.fetchrow(statement, *values))

    async def fetchval(self, statement: str, *values: object) -> Any:
        """The first value of the first row, or None; as `fetch` does it."""
        return await self._repeated(lambda connection, _: connection.fetchval(statement, *values))

    async def once(self, statement: str, *values: object) -> Row | None:
        """The first row, or None. Raises Unavailable, also when nobody knows whether it was done."""
        patience = Patience(self.closed)
        while True:
            sent = False
            try:
                async with self.connection() as connection:
                    sent = True
                    return await connection.fetchrow(statement, *values)
            except TROUBLE as error:
                if is_again(error) or not sent:
                    await patience.pause(error)
                else:
                    raise refusal(error) from error

    async def close(self) -> None:
        """No connection is open, and none will be."""
        self.closed.set()
        for _ in range(MOST):
            await self._free.acquire()
        idle, self._idle = self._idle, []
        for connection in idle:
            with suppress(*TROUBLE):
                await connection.close(timeout=CLOSE_S)

    async def _repeated(self, ask: Callable[[Connection, bool], Awaitable[T]]) -> T:
        patience = Patience(self.closed)
        again = False
        while True:
            try:
                async with self.connection() as connection:
                    return await ask(connection, again)
            except TROUBLE as error:
                if not (is_again(error) or is_away(error)):
                    raise refusal(error) from error
                again = True
                await patience.pause(error)

    async def _taken(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return await self.connect()

    def _put_back(self, connection: Connection) -> None:
        if not connection.is_closed():
            self._idle.append(connection)
