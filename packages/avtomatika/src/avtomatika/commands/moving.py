"""What is known of a move: which store is only half a copy, which one was left, what a copy holds so far.

A store that is being copied into says so on its shelf, and so does one that was moved away: a node that
started on either would run jobs that another store has too. The notes of a copy are beside that, so that
a repetition moves only what changed. They are gone from the new store when the move is over.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec
from msgspec import Raw

from avtomatika.errors import ConfigError
from avtomatika.ports.contents import Item
from avtomatika.ports.shelf import Shelf

SHELF: Final = "avtomatika.moving"
KEY: Final = "state"


class Mark(msgspec.Struct, frozen=True):
    """`copying`: a part of what is at *place* is here. `moved`: what was here is at *place* now."""

    state: Literal["copying", "moved"]
    place: str

    @property
    def item(self) -> Item:
        """The mark as a value on a shelf."""
        return Item(SHELF, KEY, Raw(msgspec.json.encode(self)))


async def mark_of(shelf: Shelf) -> Mark | None:
    """What the store says of a move, or None. Raises Unavailable."""
    raw = await shelf.get(SHELF, KEY)
    return None if raw is None else msgspec.json.decode(raw, type=Mark)


async def refuse_moving(shelf: Shelf) -> None:
    """A node may run on the store. Raises ConfigError for half a copy, and for a store that was left."""
    mark = await mark_of(shelf)
    if mark is None:
        return
    if mark.state == "copying":
        raise ConfigError(
            f"STORAGE_URL: this store is an unfinished copy of {mark.place}. Stop the node that runs on "
            "that, then: avtomatika store copy --finish."
        )
    raise ConfigError(
        f"STORAGE_URL: this store was moved to {mark.place}. If no node has ever run on that: "
        "avtomatika store reopen."
    )


class Notes:
    """Chunks of names with numbers that a copy keeps on the shelf of the new store; later chunks count."""

    def __init__(self, shelf: Shelf, name: str) -> None:
        self._shelf, self._name = shelf, f"{SHELF}.{name}"
        self._keys: list[str] = []
        self._next = 0

    async def read(self) -> dict[str, int]:
        """All that was noted. Raises Unavailable."""
        chunks = await self._shelf.items(self._name)
        self._keys = sorted(chunks)
        self._next = 1 + int(self._keys[-1]) if self._keys else 0
        noted: dict[str, int] = {}
        for key in self._keys:
            noted |= msgspec.json.decode(chunks[key], type=dict[str, int])
        return noted

    async def add(self, chunk: Mapping[str, int]) -> None:
        """The chunk is noted. Raises Unavailable."""
        if chunk:
            key = f"{self._next:012}"
            await self._shelf.put(self._name, key, Raw(msgspec.json.encode(chunk)))
            self._keys.append(key)
            self._next += 1

    async def replace(self, chunks: Sequence[Mapping[str, int]]) -> None:
        """These are all chunks that there are. Raises Unavailable."""
        earlier, self._keys = self._keys, []
        for chunk in chunks:
            await self.add(chunk)
        for key in earlier:
            await self._shelf.delete(self._name, key)


__all__ = ["KEY", "Mark", "Notes", "SHELF", "mark_of", "refuse_moving"]
