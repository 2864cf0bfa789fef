"""Everything that can go wrong on the wire.

::

    RxonError
    ├── ProtocolError        invalid_message    400
    ├── AuthError            unauthorized       401
    ├── ForbiddenError       forbidden          403
    ├── WorkerUnknownError   worker_not_found   404
    ├── StaleLeaseError      stale_lease        409
    ├── TooLargeError        payload_too_large  413
    ├── RateLimitError       rate_limited       429
    ├── UnavailableError     unavailable        503
    └── TransportError       unreachable        client side only
"""

from typing import Any, ClassVar

__all__ = [
    "AuthError",
    "ForbiddenError",
    "ProtocolError",
    "RateLimitError",
    "RxonError",
    "StaleLeaseError",
    "TooLargeError",
    "TransportError",
    "UnavailableError",
    "WorkerUnknownError",
]


class RxonError(Exception):
    """The exchange failed."""

    code: ClassVar[str] = "rxon_error"
    status: ClassVar[int] = 500

    def __init__(self, message: str | None = None, *, details: dict[str, Any] | None = None) -> None:
        self.message: str = message or (type(self).__doc__ or self.code).splitlines()[0]
        self.details = details
        super().__init__(self.message)


class ProtocolError(RxonError):
    """The message could not be understood."""

    code = "invalid_message"
    status = 400

    @property
    def field(self) -> str | None:
        """Path of the offending field, such as ``results[0].job_id``, when it is known."""
        field = (self.details or {}).get("field")
        return field if isinstance(field, str) else None


class AuthError(RxonError):
    """The credentials are missing or wrong."""

    code = "unauthorized"
    status = 401


class ForbiddenError(RxonError):
    """The caller may not do this."""

    code = "forbidden"
    status = 403


class WorkerUnknownError(RxonError):
    """Worker not found"""

    code = "worker_not_found"
    status = 404


class StaleLeaseError(RxonError):
    """The task is no longer leased to this worker."""

    code = "stale_lease"
    status = 409


class TooLargeError(RxonError):
    """The message is larger than the server accepts."""

    code = "payload_too_large"
    status = 413


class _RetryLaterError(RxonError):
    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after: float = 1.0,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, details=details)
        self.retry_after = retry_after


class RateLimitError(_RetryLaterError):
    """Too many requests; ``retry_after`` says how many seconds to wait."""

    code = "rate_limited"
    status = 429


class UnavailableError(_RetryLaterError):
    """The server cannot answer now; ``retry_after`` says how many seconds to wait."""

    code = "unavailable"
    status = 503


class TransportError(RxonError):
    """The server could not be reached; nothing is known about what it did."""

    code = "unreachable"
    status = 503
