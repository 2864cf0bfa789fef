"""Blueprints that rest: an operator paused them, and no node begins a handler of theirs.

What is out stays out: tasks are worked on, reports are accepted, and what they make due waits.
"""

from typing import Final

from msgspec import Raw

from avtomatika.kernel.time import SECOND
from avtomatika.ports.shelf import Shelf

SHELF: Final = "avtomatika.paused"
LOOK_AGAIN: Final = SECOND
"""How often a node looks what the others paused."""


class Pauses:
    """Which blueprints are paused, as this node last knew."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._paused: frozenset[str] = frozenset()

    def holds(self, blueprint: str) -> bool:
        """True when the blueprint is paused."""
        return blueprint in self._paused

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
