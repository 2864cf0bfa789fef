"""Blueprints that rest: an operator paused them, and no node begins a handler of theirs.

What is out stays out: tasks are worked on, reports are accepted, and what they make due waits.
"""

from collections.abc import Collection
from typing import Final

from msgspec import Raw

from avtomatika import observe
from avtomatika.errors import Unavailable
from avtomatika.kernel.time import SECOND, after
from avtomatika.ports.clock import Clock
from avtomatika.ports.shelf import Shelf

SHELF: Final = "avtomatika.paused"
LOOK_AGAIN: Final = SECOND


class Pauses:
    """Which blueprints are paused, as this node last knew."""

    def __init__(self, shelf: Shelf, clock: Clock) -> None:
        self._shelf, self._clock = shelf, clock
        self._paused: frozenset[str] = frozenset()

    def holds(self, blueprint: str) -> bool:
        """True when the blueprint is paused."""
        return blueprint in self._paused

    @property
    def paused(self) -> Collection[str]:
        """The names of the blueprints that are paused."""
        return self._paused

    async def pause(self, blueprint: str) -> None:
        """No node begins a handler of the blueprint from about a second from now on; this one at once."""
        await self._shelf.put(SHELF, blueprint, Raw(b"true"))
        await self.refresh()

    async def resume(self, blueprint: str) -> None:
        """The handlers that were due meanwhile begin within about a second."""
        await self._shelf.delete(SHELF, blueprint)
        await self.refresh()

    async def refresh(self) -> None:
        """What is paused by any node is known here."""
        self._paused = frozenset(await self._shelf.items(SHELF))

    async def run(self) -> None:
        """Looks every second, until this is cancelled."""
        while True:
            try:
                await self.refresh()
            except Unavailable as error:
                observe.warning("pauses.unknown", why=error.message)
            await self._clock.sleep_until(after(self._clock.now(), LOOK_AGAIN))
