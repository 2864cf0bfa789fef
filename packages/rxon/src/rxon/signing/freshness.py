"""Whether a message is of today."""

from typing import Final

__all__ = ["WINDOW_SECONDS", "is_fresh"]

WINDOW_SECONDS: Final = 60


def is_fresh(timestamp: float, now: float, window: int = WINDOW_SECONDS) -> bool:
    """True when the two moments, in Unix seconds, are at most ``window`` whole seconds apart.

    Fractions are cut off first, as all published orchestrators since 1.0b22 do.
    """
    try:
        return abs(int(now) - int(timestamp)) <= window
    except (OverflowError, ValueError):  # infinite, or no number
        return False
