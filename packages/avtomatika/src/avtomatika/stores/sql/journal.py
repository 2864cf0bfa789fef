"""What a batch of commits changes on disk, reduced to its net effect: one write per row and batch."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from avtomatika.kernel.ids import JobId, TaskId, opened_by
from avtomatika.kernel.model import Job
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Claim, Commit, Lease, Message, MessageId
from avtomatika.stores.codec import encode, encode_data, encode_head, same_data

Row = tuple[object, ...]

_INSERT_JOB: Final = (
    "INSERT INTO job (head, status, state, updated, is_over, version, id, data, client, blueprint, created)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_MOVE_JOB: Final = (
    "UPDATE job SET head = ?, status = ?, state = ?, updated = ?, is_over = ?, version = ? WHERE id = ?"
)
_REWRITE_JOB: Final = (
    "UPDATE job SET head = ?, status = ?, state = ?, updated = ?, is_over = ?, version = ?, data = ?"
    " WHERE id = ?"
)
_DROP_MESSAGE: Final = "DELETE FROM message WHERE id = ?"
_PUT_MESSAGE: Final = (
    "INSERT OR REPLACE INTO message"
    " (id, queue, job, visible_at, priority, body, owner, token, until, ttl, delivery)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_HOLD_MESSAGE: Final = (
    "UPDATE message SET owner = ?, token = ?, until = ?, ttl = ?, delivery = ? WHERE id = ?"
)
_PUT_FACT: Final = "INSERT INTO fact (job, version, body) VALUES (?, ?, ?)"
_PUT_BRANCH: Final = "INSERT OR REPLACE INTO branch (job, task, body) VALUES (?, ?, ?)"
_DROP_BRANCH: Final = "DELETE FROM branch WHERE job = ? AND task = ?"
_PUT_CLAIM: Final = "INSERT OR REPLACE INTO claim (key, fingerprint, job, expires_at) VALUES (?, ?, ?, ?)"


class Batch:
    """The commits and leases that go to disk together, in their order."""

    def __init__(self) -> None:
        self._jobs: dict[JobId, tuple[Job, Job | None]] = {}
        self._facts: list[Row] = []
        self._branches: dict[tuple[JobId, TaskId], Row | None] = {}
        self._messages: dict[MessageId, Row | None] = {}
        self._holds: dict[MessageId, Row] = {}
        self._claims: dict[str, Claim] = {}

    def version(self, job: JobId) -> int | None:
        """The version that this batch gives the job, or None when it does not touch it."""
        pair = self._jobs.get(job)
        return None if pair is None else pair[0].version

    def claim(self, key: str) -> Claim | None:
        """The claim that this batch writes for the key."""
        return self._claims.get(key)

    def is_gone(self, message: MessageId) -> bool:
        """True when this batch removes or replaces the message."""
        return message in self._messages

    def add(
        self, commit: Commit, stored: Job | None, branches: Callable[[JobId, int], Iterable[TaskId]]
    ) -> None:
        """The commit belongs to the batch. *stored* is its job as it is in the image, if it is there."""
        for lease in commit.ack:
            self._remove(lease.message.id)
        for message_id in commit.drop:
            self._remove(message_id)
        for message in commit.send:
            self._put(message, None, commit.now)
        for lease in commit.take:
            self._put(lease.message, lease, commit.now)
        if commit.claim is not None:
            self._claims[commit.claim.key] = commit.claim
        self._facts += ((fact.job, fact.version, encode(fact)) for fact in commit.facts)
        if commit.job is not None:
            self._add_job(commit.job, commit, stored, branches)

    def hold(self, lease: Lease, now: Instant) -> None:
        """The lease belongs to the batch."""
        message = lease.message.id
        if message in self._messages:
            if self._messages[message] is not None:
                self._put(lease.message, lease, now)
            return
        ttl = lease.until - now
        self._holds[message] = (lease.owner, lease.token, lease.until, ttl, lease.delivery, message)

    def write(self, database: sqlite3.Connection) -> None:
        """The net effect is written within the open transaction. May raise sqlite3.Error."""
        self._write_jobs(database)
        _many(database, _PUT_FACT, self._facts)
        _many(database, _DROP_BRANCH, [key for key, row in self._branches.items() if row is None])
        _many(database, _PUT_BRANCH, [row for row in self._branches.values() if row is not None])
        _many(database, _DROP_MESSAGE, [(key,) for key, row in self._messages.items() if row is None])
        _many(database, _PUT_MESSAGE, [row for row in self._messages.values() if row is not None])
        _many(database, _HOLD_MESSAGE, list(self._holds.values()))
        claims = [(c.key, c.fingerprint, c.job, c.expires_at) for c in self._claims.values()]
        _many(database, _PUT_CLAIM, claims)

    def _add_job(
        self, job: Job, commit: Commit, stored: Job | None, branches: Callable[[JobId, int], Iterable[TaskId]]
    ) -> None:
        _, before = self._jobs.get(job.id, (None, stored))
        self._jobs[job.id] = (job, before)
        for branch in commit.branches:
            self._branches[job.id, branch.task.id] = (job.id, branch.task.id, encode(branch))
        for opened in commit.close:
            for task in branches(job.id, opened):
                self._branches[job.id, task] = None
            for owner, task in list(self._branches):
                if owner == job.id and opened_by(task)[1] == opened:
                    self._branches[owner, task] = None

    def _write_jobs(self, database: sqlite3.Connection) -> None:
        added: list[Row] = []
        moved: list[Row] = []
        rewritten: list[Row] = []
        for job, before in self._jobs.values():
            row = (encode_head(job), job.status, job.state, job.updated, job.over, job.version)
            if before is None:
                added.append((*row, job.id, encode_data(job), job.client, job.blueprint, job.created))
            elif same_data(job, before):
                moved.append((*row, job.id))
            else:
                rewritten.append((*row, encode_data(job), job.id))
        _many(database, _INSERT_JOB, added)
        _many(database, _MOVE_JOB, moved)
        _many(database, _REWRITE_JOB, rewritten)

    def _put(self, message: Message, lease: Lease | None, now: Instant) -> None:
        held: Row = (None, None, None, None, 0)
        if lease is not None:
            held = (lease.owner, lease.token, lease.until, lease.until - now, lease.delivery)
        what = (message.id, message.queue, message.job, message.visible_at, message.priority)
        self._messages[message.id] = (*what, encode(message.body), *held)
        self._holds.pop(message.id, None)

    def _remove(self, message: MessageId) -> None:
        self._messages[message] = None
        self._holds.pop(message, None)


def _many(database: sqlite3.Connection, statement: str, rows: Sequence[Row]) -> None:
    if rows:
        database.executemany(statement, rows)
