"""Every wire error has a code and a status that clients can rely on."""

import pytest

from rxon import errors


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        (errors.ProtocolError, "invalid_message", 400),
        (errors.AuthError, "unauthorized", 401),
        (errors.ForbiddenError, "forbidden", 403),
        (errors.WorkerUnknownError, "worker_not_found", 404),
        (errors.StaleLeaseError, "stale_lease", 409),
        (errors.TooLargeError, "payload_too_large", 413),
        (errors.RateLimitError, "rate_limited", 429),
        (errors.UnavailableError, "unavailable", 503),
    ],
)
def test_codes_and_statuses_are_stable(kind: type[errors.RxonError], code: str, status: int) -> None:
    assert (kind.code, kind.status) == (code, status)
    assert str(kind("said")) == "said"
    assert kind().message


def test_an_unknown_worker_is_told_in_the_words_that_earlier_workers_look_for() -> None:
    assert "not found" in str(errors.WorkerUnknownError())
