"""The way of an event through several holders, signed as a whole or hop by hop.

A chain is a list of worker ids, the first hop first. A signature of the whole says that its signer saw this
chain. A hop signs the event together with the chain up to itself, with a key of its own, so that no later
hop can change the event, put in, leave out or reorder earlier ones, or use the chain of another event.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from rxon.canonical import Body
from rxon.codec import encode
from rxon.errors import ProtocolError
from rxon.signing.content import signed_bytes
from rxon.signing.shared_key import mac, same

__all__ = [
    "HOP_IGNORES",
    "MAX_HOPS",
    "chain_bytes",
    "first_false_hop",
    "hop_bytes",
    "hop_key",
    "sign_chain",
    "sign_hop",
    "verify_chain",
    "verify_hops",
]

MAX_HOPS: Final = 64

HOP_IGNORES: Final = frozenset({"bubbling_chain", "lease_token", "worker_id"})
"""Members of a message that a hop may write anew, besides its signature. The time is not among them: what the
first one said is told on soon, or has to be said again."""

HOP_PURPOSE: Final = b"rxon hop"

Fits = Callable[[str, bytes, str], bool]
"""Whether the named hop has signed the message with this signature."""


def chain_bytes(chain: Sequence[str]) -> bytes:
    """The chain as a JSON array without white space. Raises ProtocolError above MAX_HOPS."""
    if len(chain) > MAX_HOPS:
        raise ProtocolError(f"A chain has at most {MAX_HOPS} hops.")
    try:
        return encode(list(chain))
    except UnicodeError:
        raise ProtocolError("The name of a hop is no text.") from None


def sign_chain(chain: Sequence[str], key: str) -> str:
    """The HMAC of the whole chain. Raises ValueError for an empty key."""
    return mac(chain_bytes(chain), key)


def verify_chain(chain: Sequence[str], signature: str | None, key: str) -> bool:
    """True when ``signature`` is that of the whole chain."""
    return bool(signature and key) and same(mac(chain_bytes(chain), key), signature or "")


def hop_key(token: str) -> str:
    """The key with which the owner of the token signs as a hop. The token does not follow from it.

    Raises ValueError for an empty token.
    """
    return mac(HOP_PURPOSE, token)


def sign_hop(event: Body, chain: Sequence[str], key: str) -> str:
    """What the last hop of ``chain`` says: it had this event, after the hops before it.

    Raises ValueError for an empty key, and ProtocolError when ``event`` is no object of JSON.
    """
    return mac(hop_bytes(event, chain), key)


def hop_bytes(event: Body, chain: Sequence[str]) -> bytes:
    """What the last hop of ``chain`` signs. Raises ProtocolError when ``event`` is no object of JSON."""
    return _hop_bytes(_digest(event), chain)


def verify_hops(
    event: Body, chain: Sequence[str], signatures: Sequence[str], key_of: Callable[[str], str | None]
) -> bool:
    """True when every hop of ``chain`` has signed this event and all hops before it, in this order.

    ``key_of`` gives the key of a hop, or None when there is none. A chain without hops is true. Raises
    ProtocolError when ``event`` is no object of JSON or the chain has more than MAX_HOPS.
    """

    def fits(hop: str, message: bytes, signature: str) -> bool:
        key = key_of(hop)
        return bool(key) and same(mac(message, key or ""), signature)

    return len(chain) == len(signatures) and first_false_hop(event, chain, signatures, fits) is None


def first_false_hop(event: Body, chain: Sequence[str], signatures: Sequence[str], fits: Fits) -> str | None:
    """The first hop of ``chain`` that has not signed this event and all hops before it; None: all have.

    There are as many signatures as hops. Raises ProtocolError as ``verify_hops`` does.
    """
    chain_bytes(chain)  # within bounds
    digest = _digest(event)
    for place, (hop, signature) in enumerate(zip(chain, signatures, strict=True), 1):
        if not fits(hop, _hop_bytes(digest, chain[:place]), signature):
            return hop
    return None


def _digest(event: Body) -> str:
    return sha256(signed_bytes(event, HOP_IGNORES)).hexdigest()


def _hop_bytes(digest: str, chain: Sequence[str]) -> bytes:
    return b'["' + digest.encode() + b'",' + chain_bytes(chain)[1:]
