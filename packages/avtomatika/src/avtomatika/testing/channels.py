"""Connections that carry the frames of streams: they delay, fill up, break, and may be slow to notice it."""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from avtomatika.testing.stage import Stage
from rxon.stream.channel import ChannelClosed, CloseCode

Gate = Callable[[], Awaitable[None]]
"""Returns when the process at this end runs."""

NEVER: Final = math.inf
ROOMS: Final = (1, 1, 4, 100)
FULL_AND_GONE: Final = 6
"""Who does not read is so many times as likely to be gone soon as anybody else."""

UNNOTICED_MS: Final = (0, 0, 500, 30_000)
"""After how long an end may notice that nothing comes any more; the last is what a keep-alive takes."""


class SimChannel:
    """One end of a connection. At most `room` frames are on their way to each end, or wait there.

    `on_sent` and `on_received` hear of every frame that was taken, and of every one that came out. `claimed`
    is set by whoever uses this end.
    """

    def __init__(self, stage: Stage, room: int, awake: Gate) -> None:
        self.peer = self
        self.claimed = False
        self.on_sent: Callable[[bytes], None] = _nothing
        self.on_received: Callable[[bytes], None] = _nothing
        self._stage, self._room, self._awake = stage, room, awake
        self._way: deque[tuple[float, bytes]] = deque()
        self._news = asyncio.Event()
        self._over: tuple[int | None, str] | None = None
        self._broken = False

    @property
    def is_open(self) -> bool:
        """False when this end knows that it is over."""
        return self._over is None

    async def send(self, frame: bytes) -> None:
        """The frame is on its way, once there is room for it. It may never arrive. Raises ChannelClosed."""
        await self._awake()
        stage = self._stage
        if len(self.peer._way) >= self._room and stage.chance(FULL_AND_GONE * stage.options.cut):
            stage.soon(stage.rng.randint(0, 1_000), self.cut)
        while self._over is None and len(self.peer._way) >= self._room:
            self._news.clear()
            await self._news.wait()
        if self._over is not None:
            raise ChannelClosed(*self._over)
        breaks = not self._broken and stage.chance(stage.options.cut)
        if breaks and stage.rng.random() < 0.5:
            self.cut()
            breaks = False
        self.on_sent(frame)
        self.peer._arrives(frame, self._delay())
        if breaks:
            self.cut()

    async def receive(self) -> bytes:
        """The next frame; what arrived before the end is still there. Raises ChannelClosed."""
        stage = self._stage
        if stage.chance(stage.options.slow_reader):
            stage.counts["slow_reader"] += 1
            await stage.pass_time(0, 3_000)
        while True:
            await self._awake()
            if self._way and self._way[0][0] <= stage.loop.time():
                frame = self._way.popleft()[1]
                self.peer._news.set()
                self.on_received(frame)
                return frame
            if self._over is not None:
                raise ChannelClosed(*self._over)
            self._news.clear()
            await self._news.wait()

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """This end is over, and the other hears why, after all that is on its way to it."""
        if self._over is None:
            self.ends(code, reason)
            if not self._broken:
                when = self.peer._when(self._delay())
                self._stage.loop.call_at(when, self.peer.ends, code, reason)

    def cut(self, *, silently: bool = True) -> None:
        """Nothing arrives any more at either end, and sooner or later both notice it."""
        stage = self._stage
        if self._broken or (self._over is not None and self.peer._over is not None):
            return
        stage.fault("cut")
        self._broken = self.peer._broken = True
        for end in (self, self.peer):
            span = stage.rng.choice(UNNOTICED_MS) if silently and not stage.options.gentle else 0
            if span:
                stage.soon(span, end.ends)
            else:
                end.ends()

    def ends(self, code: int | None = None, reason: str = "") -> None:
        """This end knows that it is over; what has not arrived never does."""
        if self._over is None:
            self._over = (code, reason)
            now = self._stage.loop.time()
            self._way = deque(item for item in self._way if item[0] <= now)
            self._news.set()

    def _delay(self) -> float:
        stage = self._stage
        return stage.rng.randint(1, 400) / 1_000 if stage.chance(stage.options.late) else 0.0

    def _when(self, delay: float) -> float:
        """When what is sent now arrives here: nothing overtakes anything."""
        last = self._way[-1][0] if self._way else 0.0
        return max(last, self._stage.loop.time() + delay)

    def _arrives(self, frame: bytes, delay: float) -> None:
        loop = self._stage.loop
        when = NEVER if self._broken else self._when(delay)
        self._way.append((when, frame))
        if when <= loop.time():
            self._news.set()
        elif when < NEVER:
            loop.call_at(when, self._news.set)


def channel_pair(stage: Stage, one: Gate, other: Gate) -> tuple[SimChannel, SimChannel]:
    """The two ends of a connection between processes that pass the gates while they run."""
    room = stage.rng.choice(ROOMS)
    here, there = SimChannel(stage, room, one), SimChannel(stage, room, other)
    here.peer, there.peer = there, here
    return here, there


def _nothing(frame: bytes) -> None:
    return None
