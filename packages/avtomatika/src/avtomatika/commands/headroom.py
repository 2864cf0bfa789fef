"""How many unfinished jobs there may be, and whether there is room for more (guarantee G16)."""

from typing import Final

import msgspec

from avtomatika.errors import Overloaded, Unavailable
from avtomatika.kernel.time import SECOND, Instant, Span, after
from avtomatika.ports.clock import Clock
from avtomatika.ports.store import Store

GOOD_FOR: Final = Span(SECOND)
FAR: Final = 10_000
"""So many jobs below a limit nothing is asked for a while: no fleet accepts as many meanwhile."""

MOST_REMEMBERED: Final = 1_024


class Room(msgspec.Struct, frozen=True):
    """How many unfinished jobs there may be: those of one client, and all together."""

    of_client: int = 100_000
    of_all: int = 2_000_000


class Headroom:
    """Lets jobs in while there is room. It keeps memory bounded, no more: a few at once may go beyond."""

    def __init__(self, store: Store, clock: Clock, room: Room) -> None:
        self._store, self._clock, self._room = store, clock, room
        self._good_until: dict[str | None, Instant] = {}

    async def admit(self, client: str, count: int) -> None:
        """There is room for so many more. Raises Overloaded for the client, Unavailable for all."""
        if not await self._fits(client, count, self._room.of_client):
            raise Overloaded(f"There are {self._room.of_client} unfinished jobs, and may not be more.")
        if not await self._fits(None, count, self._room.of_all):
            raise Unavailable("There are as many unfinished jobs as this system keeps.")

    async def _fits(self, client: str | None, count: int, limit: int) -> bool:
        now = self._clock.now()
        if now < self._good_until.get(client, now):
            return True
        there = await self._store.unfinished(client)
        if there + count + FAR <= limit:
            if len(self._good_until) >= MOST_REMEMBERED:
                self._good_until.clear()
            self._good_until[client] = after(now, GOOD_FOR)
        return there + count <= limit
