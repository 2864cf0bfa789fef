"""Faults of the rules for one job."""

import asyncio
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from avtomatika.commands import draft
from avtomatika.commands.apply import Writer
from avtomatika.kernel import machine
from avtomatika.kernel.effects import RunHandler, WithdrawTask
from avtomatika.kernel.events import Decided
from avtomatika.kernel.model import Done, Verdict
from avtomatika.kernel.progress import Ignored, enter
from avtomatika.kernel.rules import cancellation, handler
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Lease
from tests.sim.planting import both, mutant, without


@mutant(1)
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


@mutant(3)
def retry_of_a_handler_lost() -> AbstractContextManager[Any]:
    """A handler that raised is due again, but nobody is told."""
    real = handler.crashed

    def crashed(*args: Any) -> Any:
        moved = real(*args)
        if isinstance(moved, Ignored):
            return moved
        return without(moved, effects=tuple(e for e in moved.effects if not isinstance(e, RunHandler)))

    return patch.object(handler, "crashed", crashed)


@mutant(97)
def stale_decisions_accepted() -> AbstractContextManager[Any]:
    """A decision counts for whatever state the job is in by now, and needs no lease."""
    real = handler.decided

    def decided(job: Any, event: Decided, now: Instant) -> Any:
        return real(job, without(event, version=job.run), now)

    async def without_lease(self: Writer, lease: Lease, running: Any) -> None:
        await asyncio.wait((running,))
        await self.apply(lease.message.job, running.result())

    return both(patch.object(handler, "decided", decided), patch.object(Writer, "_finish", without_lease))


@mutant(1)
def withdrawn_timers_stay() -> AbstractContextManager[Any]:
    """A task that is over leaves its timers behind."""
    real = draft.plan

    def plan(effects: Any) -> Any:
        out = real(effects)
        return without(out, drop=tuple(name for name in out.drop if not name.startswith("timer:")))

    return patch.object(draft, "plan", plan)
