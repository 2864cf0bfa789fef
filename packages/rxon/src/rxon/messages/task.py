"""Tasks on their way to a worker, and results on their way back."""

from typing import Any

import msgspec

from rxon.messages.capability import FileMetadata, SecurityContext
from rxon.messages.wire import OptionalRaw, OptionalSeconds, TaskErrorOrText, settle
from rxon.vocabulary import AnswerStatus, TaskStatus

__all__ = [
    "MAX_BATCH",
    "ResultAnswer",
    "ResultAnswers",
    "ResultBatch",
    "TaskBatch",
    "TaskOffer",
    "TaskResult",
]

MAX_BATCH = 1000


def _empty_object() -> msgspec.Raw:
    return msgspec.Raw(b"{}")


def _no_context() -> dict[str, Any]:
    return {}


class TaskOffer(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A task for a worker.

    ``params`` and ``metadata`` are the user's JSON, unaltered. ``deadline`` and ``timestamp`` are
    in Unix seconds. The worker holds the task for ``lease_seconds`` after it got it, and longer
    by each heartbeat that lists it; ``lease_token`` goes back with the result.
    """

    job_id: str
    task_id: str
    type: str
    # The factories keep both fields on the wire when empty: earlier workers require them.
    params: msgspec.Raw = msgspec.field(default_factory=_empty_object)
    tracing_context: dict[str, Any] | None = msgspec.field(default_factory=_no_context)
    params_metadata: dict[str, FileMetadata] | None = None
    priority: float = 0.0
    deadline: OptionalSeconds = None
    timestamp: OptionalSeconds = None
    security: SecurityContext | None = None
    metadata: OptionalRaw = None
    policy: OptionalRaw = None
    sig: str | None = None
    step: int = 0
    depth: int = 0
    parent_hash: str | None = None
    lease_token: str | None = None
    lease_seconds: float | None = None

    def __post_init__(self) -> None:
        settle(self, "deadline", "timestamp", "metadata", "policy")


class TaskBatch(msgspec.Struct, frozen=True):
    """Several tasks at once."""

    tasks: tuple[TaskOffer, ...]


class TaskResult(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How a task ended.

    ``data`` and ``metadata`` are the user's JSON, unaltered. An ``error`` that arrived as plain
    text has the code TRANSIENT_ERROR. ``timestamp`` is in Unix seconds.
    """

    job_id: str
    task_id: str
    worker_id: str | None = None
    origin_worker_id: str | None = None
    status: str = TaskStatus.SUCCESS.value
    data: OptionalRaw = None
    error: TaskErrorOrText = None
    data_metadata: dict[str, FileMetadata] | None = None
    security: SecurityContext | None = None
    metadata: OptionalRaw = None
    timestamp: OptionalSeconds = None
    costs: dict[str, Any] | None = None
    lease_token: str | None = None

    def __post_init__(self) -> None:
        settle(self, "data", "error", "metadata", "timestamp")


class ResultBatch(msgspec.Struct, frozen=True):
    """Up to MAX_BATCH results at once."""

    results: tuple[TaskResult, ...]


class ResultAnswer(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What became of a result: ``accepted`` with the transition taken, ``ignored`` with a reason,
    or ``refused`` with an error code. None of them needs another attempt.

    ``duplicate`` is true when the same result had been accepted before.
    """

    status: AnswerStatus
    transition: str | None = None
    reason: str | None = None
    code: str | None = None
    message: str | None = None
    duplicate: bool = False


class ResultAnswers(msgspec.Struct, frozen=True):
    """One answer per result, in the same order."""

    results: tuple[ResultAnswer, ...]
