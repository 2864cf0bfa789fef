"""Everything that the SDK raises, and what handlers may raise.

::

    WorkerError
    ├── ConfigError         invalid_config       the worker cannot start like this
    ├── SkillError          invalid_skill        a handler cannot be registered like this
    ├── PathError           path_outside_task    a file name leaves the folder of its task
    └── HandlerError                             raised by handlers, reported as the task's error
        ├── TransientError      TRANSIENT_ERROR
        ├── PermanentError      PERMANENT_ERROR
        ├── InvalidInputError   INVALID_INPUT_ERROR
        ├── IntegrityMismatchError  INTEGRITY_MISMATCH_ERROR
        └── TimedOutError       TIMEOUT_ERROR
"""

from typing import Any, ClassVar

from rxon.vocabulary import ErrorCode

__all__ = [
    "ConfigError",
    "HandlerError",
    "IntegrityMismatchError",
    "InvalidInputError",
    "PathError",
    "PermanentError",
    "SkillError",
    "TimedOutError",
    "TransientError",
    "WorkerError",
]


class WorkerError(Exception):
    """The SDK cannot do what it was asked to."""

    code: ClassVar[str] = "worker_error"


class ConfigError(WorkerError):
    """The settings are missing something or contradict themselves."""

    code = "invalid_config"


class SkillError(WorkerError):
    """A handler cannot be called with what tasks provide, or its name is taken."""

    code = "invalid_skill"


class PathError(WorkerError, ValueError):
    """A file name leads out of the folder of its task."""

    code = "path_outside_task"


class HandlerError(WorkerError):
    """The task failed; ``code`` tells the orchestrator whether another attempt makes sense."""

    code = ErrorCode.TRANSIENT_ERROR.value

    def __init__(self, message: str = "", *, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.details = details


class TransientError(HandlerError):
    """The task may succeed when it is tried again."""

    code = ErrorCode.TRANSIENT_ERROR.value


class PermanentError(HandlerError):
    """The task cannot succeed, however often it is tried."""

    code = ErrorCode.PERMANENT_ERROR.value


class InvalidInputError(HandlerError):
    """The parameters of the task are wrong."""

    code = ErrorCode.INVALID_INPUT_ERROR.value


class IntegrityMismatchError(HandlerError):
    """A file of the task is not what it was said to be."""

    code = ErrorCode.INTEGRITY_MISMATCH_ERROR.value


class TimedOutError(HandlerError):
    """The handler took longer than its skill allows."""

    code = ErrorCode.TIMEOUT_ERROR.value
