"""A history in PostgreSQL: one connection, one statement for the rows of each call."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, Protocol, cast

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import msgspec

from avtomatika.errors import Unavailable
from avtomatika.ports.history import Row
from avtomatika.records.schema import COLUMNS, SCHEMA, statements, too_new

CONNECT_S: Final = 10.0
ANSWER_S: Final = 60.0
CLOSE_S: Final = 2.0

_INSERT: Final = f"""
INSERT INTO avtomatika_history ({COLUMNS})
SELECT job, version, timestamptz 'epoch' + at * interval '1 millisecond', client, blueprint, state, status,
       event_type, worker, task, attempt, data::jsonb
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::text[], $9::text[], $10::text[], $11::int[], $12::text[])
  AS t (job, version, at, client, blueprint, state, status, event_type, worker, task, attempt, data)
ON CONFLICT (job_id, version) DO NOTHING
"""  # noqa: S608 - constants only
_MIGRATING: Final = 0x617674_68697374  # the name of a lock that all nodes know
_TROUBLE: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
    ValueError,
)
# The values themselves cannot be stored as they are: what jsonb cannot hold, or nests too deep.
_UNFIT: Final = (asyncpg.DataError, asyncpg.ProgramLimitExceededError)


class _Connection(Protocol):
    """What is used of a connection of asyncpg."""

    async def execute(self, query: str, *values: object) -> str: ...
    async def fetchval(self, query: str) -> Any: ...
    def transaction(self) -> Any: ...
    def is_closed(self) -> bool: ...
    def terminate(self) -> None: ...
    async def close(self, *, timeout: float) -> None: ...


class PostgresHistory:
    """Connects when it has to. What the server says in an outage names no password."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._connection: _Connection | None = None

    async def open(self) -> None:
        """There is a connection, and the table at its other end."""
        with self._connection_at_risk():
            await self._connected()

    async def write(self, rows: Sequence[Row]) -> None:
        """All *rows* are committed. Data that jsonb cannot hold become a JSON string of their text."""
        with self._connection_at_risk():
            await _insert(await self._connected(), rows)

    async def close(self) -> None:
        """There is no connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*_TROUBLE):
                await connection.close(timeout=CLOSE_S)

    async def _connected(self) -> _Connection:
        if self._connection is None or self._connection.is_closed():
            # Without a cache of statements it works behind a pooler as well.
            driver = cast(Any, asyncpg)  # it ships no types
            connection: _Connection = await driver.connect(
                self._uri, timeout=CONNECT_S, command_timeout=ANSWER_S, statement_cache_size=0
            )
            self._connection = connection
            await _migrate(connection)
        return self._connection

    @contextmanager
    def _connection_at_risk(self) -> Generator[None]:
        """A failure costs the connection, and is said as Unavailable."""
        try:
            yield
        except BaseException as error:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.terminate()
            if isinstance(error, _TROUBLE):
                raise Unavailable(_said(error)) from error
            raise


async def _insert(connection: _Connection, rows: Sequence[Row]) -> None:
    try:
        await connection.execute(_INSERT, *_columns(rows))
    except _UNFIT:
        if len(rows) > 1:
            half = len(rows) // 2
            await _insert(connection, rows[:half])
            await _insert(connection, rows[half:])
        else:
            await connection.execute(_INSERT, *_columns([_as_text(rows[0])]))


def _columns(rows: Sequence[Row]) -> tuple[list[object], ...]:
    """The values column by column. PostgreSQL knows no NUL in text; the data keep it."""
    return (
        [row.job for row in rows],
        [row.version for row in rows],
        [row.at for row in rows],
        [row.client for row in rows],
        [row.blueprint for row in rows],
        [row.state.replace("\0", "\ufffd") for row in rows],
        [row.status for row in rows],
        [row.event_type for row in rows],
        [row.worker for row in rows],
        [row.task for row in rows],
        [row.attempt for row in rows],
        [row.data.decode() for row in rows],
    )


def _as_text(row: Row) -> Row:
    return msgspec.structs.replace(row, data=msgspec.json.encode(row.data.decode()))


async def _migrate(connection: _Connection) -> None:
    """The table has the schema of this release. A role that may only write suffices where it has already."""
    if await _schema(connection) == SCHEMA:
        return
    async with connection.transaction():
        await connection.execute(f"SELECT pg_advisory_xact_lock({_MIGRATING})")
        found = await _schema(connection)
        if found > SCHEMA:
            raise Unavailable(too_new(found))
        if await connection.fetchval("SHOW server_encoding") != "UTF8":
            raise Unavailable("The database of the history must have the encoding UTF8.")
        for statement in statements("postgres", found):
            await connection.execute(statement)


async def _schema(connection: _Connection) -> int:
    # Not `to_regclass`: it may remember from before the lock that there was no such table.
    there = "SELECT 1 FROM pg_class WHERE relname = 'avtomatika_history_schema' AND pg_table_is_visible(oid)"
    if await connection.fetchval(there) is None:
        return 0
    return int(await connection.fetchval("SELECT version FROM avtomatika_history_schema"))


def _said(error: BaseException) -> str:
    if isinstance(error, asyncpg.PostgresError | OSError):
        return f"PostgreSQL: {type(error).__name__}: {error}"
    return f"PostgreSQL: {type(error).__name__}"  # of what the driver says, nobody knows what it quotes
