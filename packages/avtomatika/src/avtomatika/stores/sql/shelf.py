"""Named values in the file: changed through the group commit, read from the disk."""

import sqlite3
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from msgspec import Raw

from avtomatika.stores.readable import refuse_unencodable
from avtomatika.stores.shelf import incremented, own
from avtomatika.stores.sql import reading
from avtomatika.stores.sql.group_commit import GroupCommit
from avtomatika.stores.sql.journal import Change

T = TypeVar("T")


class Read(Protocol):
    """Asks the disk."""

    def __call__(self, query: Callable[[sqlite3.Connection], T], /) -> T:
        """What *query* finds. Raises Unavailable or StorageBroken."""
        ...


class SqliteShelf:
    """The shelf in the file of a store. What several callers change at once shares one fsync."""

    def __init__(self, writer: GroupCommit, read: Read) -> None:
        self._writer, self._read = writer, read

    async def get(self, store: str, key: str) -> Raw | None:
        refuse_unencodable("key", store, key)
        return self._read(lambda database: reading.item(database, store, key))

    async def put(self, store: str, key: str, value: Raw) -> None:
        await self._change(store, key, lambda _: own(value))

    async def put_new(self, store: str, key: str, value: Raw) -> Raw:
        there = await self._change(store, key, lambda old: own(value) if old is None else old)
        return value if there is None else there

    async def incr(self, store: str, key: str, by: int) -> int:
        there = await self._change(store, key, lambda old: Raw(str(incremented(old, by)).encode()))
        return incremented(there, 0)

    async def delete(self, store: str, key: str) -> None:
        await self._change(store, key, lambda _: None)

    async def items(self, store: str) -> Mapping[str, Raw]:
        refuse_unencodable("key", store)
        return self._read(lambda database: reading.items(database, store))

    async def _change(self, store: str, key: str, alter: Callable[[Raw | None], Raw | None]) -> Raw | None:
        refuse_unencodable("key", store, key)
        return await self._writer.change(Change(store, key, alter))
