"""When to try again."""

from collections.abc import Callable
from typing import Final

from rxon.errors import RateLimitError, RxonError, TransportError

__all__ = ["Backoff", "Lane"]

# A server that is being restarted refuses connections at once and for a short while: asking is
# cheap, and whoever asks soon finds it soon.
QUICK_INITIAL: Final = 0.1
QUICK_MAXIMUM: Final = 5.0


class Backoff:
    """Growing delays in seconds, each with up to half of it taken off by chance.

    ``chance`` returns numbers from 0 to 1; it spreads workers that failed at the same moment.
    """

    def __init__(self, initial: float, maximum: float, factor: float, chance: Callable[[], float]) -> None:
        self._initial = min(initial, maximum)
        self._maximum = maximum
        self._factor = max(factor, 1.0)
        self._chance = chance
        self._span = self._initial

    def delay(self, at_least: float = 0.0) -> float:
        """How long to wait after one more failure; never shorter than ``at_least``."""
        span, self._span = self._span, min(self._maximum, self._span * self._factor)
        return max(span * (1 - self._chance() / 2), at_least * (1 + self._chance() / 10))

    def reset(self) -> None:
        """The next delay is the initial one."""
        self._span = self._initial


class Lane:
    """One kind of call and the moment from which it may be made. Times are monotonic seconds.

    ``floor`` is the shortest wait after too many calls, where the server did not say how long.
    """

    def __init__(self, slow: Backoff, chance: Callable[[], float], floor: float = 0.0) -> None:
        self.next_at = 0.0
        self._floor = floor
        self._slow = slow
        self._quick = Backoff(QUICK_INITIAL, QUICK_MAXIMUM, 2.0, chance)
        self._unreachable = False

    def succeeded(self) -> None:
        """The call may be made at once."""
        self.next_at = 0.0
        self._slow.reset()
        self.reached()

    def failed(self, error: RxonError, now: float) -> None:
        """The call may be made after a delay that ``error`` and the failures before it decide."""
        if isinstance(error, TransportError):
            self._unreachable = True
            delay = self._quick.delay()
        else:
            self.reached()
            delay = self._slow.delay(self._at_least(error))
        self.next_at = now + delay

    def reached(self) -> None:
        """The server answered some call: waiting for it to come back is over."""
        if self._unreachable:
            self._unreachable = False
            self.next_at = 0.0
            self._quick.reset()

    def _at_least(self, error: RxonError) -> float:
        wait = float(getattr(error, "retry_after", 0.0))
        unsaid = (error.details or {}).get("retry_after", wait) is None
        return max(wait, self._floor) if unsaid and isinstance(error, RateLimitError) else wait
