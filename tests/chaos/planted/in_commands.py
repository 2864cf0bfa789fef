"""Faults of what carries the rules out."""

import asyncio
from contextlib import suppress
from typing import Any

from avtomatika.commands.control import Control
from avtomatika.commands.kin import Kin
from avtomatika.commands.queries import Queries
from avtomatika.commands.submit import Submit
from avtomatika.commands.timers import Timers
from avtomatika.errors import AlreadyOver, NotFound
from avtomatika.kernel.effects import StartAlarm, StartChild
from avtomatika.kernel.events import AlarmRang, CancelRequested
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Job
from avtomatika.ports.store import Commit, KeyTaken, Lease, VersionConflict
from tests.chaos.planted.fault import fault, without

A_MOMENT = 0.3


@fault("an accepted job is there", only=("kill node",), rate=60.0)
def accepted_before_the_commit() -> None:
    """A client is told 202 when its job is on its way to the disk."""

    async def accept(self: Submit, blueprint: Any, request: Any, client: str) -> JobId:
        now = self._clock.now()
        job = self._job(blueprint, request, client, now)
        claim = self._claim(blueprint, request, client, job.id, now)

        async def later() -> None:
            await asyncio.sleep(A_MOMENT)
            with suppress(KeyTaken):
                await self._writer.submit(job, claim)

        self._writer._spawn(later(), name="submit")
        return job.id

    Submit._accept = accept  # type: ignore[method-assign] - that is the fault


@fault("a job comes to an end", only=("kill node",), rate=60.0)
def timer_gone_before_its_effect() -> None:
    """A timer is acknowledged first and applied then."""

    async def fire(self: Timers, lease: Lease) -> None:
        await self._store.commit(Commit(now=self._clock.now(), ack=(lease,)))
        await asyncio.sleep(A_MOMENT)
        body = lease.message.body
        if isinstance(body, StartAlarm):
            await self._writer.apply(body.job, AlarmRang(body.since))

    Timers.fire = fire  # type: ignore[method-assign] - that is the fault


@fault("a job comes to an end", "a child that was started is there", only=("kill node",), rate=60.0)
def child_acknowledged_before_it_is_started() -> None:
    """What asks for a child is gone before the child is there."""
    real = Kin.deliver

    async def deliver(self: Kin, lease: Lease) -> None:
        body = lease.message.body
        if not isinstance(body, StartChild):
            await real(self, lease)
            return
        await self._store.commit(Commit(now=self._clock.now(), ack=(lease,)))
        await asyncio.sleep(A_MOMENT)
        try:
            await self._writer.submit(body.child)
        except (NotFound, VersionConflict):
            return

    Kin.deliver = deliver  # type: ignore[method-assign] - that is the fault


@fault(
    "200 for a cancellation means cancelled",
    "who was answered reads what was said",
    only=("slow",),
    rate=60.0,
)
def cancel_that_only_marks() -> None:
    """A client is told that its job is cancelled when that is on its way."""

    async def cancel(self: Control, job_id: str, viewer: Any) -> None:
        job = await self._queries.job(job_id, viewer)
        if job.over:
            raise AlreadyOver(f"The job is already over: {job.status}.")

        async def later() -> None:
            await asyncio.sleep(0.05)
            await self._writer.apply(job.id, CancelRequested())

        self._writer._spawn(later(), name="cancel")

    Control.cancel = cancel  # type: ignore[method-assign] - that is the fault


@fault("who was answered reads what was said", only=("slow",), rate=60.0)
def reads_of_a_moment_ago() -> None:
    """A job is shown as it was when it was last shown."""
    real = Queries.job
    shown: dict[str, Job] = {}

    async def job(self: Queries, job_id: str, viewer: Any) -> Job:
        found = await real(self, job_id, viewer)
        return shown.setdefault(job_id, found)

    Queries.job = job  # type: ignore[method-assign] - that is the fault


@fault("a timer fires when it is due", only=("slow",))
def timers_fire_early() -> None:
    """An alarm rings a quarter of a second before its time."""
    from avtomatika.commands import outbox

    real = outbox.message_of

    def message_of(effect: Any) -> Any:
        early = isinstance(effect, StartAlarm)
        return real(without(effect, due=effect.due - 250) if early else effect)

    outbox.message_of = message_of


@fault("answers are of use to clients", "a node is surprised by nothing", only=("slow",))
def surprises() -> None:
    """Something that nobody foresaw happens at every fiftieth look at a job."""
    real = Queries.job
    looks = 0

    async def job(self: Queries, job_id: str, viewer: Any) -> Job:
        nonlocal looks
        looks += 1
        if looks % 50 == 0:
            raise KeyError(job_id)
        return await real(self, job_id, viewer)

    Queries.job = job  # type: ignore[method-assign] - that is the fault
