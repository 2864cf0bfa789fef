"""The registry of a single process."""

from collections.abc import Sequence

import msgspec

from avtomatika.kernel.time import Instant
from avtomatika.ports.registry import Doc


class MemoryRegistry:
    """Documents in memory. Expired ones are removed when somebody looks."""

    def __init__(self) -> None:
        self._docs: dict[tuple[str, str], Doc] = {}
        self._version = 0

    async def get(self, kind: str, key: str, *, now: Instant) -> Doc | None:
        doc = self._docs.get((kind, key))
        if doc is not None and doc.expires_at <= now:
            del self._docs[kind, key]
            return None
        return doc

    async def put(self, doc: Doc) -> Doc:
        self._version += 1
        kept = msgspec.structs.replace(doc, version=self._version)
        self._docs[doc.kind, doc.key] = kept
        return kept

    async def replace(self, doc: Doc, *, expected: int, now: Instant) -> bool:
        found = await self.get(doc.kind, doc.key, now=now)
        if (0 if found is None else found.version) != expected:
            return False
        await self.put(doc)
        return True

    async def take(self, kind: str, key: str, *, now: Instant) -> Doc | None:
        found = await self.get(kind, key, now=now)
        await self.delete(kind, key)
        return found

    async def delete(self, kind: str, key: str) -> None:
        self._docs.pop((kind, key), None)

    async def scan(self, kind: str, *, now: Instant) -> Sequence[Doc]:
        await self.sweep(now=now)
        return [self._docs[place] for place in sorted(self._docs) if place[0] == kind]

    async def sweep(self, *, now: Instant) -> None:
        self._docs = {place: doc for place, doc in self._docs.items() if doc.expires_at > now}
