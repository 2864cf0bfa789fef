"""Which tasks are the same work, handed out more than once."""

import re
from typing import Final

from rxon.messages import TaskOffer, TaskResult

__all__ = ["is_same_work", "work_of"]

# Our orchestrators call a task by its job, the step and place in it, the attempt and the delivery
# (docs/reference/rxon.md). Earlier ones draw its name anew each time.
_REST: Final = re.compile(r"-[0-9]+-[0-9]+-[0-9]+-[0-9]+").fullmatch


def work_of(task_id: str) -> str:
    """What the ids of all deliveries of one attempt of a task have in common; other ids may have it too."""
    return task_id.rpartition("-")[0]


def is_same_work(result: TaskResult, offer: TaskOffer) -> bool:
    """Whether both are of one attempt of a task, as far as their ids tell."""
    job = offer.job_id
    return (
        result.job_id == job
        and work_of(result.task_id) == work_of(offer.task_id)
        and offer.task_id.startswith(job)
        and _REST(result.task_id, len(job)) is not None
        and _REST(offer.task_id, len(job)) is not None
    )
