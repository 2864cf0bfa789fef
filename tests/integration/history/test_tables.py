"""What every history outside promises, shown on real databases."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from avtomatika.errors import Unavailable
from avtomatika.kernel.time import Instant
from avtomatika.ports.history import Row
from tests.integration.history.conftest import Look, Open
from tests.integration.history.looking import execute

AT = Instant(1_790_000_000_123)


def a_row(version: int = 1, **fields: Any) -> Row:
    known = {
        "job": "j-1",
        "version": version,
        "at": AT,
        "client": "c",
        "blueprint": "b",
        "state": "s",
        "status": "running",
        "event_type": "decided",
        "worker": None,
        "task": None,
        "attempt": None,
        "data": b'{"a":1.5}',
    }
    return Row(**(known | fields))


def line(row: Row) -> tuple[Any, ...]:
    return (*msgspec.structs.astuple(row)[:-1], json.loads(row.data))


async def test_rows_are_there_as_they_were_given(opened: Open, lines: Look) -> None:
    rows = [
        a_row(1),
        a_row(2, worker="w", task="j-1-2-0", attempt=2, status="finished"),
        a_row(3, client="", state="état 'x'; --", data='{"text":"ü\\n\\"","list":[1,null,true]}'.encode()),
        a_row(4, at=Instant(0)),
        a_row(5, at=Instant(AT + 876)),
    ]
    await opened().write(rows)
    assert await lines() == [line(row) for row in rows]


async def test_a_row_that_is_there_stays_as_it_is(opened: Open, lines: Look) -> None:
    history = opened()
    await history.write([a_row(1), a_row(2)])
    await history.write([a_row(2, state="other"), a_row(3), a_row(3, state="again")])
    assert await lines() == [line(a_row(n)) for n in (1, 2, 3)]


async def test_more_rows_than_one_statement_takes_are_written(opened: Open, lines: Look) -> None:
    rows = [a_row(n) for n in range(1, 1_001)]
    await opened().write(rows)
    assert await lines() == [line(row) for row in rows]


async def test_nothing_to_write_is_written(opened: Open, lines: Look) -> None:
    history = opened()
    await history.open()
    await history.write([])
    assert await lines() == []


async def test_nodes_that_come_at_once_make_the_table_once(opened: Open, lines: Look) -> None:
    histories = [opened() for _ in range(5)]
    await asyncio.gather(*(history.open() for history in histories))
    await asyncio.gather(*(history.write([a_row(n)]) for n, history in enumerate(histories)))
    await asyncio.gather(*(history.write([a_row(n) for n in range(5)]) for history in histories))
    assert await lines() == [line(a_row(n)) for n in range(5)]


async def test_a_history_that_was_closed_can_be_written_again(opened: Open, lines: Look) -> None:
    history = opened()
    await history.write([a_row(1)])
    await history.close()
    await history.close()
    await history.write([a_row(2)])
    assert await lines() == [line(a_row(1)), line(a_row(2))]


async def test_a_table_of_a_later_release_is_left_alone(opened: Open, uri: str) -> None:
    await opened().open()
    await execute(uri, "UPDATE avtomatika_history_schema SET version = 2")
    with pytest.raises(Exception, match="schema 2; this release knows up to 1"):
        await opened().open()


async def test_a_write_that_fails_leaves_the_history_usable(opened: Open, lines: Look, uri: str) -> None:
    history = opened()
    await history.open()
    await execute(uri, "ALTER TABLE avtomatika_history RENAME TO elsewhere")
    with pytest.raises(Unavailable, match="avtomatika_history"):
        await history.write([a_row(1)])
    await execute(uri, "ALTER TABLE elsewhere RENAME TO avtomatika_history")
    await history.write([a_row(1)])
    assert await lines() == [line(a_row(1))]


async def test_a_write_that_is_cut_off_can_be_repeated(opened: Open, lines: Look) -> None:
    history = opened()
    await history.open()
    rows = [a_row(n) for n in range(1, 501)]
    for turns in range(0, 40, 4):
        writing = asyncio.ensure_future(history.write(rows))
        for _ in range(turns):
            await asyncio.sleep(0)
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
    await history.write(rows)
    assert await lines() == [line(row) for row in rows]
