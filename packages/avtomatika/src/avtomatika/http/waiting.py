"""Why a job waits: for whom, and until when. Nothing is silently stuck (feature K1)."""

import msgspec

from avtomatika.kernel.model import (
    AwaitingChild,
    AwaitingHuman,
    Done,
    Gathering,
    Job,
    Listening,
    Ready,
    Sleeping,
    Waiting,
)
from avtomatika.kernel.notices import approval_id


class WaitingView(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an unfinished job waits for, and until when (milliseconds since the epoch).

    `reason` is worker, branches, child, human, event, time, retry, handler; or what keeps its handler from
    being run: blueprint_paused, version_not_loaded.
    """

    reason: str
    until: int | None = None
    task_id: str | None = None
    skill: str | None = None
    child_job_id: str | None = None
    approval_id: str | None = None
    event: str | None = None


def waiting_view(job: Job, held: str | None) -> WaitingView | None:
    """What the job waits for, or None when it is over. *held* tells why its handler would not be run."""
    match job.phase:
        case Ready(attempt=attempt):
            return WaitingView(held or ("retry" if attempt > 1 else "handler"))
        case Waiting(task=task):
            return WaitingView("worker", until=task.result_due, task_id=task.id, skill=task.order.skill)
        case Gathering():
            return WaitingView("branches")
        case Sleeping(until=until):
            return WaitingView("time", until=until)
        case Listening(name=name, due=due):
            return WaitingView("event", until=due, event=name)
        case AwaitingChild(child=child, due=due):
            return WaitingView("child", until=due, child_job_id=child)
        case AwaitingHuman(since=since, due=due):
            return WaitingView("human", until=due, approval_id=approval_id(job.id, since))
        case Done():
            return None
