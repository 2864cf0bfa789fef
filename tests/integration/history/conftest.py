"""Histories in real databases, and how to look into them."""

import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from avtomatika.app import open_history
from avtomatika.ports.history import History

DATABASES = ("sqlite", "postgres")
Lines = list[tuple[Any, ...]]
QUERY = (
    "SELECT job_id, version, {at}, client, blueprint, state, status, event_type, worker_id, task_id, attempt,"
    " data FROM avtomatika_history ORDER BY job_id, version"
)


async def lines_of(uri: str) -> Lines:
    """The table that the URI leads to: moments in milliseconds, data as JSON values."""
    if uri.startswith("sqlite:"):
        with closing(sqlite3.connect(uri[10:])) as database:
            rows = database.execute(
                QUERY.format(at="CAST(round((julianday(at) - 2440587.5) * 86400000) AS INTEGER)")
            ).fetchall()
    else:
        connection = await asyncpg.connect(uri)
        try:
            rows = await connection.fetch(QUERY.format(at="(extract(epoch FROM at) * 1000)::bigint"))
        finally:
            await connection.close()
    return [(*row[:11], json.loads(row[11])) for row in map(tuple, rows)]


@pytest.fixture(params=DATABASES)
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What `HISTORY_DATABASE_URI` says: one of each kind, empty."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'folder' / 'history.db'}"
    found: str = request.getfixturevalue("postgres_uri")
    return found


Open = Callable[[], History]


@pytest.fixture
async def opened(uri: str) -> AsyncIterator[Open]:
    """Opens the history again and again; all are closed in the end."""
    histories: list[History] = []

    def open_one() -> History:
        histories.append(open_history(uri))
        return histories[-1]

    yield open_one
    for history in histories:
        await history.close()


Look = Callable[[], Awaitable[Lines]]


@pytest.fixture
def lines(uri: str) -> Look:
    """Reads the table."""
    return lambda: lines_of(uri)
