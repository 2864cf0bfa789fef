"""The tokens and keys of workers: one for all, those of single workers and of groups. No token is kept."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from hashlib import sha256
from hmac import compare_digest
from typing import Final

import msgspec

from rxon.signing.chain import hop_key
from rxon.signing.key_pair import verify_bytes
from rxon.signing.shared_key import mac, same

PATTERN: Final = "pattern:"


class Listed(msgspec.Struct, frozen=True):
    """What is known of the token of a worker or a group, and how its signatures in chains are verified.

    Without a digest nobody comes in. `public_key` is PEM of Ed25519, and takes the place of `hop_key`.
    """

    digest: bytes | None = None
    hop_key: str | None = None
    public_key: str | None = None

    def __repr__(self) -> str:
        return f"Listed(public_key={self.public_key!r})"

    @classmethod
    def of(cls, token: str, public_key: str | None = None) -> "Listed":
        """What is kept of a token."""
        return cls(digest(token), hop_key(token), public_key)

    def signed(self, message: bytes, signature: str) -> bool:
        """True when the signature of these bytes was made with the key."""
        if self.public_key is not None:
            return verify_bytes(message, signature, self.public_key)
        return self.hop_key is not None and same(mac(message, self.hop_key), signature)


class Roll:
    """Which token opens for which worker.

    A worker with a token of its own, or of a group, cannot come in with the one for all.
    """

    def __init__(self, common: str | None, own: Mapping[str, Listed] | None = None) -> None:
        """*common* opens for every worker id; *own* is what is known of the others, as for `replace`."""
        self._common = None if common is None else Listed.of(common)
        self.replace(own or {})

    def replace(self, own: Mapping[str, Listed]) -> None:
        """From now on these are single workers, by id, and groups, by `pattern:GLOB`.

        Of several patterns that fit, the first one counts.
        """
        self._single = {name: known for name, known in own.items() if not name.startswith(PATTERN)}
        groups = (
            (name.removeprefix(PATTERN), known) for name, known in own.items() if name.startswith(PATTERN)
        )
        self._groups = tuple(groups)

    def opens(self, token: str, worker_id: str | None) -> bool:
        """True when the token opens for this worker; without one, when it is clear for whom it does."""
        if worker_id is None:
            return self.owner(token) is not None or _is(self._common, digest(token))
        return self.stands(digest(token), worker_id)

    def stands(self, value: bytes, worker_id: str) -> bool:
        """True when the digest is that of a token which opens for the worker."""
        return _is(self._listed(worker_id), value)

    def owner(self, token: str) -> str | None:
        """The single worker that the token belongs to, or None."""
        value = digest(token)
        owners = [worker for worker, known in self._single.items() if _is(known, value)]
        return owners[0] if len(owners) == 1 else None

    def signed(self, worker_id: str, message: bytes, signature: str) -> bool:
        """True when the worker, which may be one that never comes in itself, has signed these bytes."""
        known = self._listed(worker_id)
        return known is not None and known.signed(message, signature)

    def _listed(self, worker_id: str) -> Listed | None:
        single = self._single.get(worker_id)
        if single is not None:
            return single
        for pattern, known in self._groups:
            if fnmatchcase(worker_id, pattern):
                return known
        return self._common


def _is(known: Listed | None, value: bytes) -> bool:
    return known is not None and known.digest is not None and compare_digest(known.digest, value)


@lru_cache(1_024)  # a stream brings the same token with every message
def digest(token: str) -> bytes:
    """What is kept of a token."""
    # What is no UTF-8 in a header arrives as surrogates.
    return sha256(token.encode(errors="surrogateescape")).digest()
