"""How a job moves: the few steps that every rule is made of."""

import msgspec
from msgspec import Raw

from avtomatika.kernel.effects import (
    CancelChild,
    CloseBranches,
    Effect,
    RunHandler,
    StopAlarm,
    StopRun,
    WithdrawTask,
)
from avtomatika.kernel.events import Deadline
from avtomatika.kernel.ids import JobId, task_id
from avtomatika.kernel.model import (
    NULL,
    AwaitingChild,
    AwaitingHuman,
    Branch,
    Done,
    Failure,
    Gathering,
    Job,
    Listening,
    Phase,
    Ready,
    Sleeping,
    Task,
    Verdict,
    Waiting,
)
from avtomatika.kernel.notices import announcements
from avtomatika.kernel.time import Instant


class Moved(msgspec.Struct, frozen=True):
    """The job after the event, what the outside must do, and the branches that changed."""

    job: Job
    effects: tuple[Effect, ...] = ()
    branches: tuple[Branch, ...] = ()


class Ignored(msgspec.Struct, frozen=True):
    """The event changes nothing, and why: a designed answer, not an error."""

    reason: str


Outcome = Moved | Ignored

LOOP = "LOOP_DETECTED"
CANCELLED = "CANCELLED"

_BEGUN = (Deadline.EXECUTION,)
_BEFORE_RESULT = (Deadline.DISPATCH, Deadline.EXECUTION)


def move(job: Job, now: Instant, phase: Phase, *effects: Effect, branches: tuple[Branch, ...] = ()) -> Moved:
    """The job one version on, in *phase*."""
    moved = msgspec.structs.replace(job, phase=phase, version=job.version + 1, updated=now)
    return Moved(moved, effects, branches)


def enter(job: Job, now: Instant, state: str, *effects: Effect, gathered: int | None = None) -> Moved:
    """The job in *state* with its handler due, or failed when it has taken more steps than it may.

    *effects* take back what the job leaves behind.
    """
    if job.steps >= job.policy.max_steps:
        message = f"The job took more than {job.policy.max_steps} steps: a loop is suspected."
        return finish(job, now, Verdict.FAILED, failure=Failure(code=LOOP, message=message))
    entered = msgspec.structs.replace(job, state=state, steps=job.steps + 1)
    return run(entered, now, Ready(gathered=gathered), now, *effects)


def run(job: Job, now: Instant, phase: Ready, at: Instant, *effects: Effect) -> Moved:
    """The job with its handler due at *at*."""
    due = RunHandler(job.id, job.version + 1, job.blueprint, job.edition, at, job.priority)
    return move(job, now, phase, *effects, due)


def finish(
    job: Job,
    now: Instant,
    verdict: Verdict,
    *,
    result: Raw = NULL,
    failure: Failure | None = None,
    withdrawn: tuple[Effect, ...] | None = None,
) -> Moved:
    """The job over, with nothing of it left outside, and whoever waits for it told.

    *withdrawn* takes back what the job leaves behind, if the rule knows better than the phase.
    """
    noted = msgspec.structs.replace(job, failure=failure or job.failure)
    gathered = job.phase.gathered if isinstance(job.phase, Ready) else None
    effects = withdrawal(job) if withdrawn is None else withdrawn
    over = move(noted, now, Done(verdict, result, gathered), *effects)
    return msgspec.structs.replace(over, effects=(*over.effects, *announcements(over.job)))


def withdrawal(job: Job) -> tuple[Effect, ...]:
    """The effects that take back whatever the job's phase has put outside."""
    match job.phase:
        case Ready(gathered=gathered):
            closed = () if gathered is None else (CloseBranches(job.id, gathered),)
            return (StopRun(job.id, job.run), *closed)
        case Waiting(task=task):
            return (withdraw_task(job.id, task),)
        case Gathering() as gathering:
            return withdraw_branches(job, gathering)
        case Sleeping(since=since) | Listening(since=since) | AwaitingHuman(since=since):
            return (StopAlarm(job.id, since),)
        case AwaitingChild(since=since, child=child):
            reason = f"cancelled because job {job.id} no longer waits for it"
            return (StopAlarm(job.id, since), CancelChild(job.id, child, reason, job.updated))
        case Done():
            return ()


def withdraw_task(job: JobId, task: Task) -> WithdrawTask:
    """The effect that takes *task* back, with those timers that it may have."""
    if task.result_due is not None:
        return WithdrawTask(job, task.id)
    return WithdrawTask(job, task.id, _BEGUN if task.dispatch_due is None else _BEFORE_RESULT)


def withdraw_branches(job: Job, gathering: Gathering) -> tuple[Effect, ...]:
    """The effects that take back every branch of a fan-out and forget its records."""
    tasks = (task_id(job.id, gathering.opened, n) for n in range(gathering.width))
    return (*(WithdrawTask(job.id, task) for task in tasks), CloseBranches(job.id, gathering.opened))
