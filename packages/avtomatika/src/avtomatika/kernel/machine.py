"""The whole rulebook behind one function. Every pair of phase and event has an answer."""

from collections.abc import Iterable, Mapping
from typing import assert_never

from avtomatika.kernel.effects import Effect
from avtomatika.kernel.events import (
    AlarmRang,
    CancelRequested,
    ChildEnded,
    Deadline,
    DeadlinePassed,
    Decided,
    Event,
    HandlerCrashed,
    HumanDecided,
    OutsideEvent,
    Requeued,
    Rewound,
    RunAbandoned,
    SignalReceived,
    Submitted,
    TaskAbandoned,
    TaskAccepted,
    TaskEvent,
    TaskReported,
    TaskSignalled,
)
from avtomatika.kernel.ids import TaskId, is_of
from avtomatika.kernel.model import Branch, Gathering, Job, Report, Task, Waiting
from avtomatika.kernel.progress import Ignored, Moved, Outcome
from avtomatika.kernel.rules import (
    approval,
    cancellation,
    child,
    fanout,
    handler,
    pause,
    revival,
    signal,
    submission,
    task,
)
from avtomatika.kernel.time import Instant

OVER = Ignored("job_over")


def transition(job: Job, event: Event, now: Instant, branch: Branch | None = None) -> Outcome:
    """What *event* does to *job*: the move, or the reason why it changes nothing. Never raises.

    `branch` is the record that a task event speaks of when a fan-out is out, else None.
    """
    if job.final or (job.over and not isinstance(event, Requeued | Rewound)):
        return OVER
    match event:
        case Decided():
            return handler.decided(job, event, now)
        case HandlerCrashed():
            return handler.crashed(job, event, now)
        case RunAbandoned():
            return handler.abandoned(job, event, now)
        case TaskAccepted() | TaskReported() | TaskSignalled() | TaskAbandoned() | DeadlinePassed():
            return _of_task(job, event, now, branch)
        case _:
            return _from_outside(job, event, now)


def _from_outside(job: Job, event: OutsideEvent, now: Instant) -> Outcome:
    match event:
        case Submitted():
            return submission.submitted(job, now)
        case AlarmRang():
            return pause.rang(job, event, now)
        case SignalReceived():
            return pause.received(job, event, now)
        case ChildEnded():
            return child.ended(job, event, now)
        case HumanDecided():
            return approval.human_decided(job, event, now)
        case Requeued():
            return revival.requeued(job, event, now)
        case Rewound():
            return revival.rewound(job, event, now)
        case CancelRequested():
            return cancellation.cancelled(job, event, now)
        case _:
            assert_never(event)


def _of_task(job: Job, event: TaskEvent, now: Instant, branch: Branch | None) -> Outcome:
    phase = job.phase
    if isinstance(phase, Waiting) and phase.task.id == event.task:
        return _of_single(job, phase, event, now)
    if isinstance(phase, Gathering) and branch is not None and branch.task.id == event.task:
        return _of_branch(job, phase, branch, event, now)
    return task.NOT_OPEN


def _of_single(job: Job, phase: Waiting, event: TaskEvent, now: Instant) -> Outcome:
    if phase.task.attempt != event.attempt:
        return task.NOT_OPEN
    if isinstance(event, TaskAccepted):
        return task.accepted(job, phase, event, now)
    if isinstance(event, TaskSignalled):
        return signal.signalled(job, phase, event, now)
    report = _report(job, phase.task, event)
    return report if isinstance(report, Ignored) else task.reported(job, phase, report, now)


def _of_branch(job: Job, phase: Gathering, branch: Branch, event: TaskEvent, now: Instant) -> Outcome:
    # A record may be of a fan-out that the job has left behind.
    ours = is_of(event.task, job.id, phase.opened)
    if not ours or branch.report is not None or branch.task.attempt != event.attempt:
        return task.NOT_OPEN
    if isinstance(event, TaskAccepted):
        return fanout.branch_accepted(job, phase, branch, event, now)
    if isinstance(event, TaskSignalled):
        return signal.branch_signalled(job, phase, branch, event, now)
    report = _report(job, branch.task, event)
    if isinstance(report, Ignored):
        return report
    return fanout.branch_reported(job, phase, branch, report, now)


def _report(
    job: Job, open_task: Task, event: TaskReported | TaskAbandoned | DeadlinePassed
) -> Report | Ignored:
    match event:
        case TaskReported(report=report):
            return report
        case TaskAbandoned(deliveries=deliveries):
            if deliveries <= job.policy.max_deliveries:
                return Ignored("deliveries_left")
            return task.lost(open_task, event)
        case DeadlinePassed(deadline=deadline):
            if open_task.accepted and deadline is Deadline.DISPATCH:
                return Ignored("already_accepted")
            return task.timed_out(open_task, deadline)


class Life:
    """A job that lives again by the facts of its life, one after the other."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self._branches: dict[TaskId, Branch] = {}

    def add(self, event: Event, at: Instant) -> Job:
        """The job after the fact. Raises ValueError when the first one is no submission."""
        before = event.job if isinstance(event, Submitted) else self.job
        if before is None:
            raise ValueError("the first fact of a job is its submission")
        named = event.task if isinstance(event, TaskEvent) else None
        moved = transition(before, event, at, self._branches.get(named) if named else None)
        if isinstance(moved, Moved):
            self._branches.update((branch.task.id, branch) for branch in moved.branches)
        self.job = moved.job if isinstance(moved, Moved) else before
        return self.job


def replay(events: Iterable[tuple[Event, Instant]]) -> Job:
    """The job that the facts of its life lead to. Raises ValueError when they do not begin one."""
    life = Life()
    for event, at in events:
        life.add(event, at)
    if life.job is None:
        raise ValueError("a job has at least one fact")
    return life.job


def fold(
    job: Job, events: Iterable[Event], now: Instant, branches: Mapping[TaskId, Branch]
) -> tuple[Job, list[Outcome], tuple[Effect, ...], dict[TaskId, Branch]]:
    """*events* one after the other: the job, what each did, all effects in order, the branches changed."""
    outcomes: list[Outcome] = []
    effects: list[Effect] = []
    changed: dict[TaskId, Branch] = {}
    for event in events:
        named = event.task if isinstance(event, TaskEvent) else None
        branch = None if named is None else changed.get(named, branches.get(named))
        outcome = transition(job, event, now, branch)
        outcomes.append(outcome)
        if isinstance(outcome, Moved):
            job = outcome.job
            effects.extend(outcome.effects)
            changed.update((b.task.id, b) for b in outcome.branches)
    return job, outcomes, tuple(effects), changed


__all__ = ["Ignored", "Life", "Moved", "Outcome", "fold", "replay", "transition"]
