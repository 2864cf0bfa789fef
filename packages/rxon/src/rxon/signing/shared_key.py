"""HMAC-SHA256 with a secret that both sides know, such as a token; in lowercase hexadecimal digits."""

import hmac
from collections.abc import Collection, Iterable
from hashlib import sha256

from rxon.canonical import Body, Form
from rxon.signing.content import TASK_IGNORES, signed_bytes

__all__ = ["mac", "same", "sign", "sign_task", "verify", "verify_task"]


def sign(body: Body, key: str, *, ignore: Collection[str] = (), form: Form = Form.R14) -> str:
    """The signature of the message in ``body``.

    Raises ValueError for an empty key, and ProtocolError as ``signed_bytes`` does.
    """
    return mac(signed_bytes(body, ignore, form), key)


def verify(
    body: Body,
    signature: str | None,
    key: str,
    *,
    ignore: Collection[str] = (),
    forms: Iterable[Form] = (Form.R14,),
) -> bool:
    """True when ``signature`` is that of the message in ``body``, in one of ``forms``.

    Takes the same time wherever two signatures differ. Raises ProtocolError as ``signed_bytes`` does.
    """
    if not signature or not key:
        return False
    return any(same(mac(signed_bytes(body, ignore, form), key), signature) for form in forms)


def sign_task(body: Body, key: str) -> str:
    """The ``sig`` of a task as the orchestrator sends it."""
    return sign(body, key, ignore=TASK_IGNORES)


def verify_task(body: Body, sig: str | None, key: str) -> bool:
    """True when ``sig`` is the signature of the task in ``body``, as it was received."""
    return verify(body, sig, key, ignore=TASK_IGNORES)


def mac(message: bytes, key: str) -> str:
    """The code of ``message``. Raises ValueError for an empty key."""
    if not key:
        raise ValueError("A key is not empty.")
    return hmac.digest(_bytes(key), message, sha256).hex()


def same(one: str, other: str) -> bool:
    """Whether two texts are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(_bytes(one), _bytes(other))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # whatever arrives in a header has bytes
