"""What only PostgreSQL can do to a history: refuse values, and refuse us."""

import asyncio
import json
import logging
import sys

import pytest

from avtomatika.app import open_history
from avtomatika.errors import ConfigError, Unavailable
from tests.integration.history.conftest import lines_of
from tests.integration.history.looking import execute
from tests.integration.history.test_tables import a_row, line
from tests.servers.postgres import PASSWORD, PostgresServer

UNFIT = {
    "NUL": rb'{"text":"a\u0000b"}',
    "half a character": rb'{"text":"\ud800"}',
    "an astronomical number": b'{"n":1e200000}',
    "a deep nest": b"[" * 20_000 + b"]" * 20_000,
}


async def test_data_that_jsonb_cannot_hold_are_kept_as_text_among_others(postgres_uri: str) -> None:
    history = open_history(postgres_uri)
    rows = [a_row(n) for n in range(1, 41)]
    for n, data in enumerate(UNFIT.values()):
        rows[7 * n] = a_row(7 * n + 1, data=data)
    await history.write(rows)
    await history.write(rows)
    await history.close()
    found = await lines_of(postgres_uri)
    unfit = {7 * n: data.decode() for n, data in enumerate(UNFIT.values())}
    assert found == [
        (*line(a_row(n + 1))[:-1], unfit[n]) if n in unfit else line(row) for n, row in enumerate(rows)
    ]


async def test_a_state_may_have_any_name(postgres_uri: str) -> None:
    history = open_history(postgres_uri)
    await history.write([a_row(1, state="a\0b"), a_row(2)])
    await history.close()
    assert [row[5] for row in await lines_of(postgres_uri)] == ["a\ufffdb", "s"]


async def test_a_role_that_may_only_read_and_write_suffices_once_the_table_is_there(
    own_uri: str, postgres_server: PostgresServer
) -> None:
    history = open_history(own_uri)
    await history.open()
    await history.close()
    await execute(
        own_uri,
        "DROP ROLE IF EXISTS writer",
        "CREATE ROLE writer LOGIN PASSWORD 'w'",
        "GRANT SELECT, INSERT ON avtomatika_history TO writer",
        "GRANT SELECT ON avtomatika_history_schema TO writer",
    )
    database = own_uri.rpartition("/")[2]
    modest = open_history(postgres_server.uri(database, "writer", "w"))
    await modest.write([a_row(1)])
    await modest.close()
    assert await lines_of(own_uri) == [line(a_row(1))]
    await execute(own_uri, "DROP OWNED BY writer", "DROP ROLE writer")


async def test_a_database_that_cannot_hold_every_text_is_refused(
    own_uri: str, postgres_server: PostgresServer
) -> None:
    await execute(own_uri, "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    history = open_history(postgres_server.uri("latin"))
    with pytest.raises(Unavailable, match="UTF8"):
        await history.open()
    await history.close()
    await execute(own_uri, "DROP DATABASE latin WITH (FORCE)")


@pytest.mark.parametrize("what", ["password", "port", "database", "parameter", "host"])
async def test_who_cannot_connect_is_told_why_without_the_password(
    what: str, postgres_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    good = postgres_server.uri()
    bad = {
        "password": postgres_server.uri(password="s3cret"),
        "port": good.replace(str(postgres_server.port), "1"),
        "database": postgres_server.uri("nowhere"),
        "parameter": f"{good}?sslmode=s3cret",
        "host": good.replace("127.0.0.1", "nowhere.invalid"),
    }[what]
    caplog.set_level(logging.DEBUG)
    history = open_history(bad)
    with pytest.raises(Unavailable, match="PostgreSQL: ") as caught:
        await history.write([a_row()])
    said = caught.value.message + caplog.text
    assert PASSWORD not in said
    assert "p%2Fw" not in said
    assert "s3cret" not in said


async def test_a_server_that_comes_back_is_written_to_again(
    own_uri: str, postgres_server: PostgresServer
) -> None:
    history = open_history(own_uri)
    await history.write([a_row(1)])
    postgres_server.stop()
    with pytest.raises(Unavailable):
        await history.write([a_row(2)])
    postgres_server.start()
    await history.write([a_row(2)])
    await history.close()
    assert await lines_of(own_uri) == [line(a_row(1)), line(a_row(2))]


async def test_a_server_that_answers_nobody_is_given_up_and_later_found_again(
    own_uri: str, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avtomatika.records.postgres.ANSWER_S", 0.2)
    monkeypatch.setattr("avtomatika.records.postgres.CONNECT_S", 0.2)
    history = open_history(own_uri)
    await history.write([a_row(1)])
    postgres_server.pause()
    try:
        for _ in range(2):
            async with asyncio.timeout(20):
                with pytest.raises(Unavailable):
                    await history.write([a_row(2)])
    finally:
        postgres_server.go_on()
    monkeypatch.undo()
    await history.write([a_row(2)])
    await history.close()
    assert json.dumps(await lines_of(own_uri)) == json.dumps([line(a_row(1)), line(a_row(2))])


def test_without_the_driver_the_start_is_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    monkeypatch.delitem(sys.modules, "avtomatika.records.postgres", raising=False)
    with pytest.raises(ConfigError, match=r"HISTORY_DATABASE_URI: .*avtomatika\[postgres\]"):
        open_history("postgresql://h/d")
