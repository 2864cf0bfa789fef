"""Faults of stores."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from avtomatika.kernel.ids import JobId
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.store import Commit, Lease, LeaseLost, Message
from avtomatika.stores.memory import MemoryStore
from avtomatika.stores.queue import MessageTable
from avtomatika.stores.sql import file
from avtomatika.stores.sql.sqlite import SqliteStore
from tests.sim.planting import mutant, without


@mutant(0)
def dual_write() -> AbstractContextManager[Any]:
    """The job is saved, then its messages are: a crash in between leaves a job that nobody goes on with."""
    real = MemoryStore.commit

    async def commit(self: MemoryStore, whole: Commit) -> None:
        await real(self, without(whole, send=(), take=(), drop=(), ack=()))
        await asyncio.sleep(0.02)
        await real(
            self, Commit(now=whole.now, send=whole.send, take=whole.take, drop=whole.drop, ack=whole.ack)
        )

    return patch.object(MemoryStore, "commit", commit)


@mutant(1)
def acknowledged_when_taken() -> AbstractContextManager[Any]:
    """The queue forgets a message when it is handed out."""
    real = MessageTable.lease

    def lease(
        self: MessageTable, queue: str, owner: str, now: Instant, ttl: Span, limit: int
    ) -> Iterator[Lease]:
        return real(self, queue, owner, now, Span(10**10), limit)

    return patch.object(MessageTable, "lease", lease)


@mutant(10)
def lease_without_token() -> AbstractContextManager[Any]:
    """Whoever once held a message may acknowledge it, also when another holds it now."""

    def check(self: MessageTable, lease: Lease, now: Instant) -> None:
        if self.held(lease.message.id, now) is None:
            raise LeaseLost

    return patch.object(MessageTable, "check", check)


@mutant(7)
def expired_lease_accepted() -> AbstractContextManager[Any]:
    """A lease counts until another is granted, whatever the time."""
    real = MessageTable.held

    def held(self: MessageTable, message: Any, now: Instant) -> Lease | None:
        return real(self, message, Instant(0))

    return patch.object(MessageTable, "held", held)


@mutant(17)
def unguarded_commit() -> AbstractContextManager[Any]:
    """The last writer wins: the version of the job is not compared."""
    real = MemoryStore._check

    def check(self: MemoryStore, commit: Commit) -> None:
        real(self, without(commit, job=None))

    return patch.object(MemoryStore, "_check", check)


@mutant(1)
def deliveries_not_counted() -> AbstractContextManager[Any]:
    """Every delivery says that it is the first, so that a handler that kills its process runs for ever."""
    real = MessageTable.lease

    def lease(self: MessageTable, *args: Any) -> Iterator[Lease]:
        for granted in real(self, *args):
            entry = self._entries[granted.message.id]
            entry.delivery = 1
            entry.lease = without(granted, delivery=1)
            yield entry.lease

    return patch.object(MessageTable, "lease", lease)


@mutant(2)
def claim_beside_the_job() -> AbstractContextManager[Any]:
    """The key is claimed in a commit of its own, after the job."""
    real = MemoryStore.commit

    async def commit(self: MemoryStore, whole: Commit) -> None:
        await real(self, without(whole, claim=None))
        if whole.claim is not None:
            await real(self, Commit(now=whole.now, claim=whole.claim))

    return patch.object(MemoryStore, "commit", commit)


@mutant(2)
def lost_branch_write() -> AbstractContextManager[Any]:
    """Of several branches that change in one commit, the last is not written."""
    real = MemoryStore.commit

    async def commit(self: MemoryStore, whole: Commit) -> None:
        await real(self, without(whole, branches=whole.branches[:1]))

    return patch.object(MemoryStore, "commit", commit)


@mutant(8, "sqlite")
def deliveries_lost_when_reopened() -> AbstractContextManager[Any]:
    """A process that finds the file after a crash begins to count deliveries anew."""
    real = file.live_messages

    def live_messages(database: Any) -> list[tuple[Message, int, Lease | None, int]]:
        return [(message, 0, lease, ttl) for message, _, lease, ttl in real(database)]

    return patch.object(file, "live_messages", live_messages)


@mutant(1, "sqlite")
def answered_before_the_disk() -> AbstractContextManager[Any]:
    """A commit is answered when it is in memory, and goes to disk some time later."""
    real = SqliteStore.commit

    async def commit(self: SqliteStore, whole: Commit) -> None:
        await real(self, without(whole, durable=False))

    return patch.object(SqliteStore, "commit", commit)


@mutant(2)
def leased_again_half_way() -> AbstractContextManager[Any]:
    """A message is given to another when half of the time of its lease has passed."""
    real = MessageTable._place

    def place(self: MessageTable, line: Any, entry: Any, at: Instant) -> None:
        early = entry.lease is not None and entry.lease.until == at
        real(self, line, entry, Instant(at - 1_000) if early else at)

    return patch.object(MessageTable, "_place", place)


@mutant(0)
def reads_of_a_moment_ago() -> AbstractContextManager[Any]:
    """A job is shown as it was when it was last shown."""
    real = MemoryStore.load

    async def load(self: MemoryStore, job: JobId) -> Any:
        shown = self.__dict__.setdefault("shown", {})
        found = await real(self, job)
        earlier, shown[job] = shown.get(job, found), found
        return earlier

    return patch.object(MemoryStore, "load", load)
