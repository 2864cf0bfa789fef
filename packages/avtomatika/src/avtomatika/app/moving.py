"""Stores carried to another engine."""

import asyncio
from pathlib import Path
from typing import Final

import msgspec

from avtomatika.app.timekeeping import opened
from avtomatika.commands import siblings
from avtomatika.commands.copying import Copied, Copy
from avtomatika.commands.moving import KEY, SHELF, Mark, mark_of
from avtomatika.commands.ticks import TICKS
from avtomatika.errors import ConfigError
from avtomatika.kernel.time import Span
from avtomatika.ports.store import Store
from avtomatika.settings import Settings, redacted
from avtomatika.settings.history import sqlite_path
from avtomatika.stores.sql.contents import SqliteContents

GRACE: Final = Span(120_000)
"""Workers keep their tasks for so long, while nobody can renew their leases."""


async def copy_store(source: Path, settings: Settings, *, finish: bool, grace: Span = GRACE) -> Copied:
    """The store that *settings* name has all that is in the file, and says that it is a copy.

    With *finish* it is the store from now on, and the file says so. Raises ConfigError when the file is in
    use and this shall be the end, or when the other store is anything but empty, or a copy of this file.
    """
    mark = Mark("copying", _place(source, settings))
    with SqliteContents(source) as contents:
        async with opened(settings) as (store, clock):
            copy = Copy(contents, store, clock, grace)
            await _begin(store, mark)
            if not finish:
                return await copy()
            with contents.stopped():
                copied = await copy()
                contents.mark(Mark("moved", redacted(settings.storage.url)).item)
                await copy.clear()
                await store.shelf.delete(SHELF, KEY)
                return copied


async def reopen(source: Path) -> None:
    """The file, which was moved, is a store again. Raises ConfigError when it was not, or is in use."""
    with SqliteContents(source) as contents, contents.stopped():
        found = [item for item in await contents.items(after=(SHELF, ""), limit=1) if item.store == SHELF]
        if not found or msgspec.json.decode(found[0].value, type=Mark).state != "moved":
            raise ConfigError(f"{source} was not moved.")
        contents.unmark(SHELF, KEY)


def _place(source: Path, settings: Settings) -> str:
    """The name of the source. Raises ConfigError when the settings name no other store that lasts."""
    to = sqlite_path(settings.storage.url)
    if settings.storage.scheme == "memory" or (to is not None and to.resolve() == source.resolve()):
        raise ConfigError("A copy needs another store that outlives this command.")
    return f"sqlite:///{source.resolve()}"


async def _begin(store: Store, mark: Mark) -> None:
    """The store is a copy of the place that the mark names, of which it may hold a part."""
    known = await mark_of(store.shelf)
    if known == mark:
        return
    if known is not None:
        raise ConfigError(f"That store is an unfinished copy of {known.place}, or was left.")
    item = mark.item
    await store.shelf.put(item.store, item.key, item.value)
    if await _is_used(store):
        await store.shelf.delete(item.store, item.key)
        raise ConfigError("That store is not empty. Copy into a new one, or under another prefix.")


async def _is_used(store: Store) -> bool:
    used = await asyncio.gather(
        store.tally(), store.queues(TICKS), siblings.chosen(store.shelf), store.unfinished()
    )
    return any(used)


__all__ = ["GRACE", "copy_store", "reopen"]
