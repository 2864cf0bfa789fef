"""Faults of what carries the rules out."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from avtomatika.commands import apply, grants
from avtomatika.commands.control import Control
from avtomatika.commands.draft import Draft
from avtomatika.commands.gateway import Gateway
from avtomatika.commands.grants import Grants
from avtomatika.commands.offers import Offers, Wanted
from avtomatika.commands.outbox import timer_message
from avtomatika.commands.results import Accepted, Handle, Results, Transition
from avtomatika.commands.timers import Timers
from avtomatika.errors import AlreadyOver, NotFound, Unavailable
from avtomatika.kernel import machine
from avtomatika.kernel.effects import OfferTask, StartTimer
from avtomatika.kernel.events import CancelRequested, SignalReceived, TaskAccepted, TaskReported
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Report
from avtomatika.kernel.progress import Ignored
from avtomatika.kernel.rules.task import execution_timer
from avtomatika.ports.store import Commit, Lease, LeaseLost
from avtomatika.stores.sql import group_commit
from avtomatika.stores.sql.flight import refuse
from rxon.errors import UnavailableError
from tests.sim.planting import mutant, without


@mutant(0)
def timer_gone_before_its_effect() -> AbstractContextManager[Any]:
    """A timer is acknowledged first and applied then."""

    async def fire(self: Timers, lease: Lease) -> None:
        await self._store.commit(Commit(now=self._clock.now(), ack=(lease,)))
        body = lease.message.body
        if isinstance(body, StartTimer):
            await self._writer.apply(body.job, machine.DeadlinePassed(body.task, body.attempt, body.deadline))

    return patch.object(Timers, "fire", fire)


@mutant(1)
def results_without_lease() -> AbstractContextManager[Any]:
    """A result counts whoever holds the task now."""

    async def take(self: Results, job: JobId, handle: Handle, report: Report, *_: Any) -> Accepted:
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


@mutant(11)
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


@mutant(2)
def time_of_the_first_worker_for_all() -> AbstractContextManager[Any]:
    """The clock of an execution begins with the first worker that takes the task, and is never set again."""
    real = Grants._begin

    async def begin(self: Grants, lease: Lease, wanted: Wanted) -> Lease | None:
        if lease.delivery == 1:
            return await real(self, lease, wanted)
        held = without(lease, owner=wanted.owner)
        now = self._clock.now()
        await self._store.commit(Commit(now=now, ack=(lease,), take=(held,)))
        return held  # type: ignore[no-any-return]

    return patch.object(Grants, "_begin", begin)


@mutant(41)
def timer_without_lease() -> AbstractContextManager[Any]:
    """The clock of an execution begins whether or not the task is still there."""

    async def begin(self: Grants, lease: Lease, wanted: Wanted) -> Lease | None:
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

    return patch.object(Grants, "_begin", begin)


@mutant(109)
def repeats_refused_when_folded() -> AbstractContextManager[Any]:
    """A result that comes twice at the same time is refused the second time."""

    async def take(
        self: Results, job: JobId, handle: Handle, report: Report, token: str | None, *_: Any
    ) -> Accepted:
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


@mutant(13)
def heartbeats_break_with_the_store() -> AbstractContextManager[Any]:
    """A heartbeat is answered with an error of the store that no worker knows."""
    real = Gateway.heartbeat

    async def heartbeat(self: Gateway, *args: Any) -> Any:
        try:
            return await real(self, *args)
        except UnavailableError as error:
            raise Unavailable from error

    return patch.object(Gateway, "heartbeat", heartbeat)


@mutant(40, "sqlite")
def key_answered_before_the_disk() -> AbstractContextManager[Any]:
    """An equal request learns of the job of an earlier one before that job is on disk."""

    def stage(staging: Any, batch: Any, waiting: Any) -> Any:
        staged = []
        for commit, future in waiting:
            try:
                staging.stage(batch, commit)
            except Exception as refusal:
                refuse(future, refusal)
            else:
                staged.append((commit, future))
        return staged, []

    return patch.object(group_commit, "stage", stage)


@mutant(1, "sqlite")
def workers_hold_tasks_without_limit() -> AbstractContextManager[Any]:
    """A task is the worker's before its clock runs: a crash in between leaves a task that never times out."""
    real = Offers._lease

    async def lease(self: Offers, wanted: Wanted, *rest: Any) -> Any:
        self._owner = wanted.owner
        return await real(self, wanted, *rest)

    return patch.object(Offers, "_lease", lease)


@mutant(425)
def tasks_of_vanished_pollers_stay() -> AbstractContextManager[Any]:
    """What a worker was about to get when its connection broke waits until the lease runs out."""

    async def release(self: Offers, leases: Any) -> None:
        return None

    return patch.object(Offers, "release", release)


@mutant(248)
def released_tasks_count_anew() -> AbstractContextManager[Any]:
    """A task that is given back forgets how often it was given."""
    real = grants.unspent

    def unspent(lease: Lease) -> Lease:
        return without(real(lease), delivery=0)  # type: ignore[no-any-return]

    return patch.object(grants, "unspent", unspent)


@mutant(2)
def duties_die_with_the_store() -> AbstractContextManager[Any]:
    """A store that is away for a moment ends the duty that meets parked workers."""

    async def serve_for_ever(self: Offers) -> None:
        while True:
            await self._store.wait(("task",), until=await self.serve())

    return patch.object(Offers, "serve_for_ever", serve_for_ever)


@mutant(4)
def poison_is_folded() -> AbstractContextManager[Any]:
    """A handler that becomes due by a repeated delivery runs at once, before anything counts it."""
    return patch.object(apply, "is_suspect", lambda requests: False)


def answered_before(verb: str, event_of: Callable[..., Any]) -> AbstractContextManager[Any]:
    """Who asks is answered when what was asked for is on its way."""

    async def answer(self: Control, job_id: str, client: str, *rest: Any) -> None:
        job = await self._queries.job(job_id, client)
        if job.over:
            raise AlreadyOver
        self._writer._spawn(self._writer.apply(job.id, event_of(*rest)), name=verb)

    return patch.object(Control, verb, answer)


@mutant(6)
def cancel_answered_before_the_commit() -> AbstractContextManager[Any]:
    """A client is told that its job is cancelled when that is on its way."""
    return answered_before("cancel", CancelRequested)


@mutant(2)
def signal_answered_before_the_commit() -> AbstractContextManager[Any]:
    """A client is told that its signal was taken when that is on its way."""
    return answered_before("signal", SignalReceived)
