"""Named values in the server: a hash for every store."""

from collections.abc import Mapping
from typing import Final

from msgspec import Raw

from avtomatika.stores.readable import refuse_unencodable
from avtomatika.stores.redis.calls import Calls
from avtomatika.stores.redis.encoding import opaque
from avtomatika.stores.redis.scripts import SHELF
from avtomatika.stores.shelf import incremented

_LARGE: Final = 2**63


class RedisShelf:
    """The shelf beside a store."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def get(self, store: str, key: str) -> Raw | None:
        refuse_unencodable("key", store, key)
        value = await self._calls.ask("HGET", f":s:{store}", key)
        return None if value is None else Raw(value)

    async def put(self, store: str, key: str, value: Raw) -> None:
        refuse_unencodable("key", store, key)
        await self._calls.write(SHELF, ("put", store, key, opaque(bytes(value))))

    async def put_new(self, store: str, key: str, value: Raw) -> Raw:
        refuse_unencodable("key", store, key)
        _, there = await self._calls.write(SHELF, ("new", store, key, opaque(bytes(value))))
        return Raw(there)

    async def incr(self, store: str, key: str, by: int) -> int:
        refuse_unencodable("key", store, key)
        if not -_LARGE <= by < _LARGE:
            return await self._counted(store, key, by, await self.get(store, key))
        done, *there = await self._calls.write(SHELF, ("incr", store, key, str(by)))
        if done:
            return int(there[0])
        return await self._counted(store, key, by, Raw(there[0]) if there else None)

    async def _counted(self, store: str, key: str, by: int, value: Raw | None) -> int:
        """Counts on what the server cannot count on: a number that is written oddly, or is none."""
        while True:
            number = incremented(value, by)
            new = str(number)
            done, *there = await self._calls.write(
                SHELF, ("swap", store, key, value is not None and opaque(bytes(value)), new)
            )
            if done:
                return number
            value = Raw(there[0]) if there else None

    async def delete(self, store: str, key: str) -> None:
        refuse_unencodable("key", store, key)
        await self._calls.write(SHELF, ("delete", store, key))

    async def items(self, store: str) -> Mapping[str, Raw]:
        refuse_unencodable("key", store)
        flat = await self._calls.ask("HGETALL", f":s:{store}")
        pairs = sorted(zip(flat[::2], flat[1::2], strict=True))
        return {key.decode(): Raw(value) for key, value in pairs}
