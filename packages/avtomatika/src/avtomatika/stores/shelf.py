"""Named values in memory, and what every shelf has to work out alike."""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw

from avtomatika.errors import InvalidInput
from avtomatika.stores.readable import refuse_unencodable

_MOST: Final = 2**63 - 1
_LEAST: Final = -(2**63)


class MemoryShelf:
    """A shelf that is gone with the process."""

    def __init__(self) -> None:
        self._stores: dict[str, dict[str, Raw]] = {}

    async def get(self, store: str, key: str) -> Raw | None:
        refuse_unencodable("key", store, key)
        return self._stores.get(store, {}).get(key)

    async def put(self, store: str, key: str, value: Raw) -> None:
        refuse_unencodable("key", store, key)
        self._stores.setdefault(store, {})[key] = own(value)

    async def put_new(self, store: str, key: str, value: Raw) -> Raw:
        refuse_unencodable("key", store, key)
        return self._stores.setdefault(store, {}).setdefault(key, own(value))

    async def incr(self, store: str, key: str, by: int) -> int:
        refuse_unencodable("key", store, key)
        number = incremented(self._stores.get(store, {}).get(key), by)
        self._stores.setdefault(store, {})[key] = Raw(str(number).encode())
        return number

    async def delete(self, store: str, key: str) -> None:
        refuse_unencodable("key", store, key)
        values = self._stores.get(store, {})
        values.pop(key, None)
        if not values:
            self._stores.pop(store, None)

    async def items(self, store: str) -> Mapping[str, Raw]:
        refuse_unencodable("key", store)
        return dict(sorted(self._stores.get(store, {}).items()))


def own(value: Raw) -> Raw:
    """The same bytes, and none of the larger buffer that they may be a part of."""
    return Raw(bytes(value))


def incremented(value: Raw | None, by: int) -> int:
    """The whole number that *value* is, greater by *by*. Raises InvalidInput."""
    try:
        number = (0 if value is None else msgspec.json.decode(value, type=int)) + by
    except msgspec.MsgspecError as error:
        raise InvalidInput("The value there is no whole number.", field="value") from error
    if not _LEAST <= number <= _MOST:
        raise InvalidInput("The number would not fit into 64 bits.", field="by")
    return number
