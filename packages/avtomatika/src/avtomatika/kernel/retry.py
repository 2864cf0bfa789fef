"""Which failures are worth another try, and when. Feature C2; codes as in RXON."""

from enum import StrEnum
from typing import Final
from zlib import crc32

from avtomatika.kernel.model import Policy
from avtomatika.kernel.time import Span


class Remedy(StrEnum):
    """What a failure code calls for when no transition is given."""

    RETRY = "retry"
    FAIL = "fail"
    QUARANTINE = "quarantine"


TRANSIENT: Final = "TRANSIENT_ERROR"
TIMEOUT: Final = "TIMEOUT_ERROR"

CONTRACT: Final = "CONTRACT_VIOLATION_ERROR"
BLUEPRINT: Final = "BLUEPRINT_ERROR"

_REMEDIES: Final = {
    BLUEPRINT: Remedy.QUARANTINE,
    "PERMANENT_ERROR": Remedy.QUARANTINE,
    "SECURITY_ERROR": Remedy.QUARANTINE,
    "DEPENDENCY_ERROR": Remedy.QUARANTINE,
    "DEPENDENCY_MISSING_ERROR": Remedy.QUARANTINE,
    CONTRACT: Remedy.QUARANTINE,
    "INVALID_INPUT_ERROR": Remedy.FAIL,
    "INTEGRITY_MISMATCH_ERROR": Remedy.FAIL,
}


def remedy(code: str) -> Remedy:
    """What *code* calls for. A code nobody knows is worth another try."""
    return _REMEDIES.get(code, Remedy.RETRY)


def backoff(policy: Policy, attempt: int, name: str) -> Span:
    """How long to wait before the attempt that follows *attempt*.

    Exponential with full jitter; the jitter is drawn from *name*, so that deciding again gives the same.
    """
    ceiling = min(policy.backoff_most, policy.backoff_first << min(attempt - 1, 30))
    return Span(ceiling * crc32(f"{name}/{attempt}".encode()) >> 32)
