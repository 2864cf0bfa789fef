"""How fast somebody may go on: so much at once, and then so much in each second."""

from typing import Final

from avtomatika.kernel.time import SECOND, Instant, Span, after
from avtomatika.ports.clock import Clock
from rxon.errors import RateLimitError

TIDY_FROM: Final = 1_024


class Pace:
    """What each one has taken lately, by name. Whoever has anything left may take more than that."""

    def __init__(self, at_once: int, a_second: int) -> None:
        self._at_once, self._a_second = at_once, a_second
        self._full: dict[str, int] = {}
        self._tidy_at = TIDY_FROM

    def wait(self, name: str, now: Instant) -> Span:
        """How long it takes until there is something left."""
        behind = self._full.get(name, now) - now
        return Span(max(0, behind - self._at_once * SECOND // self._a_second))

    def take(self, name: str, amount: int, now: Instant) -> None:
        """So much is taken, whether it is left or not."""
        behind_until = max(now, self._full.get(name, now))
        self._full[name] = behind_until + amount * SECOND // self._a_second
        if len(self._full) > self._tidy_at:
            self._full = {each: full for each, full in self._full.items() if full > now}
            self._tidy_at = 2 * len(self._full) + TIDY_FROM


OF_ONE: Final = (5_000, 2_000)
OF_STRANGERS: Final = (60_000_000, 50_000)
PRESENTED: Final = 1_000
BYTES: Final = 4
"""So many bytes of a message are a microsecond more."""

CHANGED: Final = 250
_STRANGERS: Final = ""

EVENTS_A_SECOND: Final = 20
EVENTS_FOR: Final = 3
"""What a task may tell in so many seconds it may tell at once."""

KIBIBYTE: Final = 1 << 10
LONGEST_PAUSE: Final = Span(5_000)


class Patience:
    """What workers cost this node by what they say of themselves, in microseconds or so, and of their tasks.

    One that flaps has soon had its share, and so have those together that nobody has heard of: workers
    that are known go on as if there were none of these. Events of a task are durable facts of its job:
    they come as fast as *events* in a second, where an event of some KiB is as many.
    """

    def __init__(self, clock: Clock, events: int = EVENTS_A_SECOND) -> None:
        self._clock = clock
        self._each, self._strangers = Pace(*OF_ONE), Pace(*OF_STRANGERS)
        self._told = Pace(events * EVENTS_FOR, events)

    def presented(self, worker_id: str, size: int, *, known: bool) -> None:
        """The worker presents itself in so many bytes. Raises RateLimitError when it has to wait."""
        now, cost = self._clock.now(), PRESENTED + size // BYTES
        if not known:
            self._refuse(self._strangers.wait(_STRANGERS, now))
        self._refuse(self._each.wait(worker_id, now))
        if not known:
            self._strangers.take(_STRANGERS, cost, now)
        self._each.take(worker_id, cost, now)

    def changed(self, worker_id: str) -> None:
        """The worker is not what it was a moment ago. Raises RateLimitError when it has to wait."""
        now = self._clock.now()
        self._refuse(self._each.wait(worker_id, now))
        self._each.take(worker_id, CHANGED, now)

    async def told(self, worker_id: str, task: str, size: int) -> None:
        """The worker may tell so many bytes of the task, for which it waited if it told much lately.

        Raises RateLimitError when it tells much more, as one does that does not wait for answers.
        """
        name, now = f"{worker_id} {task}", self._clock.now()
        wait = self._told.wait(name, now)
        if wait > LONGEST_PAUSE:
            message = "The worker tells too much of this task: what is large belongs in files."
            raise RateLimitError(message, retry_after=wait / SECOND)
        self._told.take(name, 1 + size // KIBIBYTE, now)
        if wait:
            await self._clock.sleep_until(after(now, wait))

    def _refuse(self, wait: Span) -> None:
        if wait:
            message = "The worker says too often that it is something else."
            raise RateLimitError(message, retry_after=wait / SECOND)
