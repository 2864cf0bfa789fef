"""The schema in the database, step by step.

A step has two parts. `pre` only adds: nodes of the release before go on working beside it. `post` takes away
what they needed, and comes with the step after: by then all nodes are new. So nodes can be replaced one after
another, and no release may be left out while others run.
"""

from collections.abc import Sequence
from importlib import resources
from typing import Final

import msgspec

from avtomatika.errors import ConfigError
from avtomatika.stores.postgres.driver import Connection, PostgresError, is_refused

SCHEMA: Final = 1
"""The step that this release was written for."""

OLDEST: Final = 13
LOCK: Final = 0x617674_6A6F6273  # the name of a lock that all nodes know

_STATE: Final = "SELECT pre, post FROM schema_state"
_THERE: Final = """
SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = $1 AND c.relname = 'schema_state')
"""


class Step(msgspec.Struct, frozen=True):
    """What leads from the schema `number - 1` to `number`: scripts of SQL."""

    number: int
    pre: str
    post: str = ""


class State(msgspec.Struct, frozen=True):
    """Up to which step the parts have run. Who does not know step `post` cannot use the schema."""

    pre: int
    post: int


def steps() -> Sequence[Step]:
    """All steps that this release knows."""
    return [Step(number, _script(number, "pre"), _script(number, "post")) for number in range(1, SCHEMA + 1)]


def _script(number: int, part: str) -> str:
    path = resources.files("avtomatika.stores.postgres").joinpath(f"step_{number}_{part}.sql")
    return path.read_text() if path.is_file() else ""


async def prepare(connection: Connection, schema: str, known: Sequence[Step]) -> None:
    """The schema has all that *known* steps add. Nodes that start at once do it once.

    A role that may only use tables suffices when it is there already. Raises ConfigError.
    """
    await _check_server(connection)
    newest = known[-1].number
    state = await _state(connection, schema)
    if state.pre < newest:
        state = await _add(connection, schema, known)
    if state.post > newest:
        raise ConfigError(
            f"STORAGE_URL: the database has schema {state.post}; this release knows up to {newest}."
        )


async def _check_server(connection: Connection) -> None:
    version = int(await connection.fetchval("SHOW server_version_num"))
    if version < OLDEST * 10_000:
        raise ConfigError(
            f"STORAGE_URL: PostgreSQL {OLDEST} or later is needed; this is {version // 10_000}."
        )
    if await connection.fetchval("SHOW server_encoding") != "UTF8":
        raise ConfigError("STORAGE_URL: the database must have the encoding UTF8.")
    if await connection.fetchval("SELECT pg_is_in_recovery()"):
        raise ConfigError("STORAGE_URL: this server is a standby; name the one that can be written to.")


async def _state(connection: Connection, schema: str) -> State:
    if not await connection.fetchval(_THERE, schema):
        return State(0, 0)
    row = await connection.fetchrow(_STATE)
    return State(0, 0) if row is None else State(row[0], row[1])


def _due(state: State, known: Sequence[Step]) -> list[str]:
    """The scripts to run. Where nobody was before, nobody needs what goes."""
    added = [step.pre for step in known if step.number > state.pre]
    return added + [
        step.post for step in known if step.post and state.post < step.number <= _last(state, known)
    ]


def _last(state: State, known: Sequence[Step]) -> int:
    """Up to which step what it takes away is not needed any more."""
    newest = known[-1].number
    return max(state.post, newest if state.pre == 0 else newest - 1)


async def _add(connection: Connection, schema: str, known: Sequence[Step]) -> State:
    try:
        async with connection.transaction():
            await connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
            state = await _state(connection, schema)
            if state.pre == 0:
                await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
                await connection.execute(
                    "CREATE TABLE schema_state (pre integer NOT NULL, post integer NOT NULL)"
                )
                await connection.execute("INSERT INTO schema_state VALUES (0, 0)")
            if state.pre >= known[-1].number:
                return state
            for script in _due(state, known):
                await connection.execute(script)
            change = "UPDATE schema_state SET pre = $1, post = $2"
            await connection.execute(change, known[-1].number, _last(state, known))
            return await _state(connection, schema)
    except PostgresError as error:
        if is_refused(error):
            raise ConfigError(
                f"STORAGE_URL: a role that may create tables has to bring the schema {schema} to step"
                f" {known[-1].number}: {error}"
            ) from None
        raise
