"""Which tasks are the same work, handed out more than once."""

import re
from typing import Final

__all__ = ["work_of"]

# Our orchestrators call a task by its job, the step and place in it, the attempt and the delivery
# (docs/reference/rxon.md). Earlier ones draw its name anew each time.
_DELIVERY: Final = re.compile(r"-[0-9]+-[0-9]+-[0-9]+-[0-9]+").fullmatch


def work_of(job_id: str, task_id: str) -> str | None:
    """What all deliveries of one attempt of a task have in common; None when the id does not tell."""
    if not task_id.startswith(job_id) or _DELIVERY(task_id, len(job_id)) is None:
        return None
    return task_id.rpartition("-")[0]
