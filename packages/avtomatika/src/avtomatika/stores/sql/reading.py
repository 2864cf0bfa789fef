"""Reads of what is on disk, and the removal of what nobody needs any more."""

import sqlite3
from collections import OrderedDict
from collections.abc import Sequence

from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Job, Status
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Claim, Fact, JobQuery, Page
from avtomatika.stores.codec import decode_fact, decode_job, page_cursor, place_of


class Recent:
    """The last jobs that ended: their clients read them at once."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._jobs: OrderedDict[JobId, Job] = OrderedDict()

    def put(self, job: Job) -> None:
        """The job is remembered, in place of the oldest when there are too many."""
        self._jobs[job.id] = job
        if len(self._jobs) > self._size:
            self._jobs.popitem(last=False)

    def get(self, job: JobId) -> Job | None:
        """The job, if it is remembered."""
        return self._jobs.get(job)

    def forget(self, job: JobId) -> None:
        """The job is not remembered."""
        self._jobs.pop(job, None)


def job(database: sqlite3.Connection, job_id: JobId) -> Job | None:
    """The job as it is on disk, or None."""
    row = database.execute("SELECT head, data FROM job WHERE id = ?", (job_id,)).fetchone()
    return None if row is None else decode_job(*row)


def version(database: sqlite3.Connection, job_id: JobId) -> int:
    """The version of the job on disk, 0 when it is not there."""
    row = database.execute("SELECT version FROM job WHERE id = ?", (job_id,)).fetchone()
    return 0 if row is None else int(row[0])


def claim(database: sqlite3.Connection, key: str) -> Claim | None:
    """The claim of the key, expired or not."""
    statement = "SELECT key, fingerprint, job, expires_at FROM claim WHERE key = ?"
    row = database.execute(statement, (key,)).fetchone()
    return None if row is None else Claim(row[0], row[1], JobId(row[2]), Instant(row[3]))


def facts(database: sqlite3.Connection, job_id: JobId, after: int) -> Sequence[Fact]:
    """The facts of the job above a version, in order."""
    statement = "SELECT body FROM fact WHERE job = ? AND version > ? ORDER BY version"
    return [decode_fact(body) for (body,) in database.execute(statement, (job_id, after))]


def find(database: sqlite3.Connection, query: JobQuery) -> Page:
    """One page, by keyset. Raises InvalidInput for a cursor that is none."""
    conditions: list[str] = []
    values: list[str | int] = []
    for column, value in (("client", query.client), ("blueprint", query.blueprint), ("status", query.status)):
        if value is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    if query.after is not None:
        conditions.append("(created, id) < (?, ?)")
        values += place_of(query.after)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    # `where` is made of the column names above; every value is bound.
    statement = f"SELECT head, data FROM job {where} ORDER BY created DESC, id DESC LIMIT ?"  # noqa: S608
    rows = database.execute(statement, (*values, query.limit + 1)).fetchall()
    page = tuple(decode_job(head, data) for head, data in rows[: query.limit])
    return Page(page, page_cursor(page[-1]) if len(rows) > query.limit else None)


def tally(database: sqlite3.Connection, client: str | None) -> dict[Status, int]:
    """How many jobs stand where."""
    where, values = ("", ()) if client is None else ("WHERE client = ?", (client,))
    rows = database.execute(f"SELECT status, count(*) FROM job {where} GROUP BY status", values)  # noqa: S608
    return {Status(status): count for status, count in rows}


def sweep(database: sqlite3.Connection, now: Instant, finished_before: Instant, limit: int) -> list[JobId]:
    """Expired claims and old jobs with their facts are gone; the ids of the jobs."""
    statement = "SELECT id FROM job WHERE is_over = 1 AND updated < ? ORDER BY updated LIMIT ?"
    database.execute("BEGIN IMMEDIATE")
    try:
        ended = [JobId(row[0]) for row in database.execute(statement, (finished_before, limit))]
        database.executemany("DELETE FROM fact WHERE job = ?", [(job,) for job in ended])
        database.executemany("DELETE FROM job WHERE id = ?", [(job,) for job in ended])
        database.execute("DELETE FROM claim WHERE expires_at <= ?", (now,))
        database.execute("COMMIT")
    except sqlite3.Error:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    return ended
