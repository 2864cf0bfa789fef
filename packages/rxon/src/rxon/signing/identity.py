"""Who did the work that a message tells of, when another one sends it.

The identity chain of a message begins with who did the work, its origin, and ends with its sender. Each of
them has signed the message together with the chain up to itself (`rxon.signing.chain`), so that nobody on the
way can take another one's place, leave one out, or use the signatures for another message or another day.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from rxon.canonical import Body
from rxon.codec import encode
from rxon.errors import ForbiddenError
from rxon.identifiers import MAX_IDENTIFIER_LENGTH
from rxon.messages.capability import SecurityContext
from rxon.messages.event import WorkerEvent
from rxon.messages.task import TaskResult
from rxon.signing.chain import MAX_HOPS, Fits, first_false_hop, hop_bytes
from rxon.signing.freshness import is_fresh

__all__ = ["proven_origin", "vouched"]

Told = TypeVar("Told", bound=TaskResult | WorkerEvent)


def vouched(message: Told, worker_id: str, sign: Callable[[bytes], str]) -> Told:
    """The message as ``worker_id`` sends it: as its origin, or as the next one that it passes.

    ``sign`` makes the signature of bytes, with the key of this worker. Raises ValueError for a message
    without a time, for nothing could be too old then.
    """
    if message.timestamp is None:
        raise ValueError("A message that is vouched for has a timestamp.")
    security = message.security or SecurityContext()
    if not security.hops:
        message = msgspec.structs.replace(message, origin_worker_id=worker_id)
    chain = (*(security.identity_chain or ()), worker_id) if security.hops else (worker_id,)
    hops = (*(security.hops or ()), sign(hop_bytes(encode(message), chain)))
    security = msgspec.structs.replace(security, identity_chain=chain, hops=hops)
    message = msgspec.structs.replace(message, worker_id=worker_id, security=security)
    if isinstance(message, WorkerEvent):
        message = msgspec.structs.replace(message, bubbling_chain=chain[1:] or None)
    return message


def proven_origin(
    message: TaskResult | WorkerEvent,
    body: Body,
    sender: str,
    *,
    now: float,
    fits: Fits,
    required: bool = False,
) -> str | None:
    """Who did the work, when that is another one than the sender and proven; else None.

    ``body`` is the message as it was sent. With ``required``, all that it claims must be proven. Raises
    ForbiddenError for a proof that does not hold, ProtocolError when ``body`` is no object of JSON.
    """
    security = message.security
    if security is None or security.hops is None:
        if required and _claims(message, sender):
            raise ForbiddenError("Missing required identity chain")
        return None
    chain = [*(security.identity_chain or ())]
    hops = security.hops
    wrong = _misshapen(message, chain, hops, sender)
    if wrong is not None:
        raise ForbiddenError(f"Broken identity chain: {wrong}")
    if message.timestamp is None:
        raise ForbiddenError("Broken identity chain: the message has no timestamp")
    if not is_fresh(message.timestamp, now):
        raise ForbiddenError("Identity chain expired (replay protection)")
    false = first_false_hop(body, chain, hops, fits)
    if false is not None:
        raise ForbiddenError(f"Invalid signature of '{_shown(false)}' in the identity chain")
    return None if chain[0] == sender else chain[0]


def _claims(message: TaskResult | WorkerEvent, sender: str) -> bool:
    """True when the message says that others had a part in it."""
    way = message.bubbling_chain if isinstance(message, WorkerEvent) else None
    return message.origin_worker_id not in (None, sender) or not {sender}.issuperset(way or ())


def _misshapen(
    message: TaskResult | WorkerEvent, chain: Sequence[str], hops: Sequence[str], sender: str
) -> str | None:
    """What is wrong with the chain by itself, or None."""
    if not 0 < len(chain) <= MAX_HOPS:
        return f"it has 1 to {MAX_HOPS} workers"
    if len(chain) != len(hops):
        return f"there are {len(hops)} signatures of {len(chain)} workers"
    if chain[0] != (message.origin_worker_id or sender):
        return f"it does not begin with the origin '{_shown(message.origin_worker_id or sender)}'"
    if chain[-1] != sender:
        return f"it does not end with the sender '{_shown(sender)}'"
    if len(set(chain)) != len(chain):
        return "a worker is there twice"
    way = message.bubbling_chain if isinstance(message, WorkerEvent) else None
    if way is not None and tuple(way) not in (tuple(chain[1:]), tuple(chain[1:-1])):
        return "the bubbling chain tells of another way"
    return None


def _shown(name: str) -> str:
    return name[:MAX_IDENTIFIER_LENGTH]
