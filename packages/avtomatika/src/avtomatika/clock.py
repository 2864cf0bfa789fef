"""The clock and the names of the real world."""

import asyncio
import secrets
import time
import uuid
from base64 import urlsafe_b64encode

from avtomatika.kernel.ids import JobId
from avtomatika.kernel.time import Instant


class SystemClock:
    """UTC that never runs backwards within the process: of this host, or of what the clock follows."""

    def __init__(self) -> None:
        self._floor = 0
        self._ahead: int | None = None

    def now(self) -> Instant:
        """Milliseconds since the epoch, at least those of every earlier answer."""
        now = time.time_ns() // 1_000_000 if self._ahead is None else self.uptime() + self._ahead
        self._floor = max(self._floor, now)
        return Instant(self._floor)

    @staticmethod
    def uptime() -> int:
        """Milliseconds that no setting of the host's clock changes."""
        return time.monotonic_ns() // 1_000_000

    def follow(self, ahead: int) -> None:
        """From now on the clock shows that many milliseconds more than `uptime`, whatever the host's shows.

        One that is set back stands still until it has caught up.
        """
        self._ahead = ahead

    def never_before(self, floor: Instant) -> None:
        """No answer will be earlier than *floor*: the clock of a host may have been set back."""
        self._floor = max(self._floor, floor)

    async def sleep_until(self, when: Instant) -> None:
        """Returns when the clock shows *when* or later."""
        await asyncio.sleep(max(0, when - self.now()) / 1_000)


class SystemNames:
    """Names from the random source of the operating system, which is asked for many at a time."""

    def __init__(self) -> None:
        self._pool = b""
        self._moment = Instant(0)
        self._chance = 0

    def job(self, now: Instant) -> JobId:
        """A UUID of version 7 (RFC 9562, 6.2 method 2): jobs sort by creation, also within a millisecond."""
        if now == self._moment:
            self._chance += 1 + int.from_bytes(self._random(4))
        else:
            self._moment = now
            self._chance = int.from_bytes(self._random(9))  # two bits less than there are: room to count
        bits = (now & 0xFFFF_FFFF_FFFF) << 80 | 7 << 76 | (self._chance >> 62) << 64
        bits |= 0b10 << 62 | self._chance & (1 << 62) - 1
        return JobId(str(uuid.UUID(int=bits)))

    def token(self) -> str:
        """144 random bits, as text that is safe in a URL."""
        return urlsafe_b64encode(self._random(18)).decode()

    def _random(self, size: int) -> bytes:
        if len(self._pool) < size:
            self._pool = secrets.token_bytes(4_096)
        taken, self._pool = self._pool[:size], self._pool[size:]
        return taken
