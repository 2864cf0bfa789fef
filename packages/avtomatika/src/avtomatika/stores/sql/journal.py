"""What a batch of commits changes on disk, reduced to its net effect: one write per row and batch."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Raw

from avtomatika.errors import InvalidInput
from avtomatika.kernel.ids import JobId, TaskId, opened_by
from avtomatika.kernel.model import Job
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Claim, Commit, Lease, Message, MessageId
from avtomatika.stores.codec import encode, encode_data, encode_head, same_data

Row = tuple[object, ...]
Place = tuple[str, str]

_INSERT_JOB: Final = (
    "INSERT INTO job (head, status, state, updated, is_over, version, data, id, client, blueprint, created)"
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
    " (id, queue, job, visible_at, priority, body, sent, owner, token, until, ttl, delivery)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_HOLD_MESSAGE: Final = (
    "UPDATE message SET owner = ?, token = ?, until = ?, ttl = ?, delivery = ? WHERE id = ?"
)
_PUT_FACT: Final = "INSERT INTO fact (job, version, body) VALUES (?, ?, ?)"
_PUT_BRANCH: Final = "INSERT OR REPLACE INTO branch (job, task, body) VALUES (?, ?, ?)"
_DROP_BRANCH: Final = "DELETE FROM branch WHERE job = ? AND task = ?"
_DROP_BRANCHES: Final = "DELETE FROM branch WHERE job = ?"
PUT_LABEL: Final = "INSERT INTO label (client, name, value, created, job) VALUES (?, ?, ?, ?, ?)"
DROP_LABEL: Final = (
    "DELETE FROM label WHERE client = ? AND name = ? AND value = ? AND created = ? AND job = ?"
)
_PUT_ITEM: Final = "INSERT OR REPLACE INTO item (store, key, value) VALUES (?, ?, ?)"
_DROP_ITEM: Final = "DELETE FROM item WHERE store = ? AND key = ?"
_PUT_CLAIM: Final = "INSERT OR REPLACE INTO claim (key, fingerprint, job, expires_at) VALUES (?, ?, ?, ?)"

_LATEST: Final = 2**62


class Change:
    """What a shelf asks for: the value at a place becomes what `alter` makes of it. It may refuse by raising.

    `value` is what is there once this is written.
    """

    __slots__ = ("alter", "place", "value")

    def __init__(self, store: str, key: str, alter: Callable[[Raw | None], Raw | None]) -> None:
        self.place = (store, key)
        self.alter = alter
        self.value: Raw | None = None


class Prepared(msgspec.Struct, frozen=True):
    """A commit as rows. Whatever cannot be encoded is found out here, before anything has changed."""

    commit: Commit
    job: Row
    data: bytes | None
    facts: list[tuple[JobId, int, bytes]]
    branches: list[tuple[TaskId, Row]]
    closed: tuple[TaskId, ...]
    messages: list[tuple[MessageId, Row, Row]]


def prepare(commit: Commit, stored: Job | None, closed: tuple[TaskId, ...]) -> Prepared:
    """The commit as rows. *stored* is its job as last written, if known, *closed* the branches to forget.

    Raises InvalidInput for a value that no file can hold.
    """
    try:
        job = commit.job
        return Prepared(
            commit=commit,
            job=() if job is None else _job_row(job),
            data=None if job is None or (stored and same_data(job, stored)) else encode_data(job),
            facts=[(fact.job, fact.version, encode(fact)) for fact in commit.facts],
            branches=[] if job is None else _branch_rows(job.id, commit),
            closed=closed,
            messages=_message_rows(commit),
        )
    except (UnicodeEncodeError, OverflowError) as error:
        raise InvalidInput(f"This cannot be stored: {error}") from error


def label_rows(job: Job) -> list[Row]:
    """What the index of labels has of the job."""
    return [(job.client, name, value, job.created, job.id) for name, value in job.labels.items()]


def _job_row(job: Job) -> Row:
    return encode_head(job), job.status, job.state, job.updated, job.over, job.version


def _branch_rows(job: JobId, commit: Commit) -> list[tuple[TaskId, Row]]:
    return [(branch.task.id, (job, branch.task.id, encode(branch))) for branch in commit.branches]


def _message_rows(commit: Commit) -> list[tuple[MessageId, Row, Row]]:
    now = commit.now
    rows = [(sent.id, _message_row(sent), held_row(None, 0, now)) for sent in commit.send]
    for lease in commit.take:
        held = held_row(lease, lease.delivery, now)
        rows.append((lease.message.id, _message_row(lease.message), held))
    return rows


def _message_row(message: Message) -> Row:
    body = encode(message.body)
    return message.id, message.queue, message.job, message.visible_at, message.priority, body


def held_row(lease: Lease | None, delivery: int, now: Instant) -> Row:
    """The part of a message's row that tells who has it, at the moment when that was so."""
    if lease is None:
        return None, None, None, None, delivery
    until, ttl = min(lease.until, _LATEST), min(lease.until - now, _LATEST)
    return lease.owner, lease.token, until, ttl, lease.delivery


class Batch:
    """The commits and leases that go to disk together, in their order. `number` counts what is sent,
    `has_row` is False for messages of which nothing is on disk, `weight` is about how many bytes of user
    data there are.
    """

    def __init__(self, number: Callable[[], int], has_row: Callable[[MessageId], bool]) -> None:
        self._number, self._has_row = number, has_row
        self._created: set[JobId] = set()
        self._ended: set[JobId] = set()
        self._jobs: dict[JobId, tuple[Job, Row]] = {}
        self._data: dict[JobId, bytes] = {}
        self._facts: list[tuple[JobId, int, bytes]] = []
        self._branches: dict[tuple[JobId, TaskId], Row | None] = {}
        self._messages: dict[MessageId, Row | None] = {}
        self._holds: dict[MessageId, Row] = {}
        self._claims: dict[str, Claim] = {}
        self._items: dict[Place, Raw | None] = {}
        self._changing: set[MessageId] = set()
        self.weight = 0

    def job(self, job: JobId) -> Job | None:
        """The job as this batch leaves it, or None when it does not touch it."""
        pair = self._jobs.get(job)
        return None if pair is None else pair[0]

    def claim(self, key: str) -> Claim | None:
        """The claim that this batch writes for the key."""
        return self._claims.get(key)

    def change(self, change: Change, stored: Callable[[Place], Raw | None]) -> None:
        """The change belongs to the batch; *stored* knows what is on disk. Raises what refuses it."""
        place = change.place
        old = self._items[place] if place in self._items else stored(place)
        change.value = change.alter(old)
        if change.value is not old:
            self._items[place] = change.value
            self.weight += len(bytes(change.value or b""))

    def will_change(self, message: MessageId) -> bool:
        """True when this batch removes or replaces the message as it is in the image."""
        return message in self._changing

    def touches(self, commit: Commit) -> bool:
        """True when this batch will change in the image what *commit* is about."""
        if commit.job is not None and commit.job.id in self._jobs:
            return True
        return not self._changing.isdisjoint(messages_of(commit))

    def add(self, entry: Prepared, *, in_image: bool = False) -> None:
        """The commit belongs to the batch. `in_image` tells that the image has it already."""
        commit = entry.commit
        if not in_image:
            self._changing.update(messages_of(commit))
        for lease in commit.ack:
            self.remove(lease.message.id)
        for message_id in commit.drop:
            self.remove(message_id)
        for message_id, what, held in entry.messages:
            self.put(message_id, what, held)
        if commit.claim is not None:
            self._claims[commit.claim.key] = commit.claim
        self._facts += entry.facts
        if commit.job is not None:
            self._add_job(commit.job, entry)
        self.weight += len(entry.data or b"") + sum(len(row[-1]) for row in entry.facts)

    def put(self, message: MessageId, row: Row, held: Row) -> None:
        """The batch writes the row of the message, held so."""
        self.remove(message)
        self._messages[message] = (*row, self._number(), *held)

    def hold(self, message: MessageId, held: Row) -> None:
        """The batch writes who has the message."""
        row = self._messages.get(message)
        if row is None:
            self._holds[message] = (*held, message)
        else:
            self._messages[message] = (*row[: -len(held)], *held)

    def remove(self, message: MessageId) -> None:
        """The batch leaves no row of the message."""
        self._holds.pop(message, None)
        put = self._messages.pop(message, None)  # what is sent again is written, and so numbered, last
        if put is not None or self._has_row(message):
            self._messages[message] = None

    def write(self, database: sqlite3.Connection) -> None:
        """The net effect is written within the open transaction. May raise sqlite3.Error."""
        self._write_jobs(database)
        _many(database, _PUT_FACT, self._facts)
        if self._branches or self._ended:
            _many(database, _DROP_BRANCHES, [(job,) for job in self._ended])
            _many(database, _DROP_BRANCH, [key for key, row in self._branches.items() if row is None])
            _many(database, _PUT_BRANCH, [row for row in self._branches.values() if row is not None])
        _many(database, _DROP_MESSAGE, [(key,) for key, row in self._messages.items() if row is None])
        _many(database, _PUT_MESSAGE, [row for row in self._messages.values() if row is not None])
        _many(database, _HOLD_MESSAGE, list(self._holds.values()))
        if self._claims or self._items:
            self._write_beside(database)

    def _write_beside(self, database: sqlite3.Connection) -> None:
        claims = [(c.key, c.fingerprint, c.job, c.expires_at) for c in self._claims.values()]
        _many(database, _PUT_CLAIM, claims)
        items = [(*place, value) for place, value in self._items.items()]
        _many(database, _DROP_ITEM, [item[:2] for item in items if item[2] is None])
        _many(database, _PUT_ITEM, [(*item[:2], bytes(item[2])) for item in items if item[2] is not None])

    def _add_job(self, job: Job, entry: Prepared) -> None:
        if entry.commit.expected == 0:
            self._created.add(job.id)
        self._jobs[job.id] = (job, entry.job)
        if entry.data is not None:
            self._data[job.id] = entry.data
        for task, row in entry.branches:
            self._branches[job.id, task] = row
        for task in entry.closed:
            self._branches[job.id, task] = None
        for opened in entry.commit.close:
            for owner, task in list(self._branches):
                if owner == job.id and opened_by(task)[1] == opened:
                    self._branches[owner, task] = None
        if job.over:
            self._ended.add(job.id)
            for key in [key for key in self._branches if key[0] == job.id]:
                del self._branches[key]

    def _write_jobs(self, database: sqlite3.Connection) -> None:
        added: list[Row] = []
        moved: list[Row] = []
        rewritten: list[Row] = []
        labels: list[Row] = []
        for job, row in self._jobs.values():
            data = self._data.get(job.id)
            if job.id in self._created:
                added.append((*row, data, job.id, job.client, job.blueprint, job.created))
                labels += label_rows(job)
            elif data is None:
                moved.append((*row, job.id))
            else:
                rewritten.append((*row, data, job.id))
        _many(database, _INSERT_JOB, added)
        _many(database, PUT_LABEL, labels)
        _many(database, _MOVE_JOB, moved)
        _many(database, _REWRITE_JOB, rewritten)


def messages_of(commit: Commit) -> Sequence[MessageId]:
    """The messages that the commit sends, takes, or removes."""
    sent = [message.id for message in commit.send]
    return [*commit.drop, *sent, *[lease.message.id for lease in (*commit.ack, *commit.take)]]


def _many(database: sqlite3.Connection, statement: str, rows: Sequence[Row]) -> None:
    if rows:
        database.executemany(statement, rows)
