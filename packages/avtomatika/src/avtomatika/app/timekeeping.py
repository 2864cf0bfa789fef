"""Nodes of one store go by its clock, so that theirs may differ by any amount (ADR 0018)."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from avtomatika.app.backends import open_backend
from avtomatika.clock import SystemClock, SystemNames
from avtomatika.errors import Unavailable
from avtomatika.kernel.time import SECOND, Span
from avtomatika.ports.store import Store
from avtomatika.services.supervisor import Supervisor
from avtomatika.settings import Settings

LOOK_EVERY: Final = Span(5 * SECOND)
QUICK: Final = Span(20)
"""An answer that came within this tells the time well enough."""

LOOKS: Final = 3


class Timekeeper:
    """Sets the clock of the node by that of the store."""

    def __init__(self, store: Store, clock: SystemClock) -> None:
        self._store, self._clock = store, clock

    async def follow(self) -> bool:
        """The clock shows the time of the store; False when it has none of its own. Raises Unavailable."""
        ahead = await self._best()
        if ahead is None:
            return False
        self._clock.follow(ahead)
        return True

    async def _best(self) -> int | None:
        """How far the clock of the store is ahead of the uptime, by the quickest of a few answers."""
        best: tuple[int, int] | None = None
        for _ in range(LOOKS):
            asked = self._clock.uptime()
            shown = await self._store.time()
            if shown is None:
                return None
            took = self._clock.uptime() - asked
            found = took, shown - asked - took // 2
            best = found if best is None else min(best, found)
            if took <= QUICK:
                break
        if best is None:
            raise Unavailable("The store did not say what time it is.")
        return best[1]


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[tuple[Store, SystemClock]]:
    """The store that the settings name, and a clock that goes by its own."""
    clock, supervisor = SystemClock(), Supervisor()
    store = (await open_backend(settings, clock, SystemNames(), supervisor)).store
    try:
        await Timekeeper(store, clock).follow()
        yield store, clock
    finally:
        await store.close()
