"""Documents that are not jobs: they may be lost, and they expire. Presence of workers lives here."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from avtomatika.kernel.time import Instant


class Doc(msgspec.Struct, frozen=True):
    """A document. `version` grows with every write, also over deletion and expiry, from 1 on."""

    kind: str
    key: str
    body: bytes
    expires_at: Instant
    version: int = 0


class Registry(Protocol):
    """Where such documents are kept, for all nodes of a store. Every verb may raise `Unavailable`."""

    async def get(self, kind: str, key: str, *, now: Instant) -> Doc | None:
        """The document, or None when there is none or it has expired."""
        ...

    async def put(self, doc: Doc) -> Doc:
        """The document is there, in place of an earlier one; returned with its version."""
        ...

    async def replace(self, doc: Doc, *, expected: int, now: Instant) -> bool:
        """The document is there in place of the one of version *expected*, 0 for none. False: it moved."""
        ...

    async def take(self, kind: str, key: str, *, now: Instant) -> Doc | None:
        """The document, which is not there any more: of all who ask at once, one has it."""
        ...

    async def delete(self, kind: str, key: str) -> None:
        """The document is not there."""
        ...

    async def scan(self, kind: str, *, now: Instant) -> Sequence[Doc]:
        """Every document of the kind that has not expired, by key."""
        ...

    async def sweep(self, *, now: Instant) -> None:
        """What has expired takes no room any more. It is never seen, swept or not."""
        ...
