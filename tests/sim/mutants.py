"""Faults planted in the real code, one at a time. A simulation that does not find them proves nothing.

`python tests/sim/mutants.py` plants each and prints how many seeds, from 0, it takes to find it.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import msgspec

from avtomatika.commands import apply, draft, offers
from avtomatika.commands.apply import Writer
from avtomatika.commands.draft import Draft
from avtomatika.commands.gateway import Gateway
from avtomatika.commands.offers import Offers, Wanted
from avtomatika.commands.outbox import timer_message
from avtomatika.commands.results import Accepted, Handle, Results, Transition
from avtomatika.commands.timers import Timers
from avtomatika.errors import NotFound, Unavailable
from avtomatika.kernel import machine
from avtomatika.kernel.effects import OfferTask, RunHandler, StartTimer, WithdrawTask
from avtomatika.kernel.events import Decided, TaskAccepted, TaskReported
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Done, Report, Verdict
from avtomatika.kernel.progress import Ignored, enter
from avtomatika.kernel.rules import cancellation, handler
from avtomatika.kernel.rules.task import execution_timer
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.store import Commit, Lease, LeaseLost, Message
from avtomatika.stores.memory import MemoryStore
from avtomatika.stores.queue import MessageTable
from avtomatika.stores.sql import file, group_commit
from avtomatika.stores.sql.group_commit import GroupCommit
from avtomatika.stores.sql.sqlite import SqliteStore
from avtomatika.testing.simulate import simulate_all
from avtomatika.testing.world import Outcome
from rxon.errors import UnavailableError

without: Any = msgspec.structs.replace
Plant = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Mutant:
    """A fault. `found_at` is the first seed, from 0, that finds it."""

    name: str
    plant: Plant
    found_at: int
    store: str = "memory"


MUTANTS: dict[str, Mutant] = {}


def mutant(found_at: int, store: str = "memory") -> Callable[[Plant], Plant]:
    def register(plant: Plant) -> Plant:
        name = plant.__name__
        MUTANTS[name] = Mutant(name, plant, found_at, store)
        return plant

    return register


# ---------------------------------------------------------------- the store


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


@mutant(0)
def acknowledged_when_taken() -> AbstractContextManager[Any]:
    """The queue forgets a message when it is handed out."""
    real = MessageTable.lease

    def lease(
        self: MessageTable, queue: str, owner: str, now: Instant, ttl: Span, limit: int
    ) -> Iterator[Lease]:
        return real(self, queue, owner, now, Span(10**10), limit)

    return patch.object(MessageTable, "lease", lease)


@mutant(7)
def lease_without_token() -> AbstractContextManager[Any]:
    """Whoever once held a message may acknowledge it, also when another holds it now."""

    def check(self: MessageTable, lease: Lease, now: Instant) -> None:
        if self.held(lease.message.id, now) is None:
            raise LeaseLost

    return patch.object(MessageTable, "check", check)


@mutant(0)
def expired_lease_accepted() -> AbstractContextManager[Any]:
    """A lease counts until another is granted, whatever the time."""
    real = MessageTable.held

    def held(self: MessageTable, message: Any, now: Instant) -> Lease | None:
        return real(self, message, Instant(0))

    return patch.object(MessageTable, "held", held)


@mutant(26)
def unguarded_commit() -> AbstractContextManager[Any]:
    """The last writer wins: the version of the job is not compared."""
    real = MemoryStore._check

    def check(self: MemoryStore, commit: Commit) -> None:
        real(self, without(commit, job=None))

    return patch.object(MemoryStore, "_check", check)


@mutant(0)
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


@mutant(0)
def claim_beside_the_job() -> AbstractContextManager[Any]:
    """The key is claimed in a commit of its own, after the job."""
    real = MemoryStore.commit

    async def commit(self: MemoryStore, whole: Commit) -> None:
        await real(self, without(whole, claim=None))
        if whole.claim is not None:
            await real(self, Commit(now=whole.now, claim=whole.claim))

    return patch.object(MemoryStore, "commit", commit)


@mutant(0)
def lost_branch_write() -> AbstractContextManager[Any]:
    """Of several branches that change in one commit, the last is not written."""
    real = MemoryStore.commit

    async def commit(self: MemoryStore, whole: Commit) -> None:
        await real(self, without(whole, branches=whole.branches[:1]))

    return patch.object(MemoryStore, "commit", commit)


@mutant(0, "sqlite")
def deliveries_lost_when_reopened() -> AbstractContextManager[Any]:
    """A process that finds the file after a crash begins to count deliveries anew."""
    real = file.live_messages

    def live_messages(database: Any) -> list[tuple[Message, int, Lease | None, int]]:
        return [(message, 0, lease, ttl) for message, _, lease, ttl in real(database)]

    return patch.object(file, "live_messages", live_messages)


@mutant(0, "sqlite")
def answered_before_the_disk() -> AbstractContextManager[Any]:
    """A commit is answered when it is in memory, and goes to disk some time later."""
    real = SqliteStore.commit

    async def commit(self: SqliteStore, whole: Commit) -> None:
        await real(self, without(whole, durable=False))

    return patch.object(SqliteStore, "commit", commit)


# ---------------------------------------------------------------- the rules


@mutant(146)
def cancelled_jobs_rise() -> AbstractContextManager[Any]:
    """A job that was cancelled goes on when its task reports."""
    real = machine.transition

    def transition(job: Any, event: Any, now: Instant, branch: Any = None) -> Any:
        over = isinstance(job.phase, Done) and job.phase.verdict is Verdict.CANCELLED
        if over and not isinstance(event, machine.CancelRequested):
            return enter(job, now, job.state)
        return real(job, event, now, branch)

    return patch.object(machine, "transition", transition)


@mutant(6)
def cancel_leaves_the_task() -> AbstractContextManager[Any]:
    """The task of a cancelled job stays in its queue."""
    real = cancellation.finish

    def finish(*args: Any, **kw: Any) -> Any:
        moved = real(*args, **kw)
        return without(moved, effects=tuple(e for e in moved.effects if not isinstance(e, WithdrawTask)))

    return patch.object(cancellation, "finish", finish)


@mutant(0)
def retry_of_a_handler_lost() -> AbstractContextManager[Any]:
    """A handler that raised is due again, but nobody is told."""
    real = handler.crashed

    def crashed(*args: Any) -> Any:
        moved = real(*args)
        if isinstance(moved, Ignored):
            return moved
        return without(moved, effects=tuple(e for e in moved.effects if not isinstance(e, RunHandler)))

    return patch.object(handler, "crashed", crashed)


@mutant(189)
def stale_decisions_accepted() -> AbstractContextManager[Any]:
    """A decision counts for whatever state the job is in by now, and needs no lease."""
    real = handler.decided

    def decided(job: Any, event: Decided, now: Instant) -> Any:
        return real(job, without(event, version=job.run), now)

    async def without_lease(self: Writer, lease: Lease, running: Any) -> None:
        await asyncio.wait((running,))
        await self.apply(lease.message.job, running.result())

    return _both(patch.object(handler, "decided", decided), patch.object(Writer, "_finish", without_lease))


@mutant(0)
def withdrawn_timers_stay() -> AbstractContextManager[Any]:
    """A task that is over leaves its timers behind."""
    real = draft.plan

    def plan(effects: Any) -> Any:
        out = real(effects)
        return without(out, drop=tuple(name for name in out.drop if not name.startswith("timer:")))

    return patch.object(draft, "plan", plan)


# ---------------------------------------------------------------- the commands


@mutant(2)
def timer_gone_before_its_effect() -> AbstractContextManager[Any]:
    """A timer is acknowledged first and applied then."""

    async def fire(self: Timers, lease: Lease) -> None:
        await self._store.commit(Commit(now=self._clock.now(), ack=(lease,)))
        body = lease.message.body
        if isinstance(body, StartTimer):
            await self._writer.apply(body.job, machine.DeadlinePassed(body.task, body.attempt, body.deadline))

    return patch.object(Timers, "fire", fire)


@mutant(0)
def results_without_lease() -> AbstractContextManager[Any]:
    """A result counts whoever holds the task now."""

    async def take(self: Results, job: JobId, handle: Handle, report: Report, token: str | None) -> Accepted:
        event = TaskReported(handle.task, handle.attempt, handle.delivery, report)
        outcome = await self._writer.apply(job, event)
        if isinstance(outcome, Ignored):
            return await self._seen_before(job, handle, report)
        return Accepted(Transition.SUCCESS)

    return patch.object(Results, "take", take)


@mutant(60)
def branches_counted_twice_when_folded() -> AbstractContextManager[Any]:
    """Two reports of one branch that meet in one commit both count: the second does not see the first."""
    real = Draft.add

    def add(self: Draft, events: Any) -> Any:
        before = dict(self._branches)
        outcomes = real(self, events)
        self._branches = before
        return outcomes

    return patch.object(Draft, "add", add)


@mutant(16)
def folded_events_lose_an_ack() -> AbstractContextManager[Any]:
    """Of the events that meet in one commit only the first is acknowledged."""
    real = Draft.commit

    def commit(self: Draft, *, ack: Sequence[Lease] = (), **kw: Any) -> Commit:
        return real(self, ack=tuple(ack[:1]), **kw)

    return patch.object(Draft, "commit", commit)


@mutant(0)
def a_move_without_fact() -> AbstractContextManager[Any]:
    """Of the moves that meet in one commit only the last is written down."""
    real = Draft.commit

    def commit(self: Draft, **kw: Any) -> Commit:
        whole = real(self, **kw)
        return without(whole, facts=whole.facts[-1:])

    return patch.object(Draft, "commit", commit)


@mutant(0)
def time_of_the_first_worker_for_all() -> AbstractContextManager[Any]:
    """The clock of an execution begins with the first worker that takes the task, and is never set again."""
    real = Offers._begin

    async def begin(self: Offers, lease: Lease, wanted: Wanted) -> Lease | None:
        if lease.delivery == 1:
            return await real(self, lease, wanted)
        held = without(lease, owner=wanted.owner)
        now = self._clock.now()
        await self._store.commit(Commit(now=now, ack=(lease,), take=(held,)))
        return held  # type: ignore[no-any-return]

    return patch.object(Offers, "_begin", begin)


@mutant(35)
def timer_without_lease() -> AbstractContextManager[Any]:
    """The clock of an execution begins whether or not the task is still there."""

    async def begin(self: Offers, lease: Lease, wanted: Wanted) -> Lease | None:
        body = lease.message.body
        if not isinstance(body, OfferTask):
            return None
        now = self._clock.now()
        if body.task.dispatch_due is not None:
            await self._applied(lease, TaskAccepted(body.task.id, body.task.attempt, wanted.worker.id))
        timer = timer_message(execution_timer(body.job, body.task, now))
        await self._store.commit(Commit(now=now, send=(timer,)))
        held = without(lease, owner=wanted.owner)
        try:
            await self._store.commit(Commit(now=now, ack=(lease,), take=(held,)))
        except LeaseLost:
            return None
        return held  # type: ignore[no-any-return]

    return patch.object(Offers, "_begin", begin)


@mutant(5)
def repeats_refused_when_folded() -> AbstractContextManager[Any]:
    """A result that comes twice at the same time is refused the second time."""

    async def take(self: Results, job: JobId, handle: Handle, report: Report, token: str | None) -> Accepted:
        lease = await self.held(handle, report.worker, token)
        if lease is None or lease.message.job != job:
            return await self._seen_before(job, handle, report)
        event = TaskReported(handle.task, handle.attempt, handle.delivery, report)
        try:
            outcome = await self._writer.apply(job, event, ack=lease)
        except (LeaseLost, NotFound):
            return await self._seen_before(job, handle, report)
        if isinstance(outcome, Ignored):
            raise LeaseLost
        return Accepted(Transition.SUCCESS)

    return patch.object(Results, "take", take)


@mutant(0)
def heartbeats_break_with_the_store() -> AbstractContextManager[Any]:
    """A heartbeat is answered with an error of the store that no worker knows."""
    real = Gateway.heartbeat

    async def heartbeat(self: Gateway, *args: Any) -> Any:
        try:
            return await real(self, *args)
        except UnavailableError as error:
            raise Unavailable from error

    return patch.object(Gateway, "heartbeat", heartbeat)


@mutant(42, "sqlite")
def key_answered_before_the_disk() -> AbstractContextManager[Any]:
    """An equal request learns of the job of an earlier one before that job is on disk."""

    def gather(self: GroupCommit, batch: Any, waiting: Any, noted: Any) -> Any:
        for work in noted:
            self._staging.restage(batch, work)
        staged = []
        for commit, future in waiting:
            try:
                self._staging.stage(batch, commit)
            except Exception as refusal:
                group_commit._refuse(future, refusal)
            else:
                staged.append((commit, future))
        return staged

    return patch.object(GroupCommit, "_gather", gather)


@mutant(0, "sqlite")
def workers_hold_tasks_without_limit() -> AbstractContextManager[Any]:
    """A task is the worker's before its clock runs: a crash in between leaves a task that never times out."""
    real = Offers._may_have

    def may_have(self: Offers, wanted: Wanted, *place: Any) -> bool:
        self._owner = wanted.owner  # asked just before the lease is
        return real(self, wanted, *place)

    return patch.object(Offers, "_may_have", may_have)


@mutant(69)
def tasks_of_vanished_pollers_stay() -> AbstractContextManager[Any]:
    """What a worker was about to get when its connection broke waits until the lease runs out."""

    async def release(self: Offers, leases: Any) -> None:
        return None

    return patch.object(Offers, "release", release)


@mutant(101)
def released_tasks_count_anew() -> AbstractContextManager[Any]:
    """A task that is given back forgets how often it was given."""
    real = offers._unspent

    def unspent(lease: Lease) -> Lease:
        return without(real(lease), delivery=0)  # type: ignore[no-any-return]

    return patch.object(offers, "_unspent", unspent)


@mutant(0)
def duties_die_with_the_store() -> AbstractContextManager[Any]:
    """A store that is away for a moment ends the duty that meets parked workers."""

    async def serve_for_ever(self: Offers) -> None:
        while True:
            await self._store.wait(("task",), until=await self.serve())

    return patch.object(Offers, "serve_for_ever", serve_for_ever)


@mutant(13)
def poison_is_folded() -> AbstractContextManager[Any]:
    """A handler that becomes due by a repeated delivery runs at once, before anything counts it."""
    return patch.object(apply, "_is_suspect", lambda requests: False)


@contextmanager
def _both(*patches: AbstractContextManager[Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for one in patches:
            stack.enter_context(one)
        yield


def first_finding(planted: Mutant, seeds: Sequence[int]) -> Outcome | None:
    """The first of the worlds, with the fault planted, in which something is found."""
    with planted.plant():
        for outcome, _ in simulate_all(seeds, planted.store):
            if outcome.violations:
                return outcome
    return None


def main(names: Sequence[str], most: int = 1_000) -> int:
    """Each mutant was planted; 1 when one of them was not found."""
    missed = 0
    chosen: Mapping[str, Mutant] = {name: MUTANTS[name] for name in names} if names else MUTANTS
    for planted in chosen.values():
        outcome = first_finding(planted, range(most))
        if outcome is None:
            missed += 1
            print(f"{planted.name:36} NOT FOUND in {most} seeds")
        else:
            seed = outcome.options.seed
            print(f"{planted.name:36} {seed + 1:4} seeds: {outcome.violations[0].rule}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
