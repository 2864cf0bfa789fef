"""What there is to see of a worker at work, for those who count and trace."""

from collections.abc import Callable
from typing import Protocol

from avtomatika_worker.skills.outcome import Outcome
from rxon.messages import TaskOffer

__all__ = ["Ended", "TaskWatch"]

Ended = Callable[[Outcome | None], None]


class TaskWatch(Protocol):
    """Hears of every task whose handler is begun."""

    def began(self, offer: TaskOffer) -> Ended:
        """Called in the context in which the handler then runs.

        What it returns is called there too, with the outcome, or None when there is nothing to report.
        """
        ...
