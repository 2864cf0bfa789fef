"""What is used of asyncpg, with types, and what its errors mean."""

import ssl
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

import asyncpg  # type: ignore[import-untyped]  # it ships no types

from avtomatika.errors import AvtomatikaError, ConfigError, InvalidInput, StorageFull, Unavailable

CONNECT_S: Final = 5.0
ANSWER_S: Final = 10.0

PostgresError: Final[type[Exception]] = asyncpg.PostgresError
"""What the server says when it refuses."""

Row = Any
"""A row, by position or by name."""

# What the planner would do with tables that are small, or were not analysed yet, it goes on doing when they
# have grown. Every statement of ours is meant to go along an index.
_SETTINGS: Final = {
    "application_name": "avtomatika",
    "client_encoding": "UTF8",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_bitmapscan": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "default_transaction_isolation": "read committed",
    "idle_in_transaction_session_timeout": "60s",
}

_AGAIN: Final[tuple[type[Exception], ...]] = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.UniqueViolationError,
    asyncpg.LockNotAvailableError,
)
_FULL: Final[tuple[type[Exception], ...]] = (asyncpg.DiskFullError,)
_UNFIT: Final[tuple[type[Exception], ...]] = (asyncpg.DataError, asyncpg.ProgramLimitExceededError)
_REFUSED: Final[tuple[type[Exception], ...]] = (
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedFunctionError,
)
_AWAY: Final[tuple[type[Exception], ...]] = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # it shuts down, starts up, or somebody ended the connection
    asyncpg.InsufficientResourcesError,  # too many connections, out of memory
    asyncpg.ReadOnlySQLTransactionError,  # it became a standby
    asyncpg.QueryCanceledError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)

TROUBLE: Final[tuple[type[Exception], ...]] = (PostgresError, *_AWAY)
"""All that a statement may end with when it is not done."""


class Connection(Protocol):
    """What is used of a connection."""

    async def execute(self, query: str, *values: object) -> str:
        """The statement is done; without values it may be several."""
        ...

    async def fetch(self, query: str, *values: object) -> list[Row]:
        """All rows of the statement."""
        ...

    async def fetchrow(self, query: str, *values: object) -> Row | None:
        """Its first row, or None."""
        ...

    async def fetchval(self, query: str, *values: object) -> Any:
        """The first value of its first row, or None."""
        ...

    async def add_listener(self, channel: str, heard: Callable[[Any, int, str, str], None]) -> None:
        """From now on *heard* is told of every notification."""
        ...

    def add_termination_listener(self, ended: Callable[[Any], None]) -> None:
        """*ended* is told when there is no connection any more."""
        ...

    def transaction(self) -> Any:
        """A transaction, as a context."""
        ...

    def is_closed(self) -> bool:
        """True when there is no connection any more."""
        ...

    def terminate(self) -> None:
        """There is none; nobody waits for the other end."""
        ...

    async def close(self, *, timeout: float) -> None:
        """There is none, and the other end knows, if it answered in so many seconds."""
        ...


async def connect(url: str, schema: str, *, patient: bool = False) -> Connection:
    """A connection that uses the tables of *schema*. A *patient* one waits for an answer as long as it takes.

    Raises what `TROUBLE` names, or ConfigError.
    """
    driver = cast(Any, asyncpg)  # it ships no types
    settings = {**_SETTINGS, "search_path": f'"{schema}",pg_temp'}
    answer_s = None if patient else ANSWER_S
    try:
        connection: Connection = await driver.connect(
            url, timeout=CONNECT_S, command_timeout=answer_s, server_settings=settings
        )
    except (ValueError, ssl.SSLError) as error:
        # Of what the driver says of a URL nobody knows what it quotes.
        raise ConfigError(
            f"STORAGE_URL: no connection is possible this way ({type(error).__name__})."
        ) from None
    return connection


def is_again(error: BaseException) -> bool:
    """True when the server undid the statement because of others, and wants it again."""
    return isinstance(error, _AGAIN)


def is_away(error: BaseException) -> bool:
    """True when nobody knows whether the statement was done: the server may be back in a moment."""
    return isinstance(error, _AWAY) and not isinstance(error, _FULL)


def is_refused(error: BaseException) -> bool:
    """True when the role may not, or what is asked for is not there."""
    return isinstance(error, _REFUSED)


def is_unfit(error: BaseException) -> bool:
    """True when a value is one that no table of ours can hold."""
    return isinstance(error, _UNFIT)


def refusal(error: BaseException) -> AvtomatikaError:
    """The error of this package that *error* amounts to. It names no password."""
    if isinstance(error, AvtomatikaError):
        return error
    if isinstance(error, _FULL):
        return StorageFull()
    if is_unfit(error):
        return InvalidInput(f"This cannot be stored: {error}")
    if isinstance(error, asyncpg.PostgresError | OSError):
        return Unavailable(f"PostgreSQL: {type(error).__name__}: {error}")
    return Unavailable(f"PostgreSQL: {type(error).__name__}")
