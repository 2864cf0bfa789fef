"""Retry-After is understood in both of its forms."""

from datetime import UTC, datetime

import pytest

from rxon.http.retry_after import seconds_to_wait

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("soon", 1.0),
        ("inf", 1.0),
        (None, 1.0),
    ],
)
def test_the_wait_is_in_seconds_from_now(text: str | None, seconds: float) -> None:
    assert seconds_to_wait(text, NOW) == seconds
