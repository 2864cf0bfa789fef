"""Messages with their signature in ``security``, put there and judged.

What a message was refused for is told in the words that published workers may look for.
"""

from collections.abc import Collection, Iterable
from typing import Final, TypeVar

import msgspec

from rxon.canonical import Body, Form
from rxon.codec import decode, encode
from rxon.errors import ForbiddenError
from rxon.identifiers import MAX_IDENTIFIER_LENGTH
from rxon.messages.capability import SecurityContext
from rxon.messages.event import WorkerEvent
from rxon.messages.presence import Heartbeat, Registration
from rxon.messages.task import TaskResult
from rxon.messages.wire import OptionalSeconds, settle
from rxon.signing.content import EVENT_IGNORES
from rxon.signing.freshness import is_fresh
from rxon.signing.shared_key import sign, verify

__all__ = ["EVERY_FORM", "Envelope", "Signable", "admit", "open_envelope", "signed"]

Signable = TypeVar("Signable", bound=Registration | Heartbeat | TaskResult | WorkerEvent)

EVERY_FORM: Final = (Form.R14, Form.R11, Form.R7, Form.O21)
"""For a server of workers of all generations that sign."""


class Envelope(msgspec.Struct, frozen=True):
    """What a signed message says of itself, whatever else is in it. ``timestamp`` is in Unix seconds."""

    security: SecurityContext | None = None
    timestamp: OptionalSeconds = None

    def __post_init__(self) -> None:
        settle(self, "timestamp")


def signed(message: Signable, key: str, signer_id: str) -> Signable:
    """The message with its signature by ``signer_id``; the rest of its ``security`` stays.

    It needs a ``timestamp`` to be admitted. Raises ValueError for an empty key.
    """
    ignore = EVENT_IGNORES if isinstance(message, WorkerEvent) else ()
    signature = sign(encode(message), key, ignore=ignore)
    security = message.security or SecurityContext()
    security = msgspec.structs.replace(security, signature=signature, signer_id=signer_id)
    return msgspec.structs.replace(message, security=security)


def open_envelope(body: Body, worker_id: str, now: float) -> Envelope:
    """What the message in ``body`` says of itself, once all is checked that needs no key.

    Raises ForbiddenError when it is unsigned, signed by another one than ``worker_id``, or not of today;
    ProtocolError when it is not a message at all.
    """
    envelope = decode(Envelope, body)
    if envelope.security is None:
        raise ForbiddenError("Missing required security context")
    if not envelope.security.signature:
        raise ForbiddenError("Missing required cryptographic signature")
    signer = envelope.security.signer_id
    if signer != worker_id:
        said = str(signer)[:MAX_IDENTIFIER_LENGTH]
        raise ForbiddenError(f"Message signer ID '{said}' does not match worker ID '{worker_id}'")
    if envelope.timestamp is None:
        raise ForbiddenError("Missing required timestamp for replay protection")
    if not is_fresh(envelope.timestamp, now):
        raise ForbiddenError("Message timestamp expired (replay protection)")
    return envelope


def admit(
    body: Body,
    envelope: Envelope,
    keys: Iterable[str],
    *,
    ignore: Collection[str] = (),
    forms: Collection[Form] = EVERY_FORM,
) -> str:
    """The signature of the message in ``body``, which one of ``keys`` has made.

    An honest retry repeats the signature, and no other message has it: remember what became of it for
    twice the window, and answer a repetition the same. Events need EVENT_IGNORES. Raises ForbiddenError
    when no key fits.
    """
    signature = envelope.security.signature if envelope.security else None
    if signature and any(verify(body, signature, key, ignore=ignore, forms=forms) for key in keys):
        return signature
    raise ForbiddenError("Invalid cryptographic signature")
