"""A process as the system sees it."""

import asyncio
from collections.abc import Callable

from avtomatika.testing.clock import SimClock
from avtomatika.testing.stage import Stage


class Died(asyncio.CancelledError):
    """The process that made the call is no more."""


class Process:
    """One life of a node. It runs, stands still, or is dead; dead, it does nothing any more."""

    def __init__(self, stage: Stage, owner: str, clock: SimClock, died: Callable[[], None]) -> None:
        self.stage, self.owner, self.clock = stage, owner, clock
        self._died = died
        self.dead = False
        self._standing: asyncio.Event | None = None

    @property
    def stands_still(self) -> bool:
        """True while the system does not let the process run."""
        return self._standing is not None

    def kill(self, why: str) -> None:
        """The process is dead."""
        if not self.dead:
            self.dead = True
            self.stage.fault("crash", self.owner, why)
            self.stage.loop.kill(self.owner)
            self._died()

    def end(self) -> None:
        """The process has ended by itself."""
        self.dead = True
        self.stage.loop.kill(self.owner)

    def stop(self, span: int) -> None:
        """The process stands still for *span* milliseconds."""
        if not self.dead and self._standing is None:
            self.stage.fault("pause", self.owner, span)
            self._standing = asyncio.Event()
            self.stage.soon(span, self.go_on)

    def go_on(self) -> None:
        """The process runs."""
        if self._standing is not None:
            self._standing.set()
            self._standing = None

    async def awake(self) -> None:
        """Returns when the process runs. Raises Died."""
        while self._standing is not None:
            await self._standing.wait()
        if self.dead:
            raise Died
