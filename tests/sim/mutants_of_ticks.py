"""Faults of schedules."""

from contextlib import AbstractContextManager, suppress
from typing import Any
from unittest.mock import patch

from avtomatika.commands import ticks
from avtomatika.commands.ticks import Ticks
from avtomatika.kernel.time import SECOND
from avtomatika.ports.store import Commit, Lease, Tick, VersionConflict
from avtomatika.schedules.schedule import Schedule, Settled
from tests.sim.planting import mutant, without


@mutant(2)
def next_tick_armed_before_its_job() -> AbstractContextManager[Any]:
    """The next tick is on its way before the job of this one is accepted: a crash loses the job."""

    async def fire(self: Ticks, lease: Lease, tick: Tick, schedule: Any) -> None:
        settled = schedule.settle(tick.due, self._clock.now())
        following = ticks._message(schedule, settled.following, tick.last)
        await self._go_on(lease, following)
        if settled.fired is not None:
            with suppress(VersionConflict):
                await self._writer.submit(self._job(schedule, settled.fired))

    return patch.object(Ticks, "_fire", fire)


@mutant(2)
def next_tick_armed_after_its_job() -> AbstractContextManager[Any]:
    """The next tick is sent when the job of this one is accepted: a crash in between ends the schedule."""

    async def fire(self: Ticks, lease: Lease, tick: Tick, schedule: Any) -> None:
        settled = schedule.settle(tick.due, self._clock.now())
        following = ticks._message(schedule, settled.following, tick.last)
        if settled.fired is None:
            await self._go_on(lease, following)
            return
        with suppress(VersionConflict):
            await self._writer.submit(self._job(schedule, settled.fired), ack=(lease,))
        await self._store.commit(Commit(now=self._clock.now(), send=(following,)))

    return patch.object(Ticks, "_fire", fire)


@mutant(2)
def ticks_counted_from_now() -> AbstractContextManager[Any]:
    """The next tick of an interval is due one interval after this one was dealt with."""
    real = Ticks._fire

    async def fire(self: Ticks, lease: Lease, tick: Tick, schedule: Any) -> None:
        await real(self, lease, without(tick, due=max(tick.due, self._clock.now())), schedule)

    return patch.object(Ticks, "_fire", fire)


@mutant(2)
def job_of_a_tick_named_anew() -> AbstractContextManager[Any]:
    """A tick that comes again makes another job."""
    real = Ticks._job

    def job(self: Ticks, schedule: Any, due: Any) -> Any:
        return without(real(self, schedule, due), id=f"{schedule.job_id(due)}x{self._clock.now()}")

    return patch.object(Ticks, "_job", job)


@mutant(2)
def a_job_that_is_there_ends_the_schedule() -> AbstractContextManager[Any]:
    """A tick whose job is there already is acknowledged, and no other follows."""

    async def fire(self: Ticks, lease: Lease, tick: Tick, schedule: Any) -> None:
        settled = schedule.settle(tick.due, self._clock.now())
        if settled.fired is not None:
            with suppress(VersionConflict):
                await self._writer.submit(self._job(schedule, settled.fired))
        await self._store.commit(Commit(now=self._clock.now(), ack=(lease,)))

    return patch.object(Ticks, "_fire", fire)


@mutant(6)
def schedules_armed_by_everybody() -> AbstractContextManager[Any]:
    """Each node that starts arms the schedule anew, whatever is armed."""

    async def arm(self: Ticks) -> None:
        for schedule in self._schedules.values():
            now = self._clock.now()
            tick = ticks._message(schedule, schedule.first(now), ticks.JobId(""))
            await self._store.commit(Commit(now=now, send=(tick,)))

    return patch.object(Ticks, "arm", arm)


@mutant(10)
def missed_ticks_are_skipped() -> AbstractContextManager[Any]:
    """Of ticks that were missed only the last gets a job, whatever the schedule says."""

    def settle(self: Any, due: Any, now: Any) -> Any:
        step = self.rule.seconds * SECOND
        last = due + max(0, now - due) // step * step
        return Settled(last, last + step)

    return patch.object(Schedule, "settle", settle)
