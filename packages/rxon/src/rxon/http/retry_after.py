"""The Retry-After header."""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["seconds_to_wait"]


def seconds_to_wait(text: str | None, now: datetime, default: float = 1.0) -> float:
    """Seconds from ``now`` that ``text``, a number or an HTTP date, asks to wait; never negative.

    ``default`` when there is no text or it cannot be understood.
    """
    if text is None:
        return default
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return default
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else default
