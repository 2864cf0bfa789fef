"""Tokens that open for a while: given out for a token of the roll, and renewed by one that is good once.

Only digests are kept. The secret that a worker signs with is encrypted with a key that follows from the token
itself, so that whoever reads the registry has neither. A token that is used to renew a second time was
stolen, or the answer was lost: shortly after the first time the latter is believed, later the whole family is
worth nothing any more.
"""

from base64 import b64decode, b64encode
from collections.abc import Collection
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

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

_PURPOSE: Final = b"avtomatika: the secret behind a pass"
_ONCE: Final = bytes(12)
"""The nonce. A key follows from one token and encrypts one secret, so that no other is needed."""


class Pass(msgspec.Struct, frozen=True):
    """What is known of a token. `source` is the digest of the token that it stands for.

    One that stands for a certificate has none, and is only good together with it.
    """

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
        found, _ = await self._read(ACCESS, token)
        if found is None or not await self._is_good(found):
            return None
        try:
            return found, _unsealed(found, token)
        except Unauthorized:
            return None

    async def issue(self, worker_id: str, secret: str = "") -> TokenAnswer:
        """The first tokens of a family, which stand for *secret*, a token of the roll, else a certificate."""
        return await self._mint(worker_id, self._names.token(), secret)

    async def again(self, found: Pass, secret: str) -> TokenAnswer:
        """More tokens of the same family."""
        return await self._mint(found.worker, found.family, secret if found.source else "")

    async def renew(self, worker_id: str | None, token: str, certified: Collection[str] = ()) -> TokenAnswer:
        """New tokens for one that renews. Raises Unauthorized, Forbidden when it is another worker's.

        *certified* are the workers that the certificate of the connection is for.
        """
        found, version = await self._read(RENEWAL, token)
        if found is None or not await self._is_good(found):
            raise Unauthorized("Invalid refresh token (not found)")
        if worker_id not in (None, found.worker):
            raise Forbidden("Unauthorized: Invalid refresh token (owner mismatch)")
        if not found.source and found.worker not in certified:
            raise Unauthorized("Invalid refresh token (it is only good with its certificate)")
        await self._use(found, version, token)
        return await self._mint(found.worker, found.family, _unsealed(found, token))

    async def _use(self, found: Pass, version: int, token: str) -> None:
        """The token was used now, or shortly before. Raises Unauthorized: its family is worth nothing."""
        now = self._clock.now()
        if found.used_at is None:
            used = _doc(RENEWAL, token, msgspec.structs.replace(found, used_at=now), after(now, RENEWAL_LIFE))
            if not await self._registry.replace(used, expected=version, now=now):
                again, version = await self._read(RENEWAL, token)  # another node was quicker
                if again is None:
                    raise Unauthorized("Invalid refresh token (not found)")
                await self._use(again, version, token)
        elif now > after(found.used_at, GRACE):
            await self._revoke(found)
            raise Unauthorized("Invalid refresh token (it was used before)")

    async def _revoke(self, found: Pass) -> None:
        observe.measured("auth.token_reused", role="worker")
        observe.warning("worker.token_reused", worker=found.worker)
        expires = after(self._clock.now(), RENEWAL_LIFE)
        await self._registry.put(Doc(REVOKED, found.family, b"{}", expires))

    async def _is_good(self, found: Pass) -> bool:
        if found.source and not self._roll.stands(bytes.fromhex(found.source), found.worker):
            return False
        return await self._registry.get(REVOKED, found.family, now=self._clock.now()) is None

    async def _mint(self, worker_id: str, family: str, secret: str) -> TokenAnswer:
        access, renewal = _fresh(self._names), _fresh(self._names)
        known = Pass(worker_id, family, digest(secret).hex() if secret else "", "")
        for kind, token, life in ((ACCESS, access, self._access_life), (RENEWAL, renewal, RENEWAL_LIFE)):
            sealed = _sealed(known, secret, token)
            await self._registry.put(_doc(kind, token, sealed, after(self._clock.now(), life)))
        return TokenAnswer(access, self._access_life // 1_000, worker_id, renewal)

    async def _read(self, kind: str, token: str) -> tuple[Pass | None, int]:
        """The pass that the token is, and the version of it that is kept."""
        doc = await self._registry.get(kind, digest(token).hex(), now=self._clock.now())
        return (None, 0) if doc is None else (msgspec.json.decode(doc.body, type=Pass), doc.version)


def _doc(kind: str, token: str, value: Pass, expires: Instant) -> Doc:
    return Doc(kind, digest(token).hex(), msgspec.json.encode(value), expires)


def _fresh(names: Names) -> str:
    return names.token() + names.token()


def _sealed(known: Pass, secret: str, token: str) -> Pass:
    """The pass with the secret in it, for the eyes of whoever has the token."""
    plain = secret.encode(errors="surrogateescape")
    hidden = AESGCM(_key(token)).encrypt(_ONCE, plain, _about(known))
    return msgspec.structs.replace(known, sealed=b64encode(hidden).decode())


def _unsealed(found: Pass, token: str) -> str:
    """The secret. Raises Unauthorized when the pass was tampered with."""
    try:
        plain = AESGCM(_key(token)).decrypt(_ONCE, b64decode(found.sealed), _about(found))
    except InvalidTag:
        raise Unauthorized("No valid token found") from None
    return plain.decode(errors="surrogateescape")


def _key(token: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(token.encode(errors="surrogateescape"))


def _about(known: Pass) -> bytes:
    return f"{known.worker}\n{known.family}\n{known.source}".encode()
