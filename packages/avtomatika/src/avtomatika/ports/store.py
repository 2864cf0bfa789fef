"""The durable core. A store keeps what it is told, atomically, and knows no rule.

Promises that every adapter keeps, shown by `avtomatika.testing.store_contract`:

* `commit` does everything or nothing, and what it did survives the process.
* A message is leased to at most one owner at a time. A lease that ran out, or whose message is gone,
  can neither be extended nor acknowledged.
* Messages come by priority, then by the moment they became available, then in the order they were sent.
* `wait` is a hint: it may return early, or late; work is found by `lease` alone.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from avtomatika.errors import AvtomatikaError, StorageFull, Unavailable
from avtomatika.kernel.ids import JobId, TaskId
from avtomatika.kernel.model import Branch, Job, Status, Value
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.durability import Durability
from avtomatika.ports.fact import Fact, Record
from avtomatika.ports.message import Body, Lease, Message, MessageId, Tick, Token
from avtomatika.ports.shelf import Shelf


class Claim(Value, frozen=True):
    """A key that belongs to one job until it expires: the memory behind idempotent creation."""

    key: str
    fingerprint: str
    job: JobId
    expires_at: Instant


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """All or nothing, in this order: check `claim`, `expected` and `ack`; then write.

    `expected` is the version of the job in the store, 0 for a job that must not be there. `send` replaces
    a message of the same id, `take` sends messages already leased to the sender, `close` forgets the
    branches of the fan-outs that these versions opened. A commit that is not `durable` takes effect at
    once and may return before it has reached the disk.
    """

    now: Instant
    job: Job | None = None
    expected: int = 0
    facts: tuple[Fact, ...] = ()
    branches: tuple[Branch, ...] = ()
    close: tuple[int, ...] = ()
    send: tuple[Message, ...] = ()
    take: tuple[Lease, ...] = ()
    drop: tuple[MessageId, ...] = ()
    ack: tuple[Lease, ...] = ()
    claim: Claim | None = None
    durable: bool = True


class JobQuery(Value, frozen=True):
    """Which jobs: newest first, after the place that `after` names (an earlier page's `next`).

    All that is given must hold. `labels` are pairs that a job must all have; `since` and `before` bound the
    moment of creation, the second one excluded.
    """

    client: str | None = None
    blueprint: str | None = None
    status: Status | None = None
    labels: tuple[tuple[str, str], ...] = ()
    since: Instant | None = None
    before: Instant | None = None
    after: str | None = None
    limit: int = 100


class Page(msgspec.Struct, frozen=True):
    """Jobs in order, and where the next page begins, or None when this is the last."""

    jobs: tuple[Job, ...]
    next: str | None = None


class VersionConflict(AvtomatikaError):
    """The job moved since it was loaded."""

    code = "version_conflict"


class LeaseLost(AvtomatikaError):
    """The lease ran out, or its message is gone."""

    code = "stale_lease"


class KeyTaken(AvtomatikaError):
    """The key is claimed by an earlier request."""

    code = "key_taken"

    def __init__(self, claim: Claim) -> None:
        super().__init__()
        self.claim = claim


class Store(Protocol):
    """The verbs of the durable core. Every one may raise `Unavailable`."""

    @property
    def durability(self) -> Durability:
        """What is promised about accepted commits."""
        ...

    @property
    def shelf(self) -> Shelf:
        """Values that belong to no job, kept as safely as jobs are."""
        ...

    async def load(self, job: JobId) -> Job | None:
        """The job as last committed, or None."""
        ...

    async def commit(self, commit: Commit) -> None:
        """Everything in *commit* has happened. Raises VersionConflict, LeaseLost or KeyTaken: nothing has."""
        ...

    async def lease(
        self, queues: Sequence[str], *, owner: str, now: Instant, ttl: Span, limit: int
    ) -> Sequence[Lease]:
        """Up to *limit* messages of *queues*, earlier queues first, each leased until `now + ttl`.

        When whoever asked stops waiting, nothing has been leased.
        """
        ...

    async def extend(self, lease: Lease, *, now: Instant, ttl: Span) -> Lease:
        """The same lease until `now + ttl`. Raises LeaseLost."""
        ...

    async def held(self, message: MessageId, *, now: Instant) -> Lease | None:
        """The lease that the message is under now, or None."""
        ...

    async def wait(self, topics: Collection[str], *, until: Instant) -> None:
        """Returns when one of *topics* may have changed, at the latest at *until*.

        Topics: the name of a queue, the part of it before `:`, `job:` with the id of a job that moved, `end:`
        with that of one that is over, and `owner:` with an owner of leases, whose messages may have been
        withdrawn or replaced; and whatever else is announced.
        """
        ...

    async def announce(self, topics: Collection[str]) -> None:
        """Whoever waits for one of *topics*, at this node or at another, looks again. It may be lost."""
        ...

    async def time(self) -> Instant | None:
        """What the clock shows that all nodes of the store follow, or None when it is that of this host.

        It never shows less than before, whatever becomes of the machine that it is on.
        """
        ...

    async def next_due(self, queue: str) -> Instant | None:
        """When the first message of *queue* became or becomes available, or None when it holds none.

        Of several that are available it is the one that has waited longest, whatever its priority.
        """
        ...

    async def peek(self, queue: str, *, after: MessageId | None = None, limit: int) -> Sequence[Message]:
        """Up to *limit* messages of *queue* by id, from above *after*, whether leased, visible or neither."""
        ...

    async def queues(self, family: str) -> Mapping[str, Message]:
        """The queues named `family:…` that hold messages, each with one of its messages."""
        ...

    async def backlog(self, family: str, *, now: Instant, most: int) -> int:
        """How many messages of the queues named `family:…` nobody holds, *most* if there are more."""
        ...

    async def branch(self, job: JobId, task: TaskId) -> Branch | None:
        """The record of one branch, or None."""
        ...

    async def branches(self, job: JobId, opened: int) -> Sequence[Branch]:
        """The records of the fan-out that version *opened* began, in the order of the orders."""
        ...

    async def facts(self, job: JobId, *, after: int = 0, limit: int | None = None) -> Sequence[Fact]:
        """The facts of the job with versions above *after*, in order, the first *limit* if that is given."""
        ...

    async def find(self, query: JobQuery) -> Page:
        """One page of jobs. Raises InvalidInput for a limit below 1 or a cursor that no page gave."""
        ...

    async def tally(self, client: str | None = None) -> Mapping[Status, int]:
        """How many jobs stand where."""
        ...

    async def unfinished(self, client: str | None = None) -> int:
        """How many jobs of the client, or of all, are not over. Asked at every creation of a job."""
        ...

    async def sweep(self, *, now: Instant, finished_before: Instant, limit: int) -> int:
        """Claims that expired and up to *limit* jobs that ended before the given moment are forgotten.

        The number of jobs forgotten is returned.
        """
        ...

    def recovered(self, job: JobId) -> bool:
        """True when the job has not moved since a process died that may have been running it."""
        ...

    async def close(self) -> None:
        """What was accepted is safe and the store is released."""
        ...


__all__ = [
    "Body",
    "Claim",
    "Commit",
    "Durability",
    "Fact",
    "JobQuery",
    "KeyTaken",
    "Lease",
    "LeaseLost",
    "Message",
    "MessageId",
    "Page",
    "Record",
    "StorageFull",
    "Store",
    "Tick",
    "Token",
    "Unavailable",
    "VersionConflict",
]
