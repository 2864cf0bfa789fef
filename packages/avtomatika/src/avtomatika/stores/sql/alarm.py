"""One call of the loop, as early as anybody wants it."""

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls back once, at the earliest of the moments that it was set to since it last did."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring_it = ring
        self._timer: asyncio.TimerHandle | None = None

    def within(self, seconds: float) -> None:
        """It rings in so many seconds, or earlier."""
        loop = asyncio.get_running_loop()
        when = loop.time() + seconds
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = loop.call_at(when, self._ring)

    def stop(self) -> None:
        """It does not ring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        self._ring_it()
