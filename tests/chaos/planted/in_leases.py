"""Faults of leases and results."""

import asyncio
from typing import Any

from avtomatika.app.timekeeping import Timekeeper
from avtomatika.commands.gateway import Gateway
from avtomatika.commands.outbox import task_message_id
from avtomatika.commands.results import Accepted, Handle, Results, Transition
from avtomatika.kernel.effects import OfferTask
from avtomatika.kernel.events import TaskReported
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Report
from avtomatika.kernel.progress import Ignored
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.store import Lease, LeaseLost
from avtomatika.stores.queue import MessageTable
from tests.chaos.planted.fault import fault

SLEEPERS = ("stop worker",)
NO_ZOMBIE = "no result of a lease that has ended is applied"
ONE_HOLDER = "a task is leased to one worker at a time"
TRUE_ANSWERS = ("an accepted result is in the facts", "a refused result is not applied")


@fault(NO_ZOMBIE, *TRUE_ANSWERS, only=SLEEPERS, seconds=40.0)
def result_without_lease() -> None:
    """A result counts whoever holds the task now."""

    async def take(self: Results, job: JobId, handle: Handle, report: Report, *_: Any) -> Accepted:
        event = TaskReported(handle.task, handle.attempt, handle.delivery, report)
        outcome = await self._writer.apply(job, event)
        if isinstance(outcome, Ignored):
            return await self._seen_before(job, handle, report)
        return Accepted(Transition.SUCCESS)

    Results.take = take  # type: ignore[method-assign, assignment] - that is the fault


@fault(NO_ZOMBIE, *TRUE_ANSWERS, only=SLEEPERS, seconds=20.0, rate=60.0)
def token_not_checked() -> None:
    """A result counts when anybody holds the task, whoever that is, and by whatever delivery.

    And no worker hears of it when it does not hold a task any more.
    """
    kept = Gateway._keep

    async def keep(self: Gateway, task: str, worker_id: str) -> bool:
        await kept(self, task, worker_id)
        return True

    async def held(self: Results, handle: Handle, *_: Any) -> Lease | None:
        lease = await self._store.held(task_message_id(handle.task), now=self._clock.now())
        body = None if lease is None else lease.message.body
        return lease if isinstance(body, OfferTask) and body.task.attempt == handle.attempt else None

    Gateway._keep = keep  # type: ignore[method-assign] - that is the fault
    Results.held = held  # type: ignore[method-assign, assignment] - that is the fault


@fault("a refused result is not applied", only=("cut answers",), gap=(1.0, 2.0), seconds=20.0)
def repeats_refused() -> None:
    """A result that comes again is refused, though it was applied."""

    async def seen_before(self: Results, *_: Any) -> Accepted:
        raise LeaseLost("not held")

    Results._seen_before = seen_before  # type: ignore[method-assign] - that is the fault


@fault("an accepted result is in the facts", "a job comes to an end", only=("kill node",))
def result_answered_first() -> None:
    """A worker is told that its result counts when that is on its way."""
    real = Results.take

    async def take(self: Results, *args: Any) -> Accepted:
        async def later() -> None:
            await asyncio.sleep(0.5)
            try:
                await real(self, *args)
            except LeaseLost:
                return

        self._spawn(later(), name="later")
        return Accepted(Transition.SUCCESS)

    Results.take = take  # type: ignore[method-assign] - that is the fault


@fault("a job comes to an end", only=("kill worker",))
def lease_never_ends() -> None:
    """What a worker has taken is its own for ever."""
    real = MessageTable.lease

    def lease(self: Any, queue: str, owner: str, now: Instant, ttl: Span, limit: int) -> Any:
        return real(self, queue, owner, now, Span(10**9) if queue.startswith("task") else ttl, limit)

    MessageTable.lease = lease  # type: ignore[method-assign] - that is the fault


@fault(ONE_HOLDER, only=("slow",))
def two_leases_at_once() -> None:
    """A task that somebody has is there for others after the twentieth part of its lease."""
    real = MessageTable._place

    def place(self: Any, line: Any, entry: Any, at: Instant) -> None:
        held = entry.lease is not None and entry.lease.until == at and "task:" in entry.message.id
        real(self, line, entry, Instant(at - 1_900) if held else at)

    MessageTable._place = place  # type: ignore[method-assign] - that is the fault


@fault(ONE_HOLDER, only=("slow",))
def heartbeats_renew_nothing() -> None:
    """A worker hears that it still has its tasks, and has them no longer than before."""

    async def keep(self: Gateway, task: str, worker_id: str) -> bool:
        return True

    Gateway._keep = keep  # type: ignore[method-assign] - that is the fault


@fault(
    ONE_HOLDER,
    "a job comes to an end",
    "a schedule goes on",
    "a timer fires when it is due",
    NO_ZOMBIE,
    store="postgres",
    only=("step clock",),
)
def nodes_have_their_own_clocks() -> None:
    """A node goes by the clock of its host, and not by that of the store."""

    async def follow(self: Timekeeper) -> bool:
        return False

    Timekeeper.follow = follow  # type: ignore[method-assign] - that is the fault
