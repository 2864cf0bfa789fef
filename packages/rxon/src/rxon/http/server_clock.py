"""The time of the server, as far as it is known."""

from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

__all__ = ["ServerClock"]


class ServerClock:
    """Follows ``now``, in Unix seconds, until the server has said that it has another time."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._ahead = 0.0

    def __call__(self) -> float:
        """The time there, in Unix seconds."""
        return self._now() + self._ahead

    def told(self, date: str | None) -> bool:
        """Whether the ``date`` of an answer, as HTTP writes it, has changed what is known."""
        try:
            there = parsedate_to_datetime(date or "")
        except ValueError:
            return False
        ahead = there.replace(tzinfo=there.tzinfo or UTC).timestamp() - self._now()
        changed = abs(ahead - self._ahead) > 2
        if changed:
            self._ahead = ahead
        return changed
