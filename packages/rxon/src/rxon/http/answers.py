"""What the answers of servers mean, ours and earlier ones."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple, NoReturn

import msgspec

from rxon.codec import decode
from rxon.errors import (
    AuthError,
    ForbiddenError,
    ProtocolError,
    RateLimitError,
    RxonError,
    StaleLeaseError,
    TooLargeError,
    TransportError,
    UnavailableError,
    WorkerUnknownError,
)
from rxon.http.retry_after import seconds_to_wait
from rxon.messages import ResultAnswer
from rxon.vocabulary import AnswerStatus, IgnoredReason

__all__ = [
    "EXPIRED",
    "SIGNATURE_TROUBLES",
    "Answer",
    "arrived",
    "raise_error",
    "refusal",
    "result_answer",
]

EXPIRED: Final = "message timestamp expired"
SIGNATURE_TROUBLES: Final = (
    EXPIRED,
    "invalid cryptographic signature",
    "missing required security context",
    "missing required cryptographic signature",
    "missing required timestamp",
    "message signer id",
)
"""How refusals of a signature begin. What was in the message is as good as before."""

_BY_THE_WAY: Final = (502, 503, 504)  # what stands before a server may say so when the message had arrived
_UNAUTHORIZED: Final = ("unauthorized", *SIGNATURE_TROUBLES)  # as some earlier servers say with 403
_FINAL_ERRORS: Final = (ProtocolError, ForbiddenError, StaleLeaseError, TooLargeError)
_ERROR_OF_STATUS: Final[dict[int, type[RxonError]]] = {
    kind.status: kind
    for kind in (AuthError, ForbiddenError, WorkerUnknownError, StaleLeaseError, TooLargeError)
}


class Answer(NamedTuple):
    """An answer over HTTP, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _ErrorBody(msgspec.Struct):
    error: str = ""
    code: str | None = None
    field: str | None = None


class _LooseAnswer(msgspec.Struct):
    """Earlier orchestrators have statuses of their own, such as ``result_accepted_success``."""

    status: str = "accepted"
    transition: str | None = None
    reason: str | None = None
    message: str | None = None
    duplicate: bool = False


def result_answer(body: bytes) -> ResultAnswer:
    """What became of a result. Raises TransportError for what no orchestrator says."""
    try:
        loose = decode(_LooseAnswer, body)
    except ProtocolError as error:
        # The body of a 200 from something that is no orchestrator decides nothing.
        raise TransportError(error.message) from None
    ignored = loose.status == AnswerStatus.IGNORED
    return ResultAnswer(
        status=AnswerStatus.IGNORED if ignored else AnswerStatus.ACCEPTED,
        transition=loose.transition,
        reason=loose.reason,
        message=loose.message,
        duplicate=loose.duplicate,
    )


def refusal(error: RxonError) -> ResultAnswer | None:
    """The answer that ``error`` is to a result; None when the result is to be sent again."""
    if isinstance(error, _FINAL_ERRORS):
        return ResultAnswer(status=AnswerStatus.REFUSED, code=error.code, message=error.message)
    if isinstance(error, WorkerUnknownError) and "job not found" in error.message.lower():
        reason = IgnoredReason.JOB_NOT_FOUND
        return ResultAnswer(status=AnswerStatus.IGNORED, reason=reason, message=error.message)
    return None


def arrived(error: RxonError) -> bool:
    """Whether the server itself has answered with ``error``."""
    return not isinstance(error, TransportError) and (error.details or {}).get("status") not in _BY_THE_WAY


def raise_error(answer: Answer) -> NoReturn:
    """Raises the error that ``answer`` tells about."""
    try:
        body = decode(_ErrorBody, answer.body)
    except ProtocolError:
        body = _ErrorBody(answer.body[:200].decode(errors="replace"))
    message = body.error or f"HTTP status {answer.status}"
    details = {"status": answer.status, "code": body.code}
    if body.field is not None:
        details["field"] = body.field
    if answer.status == 429 or answer.status >= 500:
        kind = RateLimitError if answer.status == 429 else UnavailableError
        said = details["retry_after"] = answer.headers.get("Retry-After")
        wait = seconds_to_wait(said, datetime.now(UTC))
        raise kind(message, retry_after=wait, details=details)
    # What is wrong with a signature can be mended, also where a server of today says so.
    mendable = _UNAUTHORIZED if body.code is None else SIGNATURE_TROUBLES
    if answer.status == 403 and message.lower().startswith(mendable):
        raise AuthError(message, details=details)
    raise _ERROR_OF_STATUS.get(answer.status, ProtocolError)(message, details=details)
