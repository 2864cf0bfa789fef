"""A job and its messages belong together: nothing that a job needs is missing, nothing is left over."""

from collections.abc import Iterable, Mapping
from typing import Final

from avtomatika.commands.fleet import worker_of
from avtomatika.commands.outbox import run_id, task_message_id
from avtomatika.kernel.effects import (
    CancelChild,
    OfferTask,
    PurgeFiles,
    SendWebhook,
    StartChild,
    StartTimer,
    TellParent,
)
from avtomatika.kernel.events import Deadline
from avtomatika.kernel.model import (
    AwaitingChild,
    AwaitingHuman,
    Branch,
    Done,
    Gathering,
    Job,
    Listening,
    Ready,
    Sleeping,
    Task,
    Waiting,
)
from avtomatika.ports.store import MessageId
from avtomatika.testing.message_ledger import Held
from avtomatika.testing.violations import Violated

Present = Mapping[MessageId, Held]
Rest = Sleeping | Listening | AwaitingChild | AwaitingHuman

SAID: Final = (StartChild, CancelChild, TellParent, SendWebhook, PurgeFiles)
"""What is said to others, and stays to be said whatever the job does next."""


def check_armed(
    job: Job,
    present: Present,
    branches: Iterable[Branch],
    violated: Violated,
    *,
    whole: bool = True,
) -> None:
    """The messages are those of the job's phase. *branches* are all of its fan-out, or not *whole*."""
    present = {name: held for name, held in present.items() if not isinstance(held.message.body, SAID)}
    match job.phase:
        case Done():
            if present:
                violated("nothing is left of a job that is over", f"{job.id}: {list(present)}")
        case Ready():
            if list(present) != [run_id(job.id, job.run)]:
                violated("a job that is ready has its run", f"{job.id} {job.version}: {list(present)}")
        case Sleeping() | Listening() | AwaitingChild() | AwaitingHuman() as rest:
            _check_rest(job, rest, present, violated)
        case Waiting(task=task):
            expected = 1 + _check_task(task, present, violated)
            if len(present) > expected:
                violated("a waiting job has the messages of its task", f"{task.id}: {list(present)}")
        case Gathering() as gathering:
            _check_fan_out(job, gathering, present, violated)
            _check_branches(branches, present, violated)
            if whole and sum(branch.report is None for branch in branches) != gathering.left:
                violated("the count of open branches is right", f"{job.id}: {gathering}")


def _check_rest(job: Job, rest: Rest, present: Present, violated: Violated) -> None:
    waits_for_ever = not isinstance(rest, Sleeping) and rest.due is None
    if list(present) != ([] if waits_for_ever else [f"alarm:{job.id}:{rest.since}"]):
        violated("a job that rests has its alarm", f"{job.id} {rest.since}: {list(present)}")


def _check_fan_out(job: Job, gathering: Gathering, present: Present, violated: Violated) -> None:
    offers = sum(isinstance(held.message.body, OfferTask) for held in present.values())
    if offers != gathering.left:
        violated("each open branch has its message", f"{job.id}: {offers}, not {gathering.left}")


def _check_branches(branches: Iterable[Branch], present: Present, violated: Violated) -> None:
    for branch in branches:
        if branch.report is None:
            _check_task(branch.task, present, violated)
        elif task_message_id(branch.task.id) in present or _timers(branch.task, present):
            violated("nothing is left of a branch that has ended", branch.task.id)


def _check_task(task: Task, present: Present, violated: Violated) -> int:
    """How many timers the task has. It has those of its limits, and its message."""
    held = present.get(task_message_id(task.id))
    body = None if held is None else held.message.body
    if not isinstance(body, OfferTask) or body.task.attempt != task.attempt:
        violated("a task that is out has its message", f"{task.id} attempt {task.attempt}: {body}")
    timers = _timers(task, present)
    waiting = task.dispatch_due is not None and not task.accepted
    if waiting != (Deadline.DISPATCH in timers) or (task.result_due is None) == (Deadline.RESULT in timers):
        violated("a task has the timers of its limits", f"{task}: {list(timers)}")
    lease = None if held is None else held.lease
    if lease is not None and lease.token and worker_of(lease.owner) and Deadline.EXECUTION not in timers:
        violated("a task that a worker holds has a limit", f"{task.id} attempt {task.attempt}: {lease}")
    for timer in timers.values():
        if timer.attempt != task.attempt:
            violated("a timer is of the present attempt", f"{task.id} attempt {task.attempt}: {timer}")
    return len(timers)


def _timers(task: Task, present: Present) -> dict[Deadline, StartTimer]:
    found: dict[Deadline, StartTimer] = {}
    for deadline in Deadline:
        held = present.get(MessageId(f"timer:{task.id}:{deadline}"))
        if held is not None and isinstance(held.message.body, StartTimer):
            found[deadline] = held.message.body
    return found
