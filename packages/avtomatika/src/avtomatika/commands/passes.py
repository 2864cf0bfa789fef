"""Tokens that open for a while: given out for a token of the roll, and renewed by one that is good once.

Only digests are kept. The secret that a worker signs with is kept under the token itself, so that whoever
reads the registry has neither. A token that is used to renew a second time was stolen, or the answer was
lost: shortly after the first time the latter is believed, later the whole family is worth nothing any more.
"""

from base64 import b64decode, b64encode
from hashlib import shake_256
from typing import Final

import msgspec

from avtomatika import observe
from avtomatika.commands.roll import Roll, digest
from avtomatika.errors import Forbidden, Unauthorized
from avtomatika.kernel.time import SECOND, Instant, Span, after
from avtomatika.ports.clock import Names
from avtomatika.ports.node import NodeContext
from avtomatika.ports.registry import Doc, Registry
from rxon.messages import TokenAnswer

ACCESS: Final = "worker_access"
RENEWAL: Final = "worker_renewal"
REVOKED: Final = "worker_family_revoked"

ACCESS_LIFE: Final = Span(3_600 * SECOND)
RENEWAL_LIFE: Final = Span(86_400 * SECOND)
GRACE: Final = Span(10 * SECOND)
"""How long after its first use a token that renews may be used again: the answer may have been lost."""

_SEAL: Final = b"avtomatika: the secret behind a pass\x00"


class Pass(msgspec.Struct, frozen=True):
    """What is known of a token. `source` is the digest of the token that it stands for."""

    worker: str
    family: str
    source: str
    sealed: str
    used_at: Instant | None = None


class Passes:
    """Gives out such tokens, and knows them."""

    def __init__(
        self, node: NodeContext, registry: Registry, roll: Roll, access_life: Span = ACCESS_LIFE
    ) -> None:
        self._clock, self._names = node.clock, node.names
        self._registry, self._roll = registry, roll
        self._access_life = access_life

    async def of(self, token: str) -> tuple[Pass, str] | None:
        """The pass that the token is, and the secret behind it. None when it is none, or not any more."""
        found = await self._find(ACCESS, token)
        return None if found is None or not await self._is_good(found) else (found, _unsealed(found, token))

    async def issue(self, worker_id: str, secret: str) -> TokenAnswer:
        """The first tokens of a family, which stand for *secret*, a token of the roll."""
        return await self._mint(worker_id, self._names.token(), secret)

    async def again(self, found: Pass, secret: str) -> TokenAnswer:
        """More tokens of the same family."""
        return await self._mint(found.worker, found.family, secret)

    async def renew(self, worker_id: str | None, token: str) -> TokenAnswer:
        """New tokens for one that renews. Raises Unauthorized, Forbidden when it is another worker's."""
        found = await self._find(RENEWAL, token)
        if found is None or not await self._is_good(found):
            raise Unauthorized("Invalid refresh token (not found)")
        if worker_id not in (None, found.worker):
            raise Forbidden("Unauthorized: Invalid refresh token (owner mismatch)")
        now = self._clock.now()
        if found.used_at is None:
            used = msgspec.structs.replace(found, used_at=now)
            await self._put(RENEWAL, token, used, RENEWAL_LIFE)
        elif now > after(found.used_at, GRACE):
            await self._revoke(found)
            raise Unauthorized("Invalid refresh token (it was used before)")
        return await self._mint(found.worker, found.family, _unsealed(found, token))

    async def _revoke(self, found: Pass) -> None:
        observe.measured("auth.token_reused", role="worker")
        observe.warning("worker.token_reused", worker=found.worker)
        expires = after(self._clock.now(), RENEWAL_LIFE)
        await self._registry.put(Doc(REVOKED, found.family, b"{}", expires))

    async def _is_good(self, found: Pass) -> bool:
        if not self._roll.stands(bytes.fromhex(found.source), found.worker):
            return False
        return await self._registry.get(REVOKED, found.family, now=self._clock.now()) is None

    async def _mint(self, worker_id: str, family: str, secret: str) -> TokenAnswer:
        access, renewal = _fresh(self._names), _fresh(self._names)
        source = digest(secret).hex()
        for kind, token, life in ((ACCESS, access, self._access_life), (RENEWAL, renewal, RENEWAL_LIFE)):
            await self._put(kind, token, Pass(worker_id, family, source, _sealed(secret, token)), life)
        return TokenAnswer(access, self._access_life // 1_000, worker_id, renewal)

    async def _find(self, kind: str, token: str) -> Pass | None:
        doc = await self._registry.get(kind, digest(token).hex(), now=self._clock.now())
        return None if doc is None else msgspec.json.decode(doc.body, type=Pass)

    async def _put(self, kind: str, token: str, value: Pass, life: Span) -> None:
        expires = after(self._clock.now(), life)
        await self._registry.put(Doc(kind, digest(token).hex(), msgspec.json.encode(value), expires))


def _fresh(names: Names) -> str:
    return names.token() + names.token()


def _sealed(secret: str, token: str) -> str:
    return b64encode(_masked(secret.encode(errors="surrogateescape"), token)).decode()


def _unsealed(found: Pass, token: str) -> str:
    return _masked(b64decode(found.sealed), token).decode(errors="surrogateescape")


def _masked(secret: bytes, token: str) -> bytes:
    """The secret under a pad that only the token yields; done twice, the secret again.

    The token is used for nothing else and seals one secret only, which is what makes this sound.
    """
    pad = shake_256(_SEAL + token.encode(errors="surrogateescape")).digest(len(secret))
    return bytes(a ^ b for a, b in zip(secret, pad, strict=True))
