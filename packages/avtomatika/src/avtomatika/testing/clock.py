"""Time and names of a simulated world: both follow from the seed."""

import asyncio
import random
import uuid
from typing import Final

from avtomatika.kernel.ids import JobId
from avtomatika.kernel.time import Instant
from avtomatika.testing.loop import SimLoop

BEGINNING: Final = 1_800_000_000_000
"""When every simulated world begins, in milliseconds since the epoch."""


class SimClock:
    """The clock of one host: virtual time, wrong by `skew` milliseconds, never running backwards."""

    def __init__(self, loop: SimLoop, skew: int = 0) -> None:
        self._loop = loop
        self.skew = skew
        self._floor = 0

    def now(self) -> Instant:
        """What the host believes the time is, at least what it believed before."""
        shown = BEGINNING + round(self._loop.time() * 1_000) + self.skew
        self._floor = max(self._floor, shown)
        return Instant(self._floor)

    async def sleep_until(self, when: Instant) -> None:
        """Returns after the time that lies between now and *when*."""
        await asyncio.sleep(max(0, when - self.now()) / 1_000)

    def never_before(self, floor: Instant) -> None:
        """No answer will be earlier than *floor*."""
        self._floor = max(self._floor, floor)


class SeededNames:
    """Names of one world, drawn from its source of chance; tokens are counted."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._tokens = 0

    def job(self, now: Instant) -> JobId:
        """A UUID of version 7 with chance from the seed."""
        bits = (now & 0xFFFF_FFFF_FFFF) << 80 | 7 << 76 | self._rng.getrandbits(12) << 64
        bits |= 0b10 << 62 | self._rng.getrandbits(62)
        return JobId(str(uuid.UUID(int=bits)))

    def token(self) -> str:
        """A token that no one else in this world has."""
        self._tokens += 1
        return f"t{self._tokens}"
