"""Faults of stores: what is promised of `commit` and of reading is not kept.

They are planted around whatever store a node opens, so that one fault serves for all of them.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from avtomatika.app import node
from avtomatika.kernel.effects import OfferTask
from avtomatika.ports.store import Commit, VersionConflict
from tests.chaos.planted.fault import fault, without

Commits = Callable[[Commit], Any]
A_MOMENT = 0.3


def around_commit(wrap: Callable[[Any, Commits, Commit], Any]) -> None:
    """Commits of the store that the node opens go through *wrap*, with the store and the true commit."""
    opened = node.open_backend

    async def open_backend(*args: Any) -> Any:
        backend = await opened(*args)
        store, real = backend.store, type(backend.store).commit

        async def commit(self: Any, whole: Commit) -> None:
            await wrap(self, lambda one: real(self, one), whole)

        type(store).commit = commit
        return backend

    node.open_backend = open_backend


@fault("a key makes one job", only=("cut answers", "reset"))
def claim_not_written() -> None:
    """The key of a request is not kept with its job."""

    async def commit(store: Any, real: Commits, whole: Commit) -> None:
        await real(without(whole, claim=None))

    around_commit(commit)


@fault("a job comes to an end", only=("kill node",))
def dual_write() -> None:
    """The job is saved, then its messages are: a crash in between leaves a job that nobody goes on with."""

    async def commit(store: Any, real: Commits, whole: Commit) -> None:
        if whole.job is None:
            await real(whole)
            return
        await real(without(whole, send=(), take=(), drop=(), ack=()))
        await asyncio.sleep(0.05)
        await real(Commit(now=whole.now, send=whole.send, take=whole.take, drop=whole.drop, ack=whole.ack))

    around_commit(commit)


@fault("a job comes to an end", only=("slow",))
def message_dropped() -> None:
    """One in thirty of the offers of tasks is not sent."""
    count = 0

    def kept(message: Any) -> bool:
        nonlocal count
        count += isinstance(message.body, OfferTask)
        return not isinstance(message.body, OfferTask) or count % 30 != 0

    async def commit(store: Any, real: Commits, whole: Commit) -> None:
        await real(without(whole, send=tuple(filter(kept, whole.send))))

    around_commit(commit)


@fault("facts have no gap", "a fact follows the one before", only=("slow",))
def move_without_fact() -> None:
    """Of the moves that meet in one commit only the last is written down."""

    async def commit(store: Any, real: Commits, whole: Commit) -> None:
        await real(without(whole, facts=whole.facts[-1:]))

    around_commit(commit)


@fault(
    "facts have no gap",
    "final is final",
    "a fact follows the one before",
    "200 for a cancellation means cancelled",
    "a job comes to an end",
    "a job ends as without faults",
    store="postgres",
    only=("slow",),
    rate=60.0,
)
def unguarded_commit() -> None:
    """The last writer wins: who finds that the job has moved writes over it."""

    async def commit(store: Any, real: Commits, whole: Commit) -> None:
        await asyncio.sleep(0.05)
        try:
            await real(whole)
        except VersionConflict:
            job = None if whole.job is None else await store.load(whole.job.id)
            if job is None or whole.job is None or not whole.expected:
                raise
            ahead = job.version - whole.expected
            moved = without(whole.job, version=whole.job.version + ahead)
            facts = tuple(without(fact, version=fact.version + ahead) for fact in whole.facts)
            await real(without(whole, job=moved, facts=facts, expected=job.version))

    around_commit(commit)
