"""Error codes for results, and the exceptions that handlers may raise instead."""

from typing import Final

from avtomatika_worker.errors import InvalidInputError, PermanentError, TransientError
from rxon.vocabulary import ErrorCode, TaskStatus

TRANSIENT_ERROR: Final = ErrorCode.TRANSIENT_ERROR.value
PERMANENT_ERROR: Final = ErrorCode.PERMANENT_ERROR.value
INVALID_INPUT_ERROR: Final = ErrorCode.INVALID_INPUT_ERROR.value
INTEGRITY_MISMATCH_ERROR: Final = ErrorCode.INTEGRITY_MISMATCH_ERROR.value
TIMEOUT_ERROR: Final = ErrorCode.TIMEOUT_ERROR.value
LATE_RESULT: Final = ErrorCode.LATE_RESULT.value
RESOURCE_EXHAUSTED_ERROR: Final = ErrorCode.RESOURCE_EXHAUSTED_ERROR.value
DEPENDENCY_ERROR: Final = ErrorCode.DEPENDENCY_ERROR.value
SECURITY_ERROR: Final = ErrorCode.SECURITY_ERROR.value
INTERNAL_ERROR: Final = ErrorCode.INTERNAL_ERROR.value
LIMIT_EXCEEDED_ERROR: Final = ErrorCode.LIMIT_EXCEEDED_ERROR.value
CONTRACT_VIOLATION_ERROR: Final = ErrorCode.CONTRACT_VIOLATION_ERROR.value
DEPENDENCY_MISSING_ERROR: Final = ErrorCode.DEPENDENCY_MISSING_ERROR.value

SUCCESS: Final = TaskStatus.SUCCESS.value
FAILURE: Final = TaskStatus.FAILURE.value
CANCELLED: Final = TaskStatus.CANCELLED.value

__all__ = [
    "CANCELLED",
    "CONTRACT_VIOLATION_ERROR",
    "DEPENDENCY_ERROR",
    "DEPENDENCY_MISSING_ERROR",
    "FAILURE",
    "INTEGRITY_MISMATCH_ERROR",
    "INTERNAL_ERROR",
    "INVALID_INPUT_ERROR",
    "InvalidInputError",
    "LATE_RESULT",
    "LIMIT_EXCEEDED_ERROR",
    "PERMANENT_ERROR",
    "PermanentError",
    "RESOURCE_EXHAUSTED_ERROR",
    "SECURITY_ERROR",
    "SUCCESS",
    "TIMEOUT_ERROR",
    "TRANSIENT_ERROR",
    "TransientError",
]
