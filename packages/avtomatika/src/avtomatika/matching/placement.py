"""Placement classes: tasks that the same workers may and should have (architecture 5.8.1)."""

from hashlib import sha256
from typing import Final

import msgspec

from avtomatika.kernel.model import NULL, Order, Task
from avtomatika.matching.strategies import known

FAMILY: Final = "task"
ANY: Final = (None, None, None, NULL, "default")


def class_of(order: Order) -> str:
    """The class that the order belongs to: its skill, and a digest of all else that chooses a worker."""
    strategy = known(order.strategy)
    demands = (order.skill_version, order.skill_type, order.max_cost, order.requirements, strategy)
    if demands == ANY:
        return f"{FAMILY}:{order.skill}"
    return f"{FAMILY}:{order.skill}#{_digest(msgspec.json.encode(demands))}"


def queue_of(task: Task) -> str:
    """The queue where *task* waits: that of its class.

    A task that another worker should have than the one that failed at it has a queue of its own.
    """
    place = class_of(task.order)
    return f"{place}~{_digest(task.avoid.encode())}" if task.avoid else place


def _digest(demands: bytes) -> str:
    return sha256(demands).hexdigest()[:16]
