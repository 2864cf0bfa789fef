"""One SQLite file: opening it safely, reading it whole, and the pragmas that its promises rest on."""

import fcntl
import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Final

import msgspec

from avtomatika.errors import ConfigError, StorageBroken, StorageFull, Unavailable
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Branch, Job
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Lease, Message, MessageId, Token
from avtomatika.stores.codec import NO_USER_DATA, decode_body, decode_branch, decode_job
from avtomatika.stores.sql.journal import PUT_LABEL, label_rows

SCHEMA: Final = 2

_AT_REST: Final = 0
_IN_USE: Final = 1
_IN_DOUBT: Final = 2

_PRAGMAS: Final = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "wal_autocheckpoint = 0",
    "mmap_size = 0",
    "busy_timeout = 0",
    "foreign_keys = ON",
    "trusted_schema = OFF",
    "cell_size_check = ON",
    "temp_store = MEMORY",
    "cache_size = -65536",
)


class Lock:
    """The right to be the only process that has the file open. The system takes it back when we die."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise ConfigError(f"Another process has {path.with_suffix('')} open.") from None

    def release(self) -> None:
        """Another process may open the file."""
        os.close(self._file)


def connect(path: Path) -> sqlite3.Connection:
    """The file open with its schema. Raises StorageBroken for one of a later version, or sqlite3.Error."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = not path.exists()
    if fresh:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
    try:
        for pragma in _PRAGMAS:
            database.execute(f"PRAGMA {pragma}").fetchall()
        _migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that sees what is committed and can write nothing."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def _migrate(database: sqlite3.Connection) -> None:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA:
        raise StorageBroken(f"The file has schema {version}; this release knows up to {SCHEMA}.")
    if version == SCHEMA:
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        for step in range(version + 1, SCHEMA + 1):
            script = resources.files("avtomatika.stores.sql").joinpath(f"schema_{step}.sql").read_text()
            for statement in script.split(";\n"):
                database.execute(statement)
            if step == 2:
                _list_labels(database)
        database.execute(f"PRAGMA user_version = {SCHEMA}")
        database.execute("COMMIT")
    finally:
        if database.in_transaction:
            database.execute("ROLLBACK")


def _list_labels(database: sqlite3.Connection) -> None:
    for (head,) in database.execute("SELECT head FROM job").fetchall():
        database.executemany(PUT_LABEL, label_rows(decode_job(head, NO_USER_DATA)))


def begin_session(database: sqlite3.Connection) -> bool:
    """The file is marked as in use. True when some job may have been running in a process that died.

    Raises StorageBroken when a check after an unclean end finds damage.
    """
    state = meta(database, "in_use")
    if state == _IN_USE:
        answer = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if answer != "ok":
            raise StorageBroken(f"The file is damaged: {answer}")
    set_meta(database, "in_use", _IN_USE)
    return state != _AT_REST


def end_session(database: sqlite3.Connection, *, in_doubt: bool) -> None:
    """The file is marked as whole; `in_doubt` tells that jobs which may have killed a process wait in it."""
    set_meta(database, "in_use", _IN_DOUBT if in_doubt else _AT_REST)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


@contextmanager
def reading_whole() -> Generator[None]:
    """Whatever is wrong with the file is said as StorageBroken or Unavailable."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error) from error
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise StorageBroken(f"The file holds what this release cannot read: {error}") from error


def meta(database: sqlite3.Connection, key: str) -> int:
    """A number that the file remembers, 0 when it does not."""
    row = database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return 0 if row is None else int(row[0])


def set_meta(database: sqlite3.Connection, key: str, value: int) -> None:
    """The file remembers the number."""
    database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def live_jobs(database: sqlite3.Connection) -> list[Job]:
    """Every job that is not over."""
    rows = database.execute("SELECT head, data FROM job WHERE is_over = 0").fetchall()
    return [decode_job(head, data) for head, data in rows]


def live_branches(database: sqlite3.Connection) -> list[tuple[JobId, Branch]]:
    """Every branch record of jobs that are not over."""
    rows = database.execute("SELECT job, body FROM branch").fetchall()
    return [(JobId(job), decode_branch(body)) for job, body in rows]


def live_messages(database: sqlite3.Connection) -> list[tuple[Message, int, Lease | None, int]]:
    """Every message in the order of its sending: how often it was given, its lease, and for how long."""
    rows = database.execute(
        "SELECT id, queue, job, visible_at, body, priority, owner, token, until, ttl, delivery"
        " FROM message ORDER BY sent"
    ).fetchall()
    found: list[tuple[Message, int, Lease | None, int]] = []
    for id_, queue, job, visible_at, body, priority, owner, token, until, ttl, delivery in rows:
        message = Message(MessageId(id_), queue, JobId(job), Instant(visible_at), decode_body(body), priority)
        lease = None if token is None else Lease(message, owner, Token(token), Instant(until), delivery)
        found.append((message, delivery, lease, ttl or 0))
    return found


def last_number(database: sqlite3.Connection) -> int:
    """The number of the message that was sent last, of those that are there."""
    return int(database.execute("SELECT coalesce(max(sent), 0) FROM message").fetchone()[0])


def commit(database: sqlite3.Connection) -> float | sqlite3.Error:
    """How many seconds the COMMIT of the open transaction took, or why there was none."""
    begun = time.perf_counter()
    try:
        database.execute("COMMIT")
    except sqlite3.Error as error:
        return error
    return time.perf_counter() - begun


def checkpoint(database: sqlite3.Connection) -> sqlite3.Error | None:
    """What is in the log is in the file itself, as far as no reader is in the way; or why not."""
    try:
        database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    except sqlite3.Error as error:
        return error
    return None


def translate(error: Exception) -> Unavailable | StorageBroken:
    """The error of this package that *error* amounts to: out of space, busy, or beyond repair here."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith("SQLITE_FULL"):
        return StorageFull()
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Unavailable("Another process holds the file for a moment.")
    return StorageBroken(f"The storage failed: {name or type(error).__name__}: {error}")
