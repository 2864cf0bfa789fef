"""Time and chance as inputs."""

from typing import Protocol

from avtomatika.kernel.ids import JobId
from avtomatika.kernel.time import Instant


class Clock(Protocol):
    """The one source of time."""

    def now(self) -> Instant:
        """The present moment."""
        ...

    async def sleep_until(self, when: Instant) -> None:
        """Returns when the clock shows *when* or later."""
        ...


class Names(Protocol):
    """The one source of fresh names."""

    def job(self, now: Instant) -> JobId:
        """A job id that nobody has, ordered by time."""
        ...

    def token(self) -> str:
        """128 bits or more that nobody can guess, as text."""
        ...
