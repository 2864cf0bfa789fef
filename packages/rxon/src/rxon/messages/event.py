"""What a worker tells about a task while it works on it."""

from typing import Any

import msgspec

from rxon.messages.capability import SecurityContext
from rxon.messages.wire import OptionalRaw, OptionalSeconds, settle
from rxon.vocabulary import EventStatus

__all__ = ["EventAnswer", "WorkerEvent"]


class WorkerEvent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Something happened; ``progress`` is one ``event_type`` among others.

    ``worker_id`` is who sends the message, ``origin_worker_id`` who it comes from. ``payload`` is
    the user's JSON object, unaltered. ``target_task_id``, else ``origin_task_id``, names the task;
    without either the event is about no task. ``timestamp`` is in Unix seconds.
    """

    event_id: str
    worker_id: str
    origin_worker_id: str
    event_type: str
    payload: msgspec.Raw
    origin_task_id: str | None = None
    bubbling_chain: tuple[str, ...] | None = None
    target_job_id: str | None = None
    target_task_id: str | None = None
    trace_context: dict[str, Any] | None = None
    priority: float = 0.0
    timestamp: OptionalSeconds = None
    security: SecurityContext | None = None
    metadata: OptionalRaw = None
    lease_token: str | None = None

    def __post_init__(self) -> None:
        settle(self, "timestamp", "metadata")
        if bytes(self.payload).lstrip()[:1] != b"{":
            raise ValueError("`payload` must be an object")

    @property
    def task_id(self) -> str | None:
        """The task that the event is about, or None."""
        return self.target_task_id or self.origin_task_id


class EventAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of an event: it was accepted, or why it was not. Another attempt is of no use."""

    status: EventStatus
    code: str | None = None
    message: str | None = None
