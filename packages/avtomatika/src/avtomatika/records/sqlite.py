"""A history in a SQLite file of its own. Several nodes, and whoever reads, may have it open at once."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from avtomatika.errors import ConfigError, Unavailable
from avtomatika.ports.history import Row
from avtomatika.records.schema import COLUMNS, SCHEMA, statements, too_new

ROWS_AT_ONCE: Final = 200
BUSY_S: Final = 5.0

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_VALUES: Final = f"({', '.join('?' * len(COLUMNS.split(',')))})"
# One statement for many rows: a thread that executes one by one waits for the interpreter at each.
_INSERT: Final = f"INSERT INTO avtomatika_history ({COLUMNS}) VALUES "  # noqa: S608 - constants only
_UNLESS_THERE: Final = " ON CONFLICT (job_id, version) DO NOTHING"


class SqliteHistory:
    """Writes in a thread, one transaction for the rows of each call."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError when the file cannot be made or is none of ours."""
        self._path = path
        self._turn = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        try:
            self._connected()
        except Unavailable as error:
            raise ConfigError(f"HISTORY_DATABASE_URI: {error.message}") from error

    async def open(self) -> None:
        """The file is at its path, with the table."""
        await asyncio.to_thread(self._write, ())

    async def write(self, rows: Sequence[Row]) -> None:
        """All *rows* are on the disk. Those that were there already stay as they are."""
        await asyncio.to_thread(self._write, rows)

    async def close(self) -> None:
        """The file is whole without the ones beside it, unless others have it open."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        with self._turn:
            self._disconnect()

    def _write(self, rows: Sequence[Row]) -> None:
        with self._turn:
            database = self._connected()
            try:
                database.execute("BEGIN IMMEDIATE")
                for start in range(0, len(rows), ROWS_AT_ONCE):
                    some = rows[start : start + ROWS_AT_ONCE]
                    values = [value for row in some for value in _values(row)]
                    database.execute(_INSERT + ", ".join([_VALUES] * len(some)) + _UNLESS_THERE, values)
                database.execute("COMMIT")
            except sqlite3.Error as error:
                self._disconnect()
                raise Unavailable(_said(self._path, error)) from error

    def _connected(self) -> sqlite3.Connection:
        """The connection to the file that is at the path now. Raises Unavailable."""
        try:
            if self._database is not None and _identity(self._path) != self._file:
                self._disconnect()  # rows would go to a file that nobody can find any more
            if self._database is None:
                self._database = _connect(self._path)
                self._file = _identity(self._path)
        except (sqlite3.Error, OSError) as error:
            self._disconnect()
            raise Unavailable(_said(self._path, error)) from error
        return self._database

    def _disconnect(self) -> None:
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
        self._database = None


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    database = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL").fetchall()
        database.execute(
            "PRAGMA synchronous = FULL"
        )  # the messages are gone once we have said that it is safe
        _migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def _migrate(database: sqlite3.Connection) -> None:
    if _schema(database) == SCHEMA:
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        found = _schema(database)
        if found > SCHEMA:
            raise Unavailable(too_new(found))
        for statement in statements("sqlite", found):
            database.execute(statement)
        database.execute("COMMIT")
    finally:
        if database.in_transaction:
            database.execute("ROLLBACK")


def _schema(database: sqlite3.Connection) -> int:
    there = "SELECT 1 FROM sqlite_master WHERE name = 'avtomatika_history_schema'"
    if database.execute(there).fetchone() is None:
        return 0
    return int(database.execute("SELECT version FROM avtomatika_history_schema").fetchone()[0])


def _values(row: Row) -> tuple[str | int | None, ...]:
    moment = (_EPOCH + timedelta(milliseconds=row.at)).isoformat(timespec="milliseconds")
    return (
        row.job,
        row.version,
        moment.replace("+00:00", "Z"),
        row.client,
        row.blueprint,
        row.state,
        row.status,
        row.event_type,
        row.worker,
        row.task,
        row.attempt,
        row.data.decode(),
    )


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file is at the path, if any."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _said(path: Path, error: Exception) -> str:
    return f"{path} cannot be written: {error}"
