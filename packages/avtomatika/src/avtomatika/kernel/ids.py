"""Names of jobs and tasks. Derived, never drawn: a decision that is taken again yields the same names."""

from hashlib import sha256
from typing import Final, NewType

JobId = NewType("JobId", str)
TaskId = NewType("TaskId", str)


MOST: Final = 80
"""Up to so long are the names of children, so that names of tasks stay below the 128 of the wire."""


def task_id(job: JobId, version: int, index: int) -> TaskId:
    """The name of task number *index* of the decision that made *version* of the job.

    Only letters, digits, `-` and `_` occur, so that the name is valid on the wire (RXON identifiers).
    """
    return TaskId(f"{job}-{version}-{index}")


def child_id(job: JobId, version: int) -> JobId:
    """The name of the child that the decision which made *version* of the job started."""
    name = f"{job}_{version}"
    return JobId(name if len(name) <= MOST else f"child_{sha256(name.encode()).hexdigest()[:48]}")


def opened_by(task: TaskId) -> tuple[JobId, int, int]:
    """The job, version and index that *task* was named from. Raises ValueError for any other text."""
    job, version, index = task.rsplit("-", 2)
    return JobId(job), int(version), int(index)


def is_of(task: TaskId, job: JobId, version: int) -> bool:
    """True when *task* was named by the decision that made *version* of the job."""
    return task.startswith(f"{job}-{version}-")
