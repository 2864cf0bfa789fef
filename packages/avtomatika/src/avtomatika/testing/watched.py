"""The real stores, with a ledger that hears at once what they did."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from avtomatika.errors import StorageBroken
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Job
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.registry import Registry
from avtomatika.ports.store import Commit, Lease, MessageId, Store
from avtomatika.stores.memory import MemoryStore
from avtomatika.stores.registry import MemoryRegistry
from avtomatika.stores.sql import file, reading
from avtomatika.stores.sql.sqlite import SqliteStore
from avtomatika.testing.clock import SimClock
from avtomatika.testing.documents import WatchedRegistry
from avtomatika.testing.faults import NodeRegistry
from avtomatika.testing.invariants import Ledger
from avtomatika.testing.message_ledger import Held
from avtomatika.testing.processes import Process


class WatchedMemoryStore(MemoryStore):
    """The store that all nodes of a world share. It has one clock, as a server has: the latest of all."""

    def __init__(self, ledger: Ledger, *, now: Callable[[], Instant], tokens: Callable[[], str]) -> None:
        super().__init__(now=now, tokens=tokens)
        self._ledger, self._true = ledger, now
        self._ahead = 0

    def _clock(self, now: Instant) -> Instant:
        true = self._true()
        if now - true > self._ahead:
            self._ahead = now - true
            self._ledger.messages.unrest += 1  # leases run out early
        return Instant(true + self._ahead)

    async def load(self, job: JobId) -> Job | None:
        found = await super().load(job)
        self._ledger.loaded(job, found)
        return found

    async def commit(self, commit: Commit) -> None:
        timed = msgspec.structs.replace(commit, now=self._clock(commit.now))
        await super().commit(timed)
        self._ledger.committed(timed)

    async def lease(
        self, queues: Sequence[str], *, owner: str, now: Instant, ttl: Span, limit: int
    ) -> Sequence[Lease]:
        now = self._clock(now)
        leases = await super().lease(queues, owner=owner, now=now, ttl=ttl, limit=limit)
        self._ledger.messages.granted(leases, now)
        return leases

    async def extend(self, lease: Lease, *, now: Instant, ttl: Span) -> Lease:
        now = self._clock(now)
        longer = await super().extend(lease, now=now, ttl=ttl)
        self._ledger.messages.extended(lease, longer, now)
        return longer

    async def held(self, message: MessageId, *, now: Instant) -> Lease | None:
        return await super().held(message, now=self._clock(now))


class WatchedSqliteStore(SqliteStore):
    """The store of one process. The next process opens the same file and tells what it found there."""

    def __init__(
        self,
        ledger: Ledger,
        path: Path,
        *,
        now: Callable[[], Instant],
        tokens: Callable[[], str],
        broken: Callable[[StorageBroken], None],
    ) -> None:
        super().__init__(path, now=now, tokens=tokens, broken=broken)
        self._ledger = ledger
        ledger.messages.exact = False
        self._keep = self._staging.done
        setattr(self._staging, "done", self._done)  # noqa: B010 - the one moment when a commit takes effect
        self._tell(Instant(max(now(), self.clock_floor)))

    def _tell(self, now: Instant) -> None:
        rows = self._database.execute("SELECT id FROM job").fetchall()
        jobs = [job for (name,) in rows if (job := reading.job(self._database, JobId(name))) is not None]
        held: list[Held] = []
        for message, delivery, _, _ in file.live_messages(self._database):
            held.append(Held(message, self._image.messages.held(message.id, now), delivery))
        self._ledger.reopened(
            jobs,
            {job.id: reading.facts(self._database, job.id, 0) for job in jobs},
            file.live_branches(self._database),
            held,
        )

    async def load(self, job: JobId) -> Job | None:
        found = await super().load(job)
        self._ledger.loaded(job, found)
        return found

    def _done(self, commit: Commit) -> None:
        if not self._closed:
            self._keep(commit)
            self._ledger.committed(commit)

    async def lease(
        self, queues: Sequence[str], *, owner: str, now: Instant, ttl: Span, limit: int
    ) -> Sequence[Lease]:
        leases = await super().lease(queues, owner=owner, now=now, ttl=ttl, limit=limit)
        self._ledger.messages.granted(leases, now)
        return leases

    async def extend(self, lease: Lease, *, now: Instant, ttl: Span) -> Lease:
        longer = await super().extend(lease, now=now, ttl=ttl)
        self._ledger.messages.extended(lease, longer, now)
        return longer

    def abandon(self) -> None:
        """The process is gone: what was not on disk is lost, and the system has taken back the lock."""
        if not self._closed:
            self._closed = True
            self._release()


class Home(Protocol):
    """Where the nodes of a world keep their jobs."""

    def open(self, clock: SimClock, broken: Callable[[StorageBroken], None]) -> Store:
        """The store, for a process that starts."""
        ...

    def registry(self, process: Process) -> Registry:
        """Where the process keeps what may be lost."""
        ...

    def abandon(self) -> None:
        """A process died that had the store open."""
        ...


class SharedMemory:
    """One memory store for all nodes: it stands for a server that all of them reach, and never dies."""

    def __init__(self, ledger: Ledger, clock: SimClock, tokens: Callable[[], str]) -> None:
        self.store = WatchedMemoryStore(ledger, now=clock.now, tokens=tokens)
        self._registry = WatchedRegistry(ledger.documents)

    def open(self, clock: SimClock, broken: Callable[[StorageBroken], None]) -> Store:
        """The store."""
        return self.store

    def registry(self, process: Process) -> Registry:
        """The one that all nodes share."""
        return NodeRegistry(self._registry, process)

    def abandon(self) -> None:
        """Nothing changes: the store is elsewhere."""


class OneFile:
    """A SQLite file that one process at a time has open."""

    def __init__(self, ledger: Ledger, path: Path, tokens: Callable[[], str]) -> None:
        self._ledger, self._path, self._tokens = ledger, path, tokens
        self._open: WatchedSqliteStore | None = None

    def open(self, clock: SimClock, broken: Callable[[StorageBroken], None]) -> Store:
        """The file open, and what is in it told to the ledger."""
        store = WatchedSqliteStore(
            self._ledger, self._path, now=clock.now, tokens=self._tokens, broken=broken
        )
        clock.never_before(store.clock_floor)
        self._open = store
        return store

    def registry(self, process: Process) -> Registry:
        """One that ends with the process."""
        return MemoryRegistry()

    def abandon(self) -> None:
        """What was not on disk is lost."""
        if self._open is not None:
            self._open.abandon()
            self._open = None
