"""Words of the wire: codes, statuses, header names and paths.

Job statuses are deliberately absent: a worker never sees one.
"""

from enum import StrEnum
from typing import Final

__all__ = [
    "AnswerStatus",
    "ErrorCode",
    "EventStatus",
    "IgnoredReason",
    "CANCEL_TASK",
    "PATH_PREFIX",
    "PROGRESS",
    "PROTOCOL_VERSION",
    "SCHEMA_DIALECT",
    "TaskStatus",
    "VERSION_HEADER",
    "WORKER_ID_HEADER",
    "WORKER_TOKEN_HEADER",
    "WorkerStatus",
]

PROTOCOL_VERSION: Final = "2.0.0"
PATH_PREFIX: Final = "/_worker"
VERSION_HEADER: Final = "X-RXON-Version"
WORKER_ID_HEADER: Final = "X-Worker-ID"
WORKER_TOKEN_HEADER: Final = "X-Worker-Token"

CANCEL_TASK: Final = "cancel_task"
PROGRESS: Final = "progress"

SCHEMA_DIALECT: Final = "json-schema"
"""The only dialect of schemas that is understood. Skills that are declared in another one are believed."""


class ErrorCode(StrEnum):
    """Why a task failed; decides whether the orchestrator tries again."""

    TRANSIENT_ERROR = "TRANSIENT_ERROR"
    PERMANENT_ERROR = "PERMANENT_ERROR"
    INVALID_INPUT_ERROR = "INVALID_INPUT_ERROR"
    INTEGRITY_MISMATCH_ERROR = "INTEGRITY_MISMATCH_ERROR"
    TIMEOUT_ERROR = "TIMEOUT_ERROR"
    LATE_RESULT = "LATE_RESULT"
    RESOURCE_EXHAUSTED_ERROR = "RESOURCE_EXHAUSTED_ERROR"
    DEPENDENCY_ERROR = "DEPENDENCY_ERROR"
    SECURITY_ERROR = "SECURITY_ERROR"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    LIMIT_EXCEEDED_ERROR = "LIMIT_EXCEEDED_ERROR"
    CONTRACT_VIOLATION_ERROR = "CONTRACT_VIOLATION_ERROR"
    DEPENDENCY_MISSING_ERROR = "DEPENDENCY_MISSING_ERROR"


class TaskStatus(StrEnum):
    """Result statuses with a fixed meaning; any other text is a custom status."""

    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"


class AnswerStatus(StrEnum):
    """What became of a reported result."""

    ACCEPTED = "accepted"
    IGNORED = "ignored"
    REFUSED = "refused"


class EventStatus(StrEnum):
    """What became of an event."""

    ACCEPTED = "event_accepted"
    ERROR = "error"


class IgnoredReason(StrEnum):
    """Why a result changed nothing."""

    DEADLINE_EXCEEDED = "deadline_exceeded"
    JOB_ALREADY_TERMINATED = "job_already_terminated"
    JOB_CANCELLED = "job_cancelled"
    JOB_NOT_FOUND = "job_not_found"
    MIDDLEWARE_ERROR = "middleware_error"
    STALE_TASK = "stale_task"
    WORKER_MISMATCH = "worker_mismatch"


class WorkerStatus(StrEnum):
    """What a worker says about itself; only ``idle`` asks for more work."""

    IDLE = "idle"
    BUSY = "busy"
    FULL = "full"
    OFFLINE = "offline"
    DRAINING = "draining"
