"""A worker told something about the task that it holds."""

from typing import Final

import msgspec

from avtomatika.kernel.events import TaskSignalled
from avtomatika.kernel.model import Branch, Gathering, Job, Policy, Report, Task, Waiting
from avtomatika.kernel.progress import Ignored, Outcome, enter, move, withdraw_task
from avtomatika.kernel.rules.task import SUCCESS, merge
from avtomatika.kernel.time import Instant

PROGRESS: Final = "progress"
TOO_MANY: Final = Ignored("too_many_events")


def signalled(job: Job, phase: Waiting, event: TaskSignalled, now: Instant) -> Outcome:
    """The job moved on by the event when the task has a transition for it, else the event recorded."""
    target = phase.event_transitions.get(event.name)
    if target is not None:
        merged = merge(job, Report(status=SUCCESS, worker=event.worker, data=event.payload))
        return enter(merged, now, target, withdraw_task(job.id, phase.task))
    task = _noted(job.policy, phase.task, event)
    return TOO_MANY if task is None else move(job, now, msgspec.structs.replace(phase, task=task))


def branch_signalled(
    job: Job, phase: Gathering, branch: Branch, event: TaskSignalled, now: Instant
) -> Outcome:
    """The event recorded with its branch."""
    task = _noted(job.policy, branch.task, event)
    return TOO_MANY if task is None else move(job, now, phase, branches=(Branch(task),))


def _noted(policy: Policy, task: Task, event: TaskSignalled) -> Task | None:
    """The task with the event counted, and kept if it tells the progress; None when it had too many."""
    if task.events >= policy.max_task_events:
        return None
    progress = event.payload if event.name == PROGRESS else task.progress
    return msgspec.structs.replace(task, events=task.events + 1, progress=progress)
