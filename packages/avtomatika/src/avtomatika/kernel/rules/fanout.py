"""Several tasks were given out at once. Each branch is a record beside the job; the job holds counts."""

import msgspec

from avtomatika.kernel.decisions import FanOut
from avtomatika.kernel.effects import Effect, StopTimer
from avtomatika.kernel.events import Deadline, TaskAccepted
from avtomatika.kernel.ids import task_id
from avtomatika.kernel.model import Branch, Gathering, Job, OnFailure, Report
from avtomatika.kernel.progress import Ignored, Moved, Outcome, enter, move, withdraw_branches, withdraw_task
from avtomatika.kernel.rules.task import CANCELLED, follow, new_task, next_attempt, offer
from avtomatika.kernel.time import Instant


def fan_out(job: Job, decision: FanOut, now: Instant, over: tuple[Effect, ...]) -> Moved:
    """Every order out as a branch, the job waiting for all; without orders, the aggregation due at once."""
    opened = job.version + 1
    if not decision.orders:
        return enter(job, now, decision.then, *over, gathered=opened)
    names = (task_id(job.id, opened, n) for n in range(len(decision.orders)))
    tasks = [new_task(job, order, name, now) for order, name in zip(decision.orders, names, strict=True)]
    phase = Gathering(
        opened=opened,
        width=len(tasks),
        left=len(tasks),
        then=decision.then,
        on_failure=decision.on_failure,
        transitions=decision.transitions,
    )
    offers = (effect for task in tasks for effect in offer(job, task, now))
    return move(job, now, phase, *over, *offers, branches=tuple(Branch(task) for task in tasks))


def branch_accepted(job: Job, phase: Gathering, branch: Branch, event: TaskAccepted, now: Instant) -> Outcome:
    """The branch marked as taken: its limit for waiting no longer counts."""
    if branch.task.accepted:
        return Ignored("already_accepted")
    task = msgspec.structs.replace(branch.task, accepted=True)
    stop = StopTimer(job.id, task.id, Deadline.DISPATCH)
    return move(job, now, phase, stop, branches=(Branch(task),))


def branch_reported(job: Job, phase: Gathering, branch: Branch, report: Report, now: Instant) -> Outcome:
    """The branch retried or ended; the fan-out closed when it was the last, or failed when that is asked."""
    withdrawn = withdraw_task(job.id, branch.task)
    retry = next_attempt(job, branch.task, report, now)
    if retry is not None:
        task, at = retry
        return move(job, now, phase, withdrawn, *offer(job, task, at), branches=(Branch(task),))
    failed = report.failure is not None or report.status == CANCELLED
    if failed and phase.on_failure is OnFailure.FAIL:
        return follow(job, now, report, phase.transitions, *withdraw_branches(job, phase))
    ended = Branch(branch.task, report)
    left = phase.left - 1
    if left:
        return move(job, now, msgspec.structs.replace(phase, left=left), withdrawn, branches=(ended,))
    closed = enter(job, now, phase.then, withdrawn, gathered=phase.opened)
    return msgspec.structs.replace(closed, branches=(ended,))
