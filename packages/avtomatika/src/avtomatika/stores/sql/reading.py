"""Reads of what is on disk, and the removal of what nobody needs any more."""

import sqlite3
from collections.abc import Sequence

from msgspec import Raw

from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Job, Status
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Claim, Fact
from avtomatika.stores.codec import NO_USER_DATA, decode_fact, decode_job
from avtomatika.stores.sql.counts import Group
from avtomatika.stores.sql.journal import DROP_LABEL, label_rows


def job(database: sqlite3.Connection, job_id: JobId) -> Job | None:
    """The job as it is on disk, or None."""
    row = database.execute("SELECT head, data FROM job WHERE id = ?", (job_id,)).fetchone()
    return None if row is None else decode_job(*row)


def version_and_group(database: sqlite3.Connection, job_id: JobId) -> tuple[int, Group | None]:
    """The version of the job on disk, 0 when it is not there, and where it stands."""
    row = database.execute("SELECT version, client, status FROM job WHERE id = ?", (job_id,)).fetchone()
    return (0, None) if row is None else (int(row[0]), (row[1], Status(row[2])))


def claim(database: sqlite3.Connection, key: str) -> Claim | None:
    """The claim of the key, expired or not."""
    statement = "SELECT key, fingerprint, job, expires_at FROM claim WHERE key = ?"
    row = database.execute(statement, (key,)).fetchone()
    return None if row is None else Claim(row[0], row[1], JobId(row[2]), Instant(row[3]))


def facts(
    database: sqlite3.Connection, job_id: JobId, after: int, limit: int | None = None
) -> Sequence[Fact]:
    """The facts of the job above a version, in order, no more than *limit* if that is given."""
    statement = "SELECT body FROM fact WHERE job = ? AND version > ? ORDER BY version LIMIT ?"
    most = -1 if limit is None else max(0, min(limit, 2**40))
    return [decode_fact(body) for (body,) in database.execute(statement, (job_id, after, most))]


def item(database: sqlite3.Connection, store: str, key: str) -> Raw | None:
    """The value of the key, or None."""
    row = database.execute("SELECT value FROM item WHERE store = ? AND key = ?", (store, key)).fetchone()
    return None if row is None else Raw(row[0])


def items(database: sqlite3.Connection, store: str) -> dict[str, Raw]:
    """All values of the store, by key."""
    rows = database.execute("SELECT key, value FROM item WHERE store = ? ORDER BY key", (store,))
    return {key: Raw(value) for key, value in rows}


def sweep(database: sqlite3.Connection, now: Instant, finished_before: Instant, limit: int) -> list[Job]:
    """Expired claims and old jobs with their facts and labels are gone; the jobs without user data."""
    statement = "SELECT head FROM job WHERE is_over = 1 AND updated < ? ORDER BY updated LIMIT ?"
    database.execute("BEGIN IMMEDIATE")
    try:
        heads = database.execute(statement, (finished_before, limit)).fetchall()
        ended = [decode_job(head, NO_USER_DATA) for (head,) in heads]
        names = [(job.id,) for job in ended]
        database.executemany("DELETE FROM fact WHERE job = ?", names)
        database.executemany(DROP_LABEL, [row for job in ended for row in label_rows(job)])
        database.executemany("DELETE FROM job WHERE id = ?", names)
        database.execute("DELETE FROM claim WHERE expires_at <= ?", (now,))
        database.execute("COMMIT")
    finally:
        if database.in_transaction:
            database.execute("ROLLBACK")
    return ended
