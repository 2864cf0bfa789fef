"""The history outside: a table of every fact, for people and programs that ask questions of their own."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from avtomatika.kernel.time import Instant


class Row(msgspec.Struct, frozen=True):
    """One fact. `state` and `status` are where it left the job; `data` is the event, as JSON."""

    job: str
    version: int
    at: Instant
    client: str
    blueprint: str
    state: str
    status: str
    event_type: str
    worker: str | None
    task: str | None
    attempt: int | None
    data: bytes


class History(Protocol):
    """A table of rows, each known by its job and version. Every verb may raise `Unavailable`."""

    async def open(self) -> None:
        """The table is there and can be written. May be called again at any time."""
        ...

    async def write(self, rows: Sequence[Row]) -> None:
        """All *rows* are in the table and safe there. A row that was there already stays as it is."""
        ...

    async def close(self) -> None:
        """The connection, if there is one, is released."""
        ...
