"""Named stores of values that belong to no job: the data stores of blueprints (feature A11), and ours.

What is put here is durable like a job. It is no part of any commit: a handler that runs again puts again.
"""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Raw


class Shelf(Protocol):
    """Values by store and key. Every verb may raise `Unavailable`."""

    async def get(self, store: str, key: str) -> Raw | None:
        """The value, as it was put, or None."""
        ...

    async def put(self, store: str, key: str, value: Raw) -> None:
        """The value is there, in place of an earlier one."""
        ...

    async def put_new(self, store: str, key: str, value: Raw) -> Raw:
        """The value is there unless there was one; the one that is there now is returned."""
        ...

    async def incr(self, store: str, key: str, by: int) -> int:
        """The whole number there, 0 if there was none, is greater by *by*; the new number.

        No increment is lost, however many come at once. Raises InvalidInput when the value is no whole
        number, or would not fit into 64 bits with its sign.
        """
        ...

    async def delete(self, store: str, key: str) -> None:
        """There is no value."""
        ...

    async def items(self, store: str) -> Mapping[str, Raw]:
        """All values of the store, by key."""
        ...
