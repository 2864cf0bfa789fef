"""Documents that are not jobs: they may be lost, and they expire. Presence of workers lives here."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from avtomatika.kernel.time import Instant


class Doc(msgspec.Struct, frozen=True):
    """A document. `version` grows with every write, also over deletion and expiry."""

    kind: str
    key: str
    body: bytes
    expires_at: Instant
    version: int = 0


class Registry(Protocol):
    """Where such documents are kept."""

    async def get(self, kind: str, key: str, *, now: Instant) -> Doc | None:
        """The document, or None when there is none or it has expired."""
        ...

    async def put(self, doc: Doc) -> Doc:
        """The document is there, in place of an earlier one; returned with its version."""
        ...

    async def delete(self, kind: str, key: str) -> None:
        """The document is not there."""
        ...

    async def scan(self, kind: str, *, now: Instant) -> Sequence[Doc]:
        """Every document of the kind that has not expired, by key."""
        ...
