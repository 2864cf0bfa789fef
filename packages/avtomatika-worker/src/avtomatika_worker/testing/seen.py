"""What there is to see of a skill that ran."""

from typing import Any

import msgspec

from rxon.messages import TaskError, TaskResult

__all__ = ["Event", "Progress", "SkillRun"]


class Progress(msgspec.Struct, frozen=True):
    """What the handler told of its progress."""

    value: float
    message: str = ""


class Event(msgspec.Struct, frozen=True):
    """What the handler told besides, with its payload decoded."""

    type: str
    payload: Any


class SkillRun(msgspec.Struct, frozen=True):
    """How a task ended.

    ``result`` is the message that the orchestrator would get, or None when the task was cancelled.
    ``files`` are those in the folder of the task at its end, by name.
    """

    result: TaskResult | None
    progress: tuple[Progress, ...] = ()
    events: tuple[Event, ...] = ()
    hot_cache: frozenset[str] = frozenset()
    files: dict[str, bytes] = {}

    @property
    def cancelled(self) -> bool:
        """Whether there is no result, as nobody waited for it any more."""
        return self.result is None

    @property
    def status(self) -> str | None:
        """The status of the result."""
        return None if self.result is None else self.result.status

    @property
    def data(self) -> Any:
        """The data of the result, decoded."""
        raw = None if self.result is None else self.result.data
        return None if raw is None else msgspec.json.decode(raw)

    @property
    def error(self) -> TaskError | None:
        """The error of the result."""
        return None if self.result is None else self.result.error
