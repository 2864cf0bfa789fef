"""Placement classes: tasks that the same workers may have wait in one queue (architecture 5.8.1)."""

from hashlib import sha256
from typing import Final

import msgspec

from avtomatika.kernel.model import NULL, Task

FAMILY: Final = "task"


def queue_of(task: Task) -> str:
    """The queue of the class that *task* belongs to: its skill, and a digest of all else it demands.

    A task that another worker should have than the one that failed at it is in a class of its own.
    """
    order = task.order
    demands = (order.skill_version, order.skill_type, order.max_cost, order.requirements, task.avoid)
    if demands == (None, None, None, NULL, ""):
        return f"{FAMILY}:{order.skill}"
    digest = sha256(msgspec.json.encode(demands)).hexdigest()[:16]
    return f"{FAMILY}:{order.skill}#{digest}"
