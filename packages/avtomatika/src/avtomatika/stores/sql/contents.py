"""All that a SQLite file holds, read while the process that owns it goes on writing."""

import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from msgspec import Raw

from avtomatika.errors import ConfigError, StorageBroken
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.contents import HeldJob, HeldMessage, Item
from avtomatika.ports.store import Claim, Lease, Message, MessageId, Token
from avtomatika.stores.codec import decode_body, decode_branch
from avtomatika.stores.sql import file, reading

T = TypeVar("T")

_BUSY_MS: Final = 5_000

_VERSIONS: Final = "SELECT id, version FROM job WHERE id > ? ORDER BY id LIMIT ?"
_BRANCHES: Final = "SELECT body FROM branch WHERE job = ? ORDER BY task"
_MESSAGES: Final = (
    "SELECT sent, id, queue, job, visible_at, body, priority, owner, token, until, ttl, delivery"
    " FROM message WHERE sent > ? ORDER BY sent LIMIT ?"
)
_CLAIMS: Final = "SELECT key, fingerprint, job, expires_at FROM claim WHERE key > ? ORDER BY key LIMIT ?"
_ITEMS: Final = "SELECT store, key, value FROM item WHERE (store, key) > (?, ?) ORDER BY store, key LIMIT ?"
_FIRST_END: Final = "SELECT min(updated) FROM job WHERE is_over = 1"
_PUT_ITEM: Final = "INSERT OR REPLACE INTO item (store, key, value) VALUES (?, ?, ?)"
_DROP_ITEM: Final = "DELETE FROM item WHERE store = ? AND key = ?"


class SqliteContents:
    """What is in the file at *path*. Each answer is of one moment; none keeps the log from being emptied."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError when there is no such file, or it is not of this release."""
        if not path.is_file():
            raise ConfigError(f"There is no file {path}.")
        self._path = path
        uri = f"{path.absolute().as_uri()}?mode=rw"
        with file.reading_whole():
            self._database = sqlite3.connect(uri, uri=True, isolation_level=None)
            self._database.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
            self._database.execute("PRAGMA query_only = ON")
            found = self._database.execute("PRAGMA user_version").fetchone()[0]
        if found != file.SCHEMA:
            self._database.close()
            raise ConfigError(
                f"{path} has schema {found} and not {file.SCHEMA}; start a node of this release on it once."
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    async def floor(self) -> Instant:
        return self._read(lambda database: Instant(file.meta(database, "clock_floor")))

    async def versions(self, *, after: JobId, limit: int) -> Sequence[tuple[JobId, int]]:
        rows = self._read(lambda database: database.execute(_VERSIONS, (after, limit)).fetchall())
        return [(JobId(id_), version) for id_, version in rows]

    async def job(self, job: JobId, *, after: int) -> HeldJob | None:
        return self._read(lambda database: _job(database, job, after))

    async def messages(self, *, after: int, limit: int) -> Sequence[HeldMessage]:
        return self._read(
            lambda database: [_message(row) for row in database.execute(_MESSAGES, (after, limit))]
        )

    async def claims(self, *, after: str, limit: int) -> Sequence[Claim]:
        rows = self._read(lambda database: database.execute(_CLAIMS, (after, limit)).fetchall())
        return [Claim(row[0], row[1], JobId(row[2]), Instant(row[3])) for row in rows]

    async def items(self, *, after: tuple[str, str], limit: int) -> Sequence[Item]:
        rows = self._read(lambda database: database.execute(_ITEMS, (*after, limit)).fetchall())
        return [Item(store, key, Raw(value)) for store, key, value in rows]

    async def first_end(self) -> Instant | None:
        (found,) = self._read(lambda database: database.execute(_FIRST_END).fetchone())
        return None if found is None else Instant(found)

    @contextmanager
    def stopped(self) -> Generator[None]:
        """No process has the file open but this one. Raises ConfigError when another has it.

        Raises StorageBroken when the last one died and left damage.
        """
        lock = file.Lock(self._path.with_name(self._path.name + ".lock"))
        try:
            answer = self._read(lambda database: database.execute("PRAGMA quick_check(1)").fetchone()[0])
            if answer != "ok":
                raise StorageBroken(f"The file is damaged: {answer}")
            yield
        finally:
            lock.release()

    def mark(self, item: Item) -> None:
        """The value is on the shelf of the file, which is `stopped`, and stays there."""
        self._write(_PUT_ITEM, (item.store, item.key, bytes(item.value)))

    def unmark(self, store: str, key: str) -> None:
        """There is no such value on the shelf of the file, which is `stopped`."""
        self._write(_DROP_ITEM, (store, key))

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        with file.reading_whole(), closing(sqlite3.connect(self._path, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous = FULL")
            database.execute(statement, values)

    def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        with file.reading_whole():
            self._database.execute("BEGIN")
            try:
                return query(self._database)
            finally:
                self._database.execute("ROLLBACK")


def _job(database: sqlite3.Connection, job_id: JobId, after: int) -> HeldJob | None:
    job = reading.job(database, job_id)
    if job is None:
        return None
    facts = tuple(reading.facts(database, job_id, after))
    branches = tuple(decode_branch(body) for (body,) in database.execute(_BRANCHES, (job_id,)))
    return HeldJob(job, facts, branches)


def _message(row: tuple[Any, ...]) -> HeldMessage:
    sent, id_, queue, job, visible_at, body, priority, owner, token, until, ttl, delivery = row
    message = Message(MessageId(id_), queue, JobId(job), Instant(visible_at), decode_body(body), priority)
    lease = None if token is None else Lease(message, owner, Token(token), Instant(until), delivery)
    return HeldMessage(sent, message, delivery, lease, Span(ttl or 0))
