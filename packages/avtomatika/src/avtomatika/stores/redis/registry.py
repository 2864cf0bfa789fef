"""Documents in the server: a hash for every kind. They expire by the clock of those who ask."""

from collections.abc import Sequence
from typing import Final

from avtomatika.kernel.time import Instant
from avtomatika.ports.registry import Doc
from avtomatika.stores.redis.calls import Calls
from avtomatika.stores.redis.encoding import opaque
from avtomatika.stores.redis.moments import WIDTH, moment, text
from avtomatika.stores.redis.reading import Reply
from avtomatika.stores.redis.scripts import DOCUMENT, EXPIRE

VERSION: Final = 16
STEP: Final = 500
_EVER: Final = text(0)


class RedisRegistry:
    """The registry beside a store."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def get(self, kind: str, key: str, *, now: Instant) -> Doc | None:
        value = await self._calls.ask("HGET", f":d:{kind}", key)
        doc = None if value is None else _doc(kind, key, value)
        return None if doc is None or doc.expires_at <= now else doc

    async def put(self, doc: Doc) -> Doc:
        asked = ("put", doc.kind, doc.key, _EVER, text(doc.expires_at), opaque(doc.body))
        return _doc(doc.kind, doc.key, await self._write(asked))

    async def replace(self, doc: Doc, *, expected: int, now: Instant) -> bool:
        version = f"{expected:0{VERSION}d}"
        asked = ("replace", doc.kind, doc.key, text(now), text(doc.expires_at), opaque(doc.body), version)
        return await self._write(asked) is not None

    async def take(self, kind: str, key: str, *, now: Instant) -> Doc | None:
        value = await self._write(("take", kind, key, text(now)))
        return None if value is None else _doc(kind, key, value)

    async def delete(self, kind: str, key: str) -> None:
        await self._write(("delete", kind, key, _EVER))

    async def scan(self, kind: str, *, now: Instant) -> Sequence[Doc]:
        flat = await self._calls.ask("HGETALL", f":d:{kind}")
        pairs = sorted(zip(flat[::2], flat[1::2], strict=True))
        docs = (_doc(kind, key.decode(), value) for key, value in pairs)
        return [doc for doc in docs if doc.expires_at > now]

    async def sweep(self, *, now: Instant) -> None:
        while await self._calls.write(EXPIRE, (text(now), STEP), may_be_lost=True) == STEP:
            pass

    async def _write(self, asked: tuple[object, ...]) -> Reply:
        return await self._calls.write(DOCUMENT, asked, may_be_lost=True)


def _doc(kind: str, key: str, value: bytes) -> Doc:
    expires, version = value[:WIDTH], value[WIDTH : WIDTH + VERSION]
    return Doc(kind, key, value[WIDTH + VERSION :], moment(expires), int(version))
