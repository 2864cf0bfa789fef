"""The PostgreSQL of the tests does what tests need of it."""

import asyncpg

from tests.servers.postgres import PostgresServer


async def _ask(uri: str, *statements: str) -> object:
    connection = await asyncpg.connect(uri)
    try:
        for statement in statements:
            found = await connection.fetchval(statement)
    finally:
        await connection.close()
    return found


async def test_a_server_that_crashed_has_its_data_on_the_same_port(
    own_uri: str, postgres_server: PostgresServer
) -> None:
    await _ask(own_uri, "CREATE TABLE t (a int)", "INSERT INTO t VALUES (1)")
    postgres_server.restart()
    assert await _ask(own_uri, "SELECT a FROM t") == 1
