"""Ed25519 signatures over the same bytes as with a shared key; in lowercase hexadecimal digits.

Keys are PEM: PKCS 8 without a password for private ones, SubjectPublicKeyInfo for public ones. Importing
this module needs the extra ``crypto``; nothing else of the package imports it.
"""

from collections.abc import Collection, Iterable, Sequence

try:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
except ImportError as error:
    raise ImportError('Signing with key pairs needs cryptography: pip install "rxon[crypto]"') from error

from rxon.canonical import Body, Form
from rxon.signing.chain import chain_bytes, hop_bytes
from rxon.signing.content import signed_bytes

__all__ = ["check_public", "sign", "sign_chain", "sign_hop", "verify", "verify_bytes", "verify_chain"]


def sign(body: Body, private_pem: str, *, ignore: Collection[str] = (), form: Form = Form.R14) -> str:
    """The signature of the message in ``body``.

    Raises ValueError when the key is none of Ed25519, and ProtocolError as ``signed_bytes`` does.
    """
    return _sign(signed_bytes(body, ignore, form), private_pem)


def verify(
    body: Body,
    signature: str | None,
    public_pem: str,
    *,
    ignore: Collection[str] = (),
    forms: Iterable[Form] = (Form.R14,),
) -> bool:
    """True when ``signature`` is that of the message in ``body``, in one of ``forms``.

    Raises ValueError when the key is none of Ed25519, and ProtocolError as ``signed_bytes`` does.
    """
    return any(_verify(signed_bytes(body, ignore, form), signature, public_pem) for form in forms)


def sign_chain(chain: Sequence[str], private_pem: str) -> str:
    """The signature of the whole chain. Raises ValueError when the key is none of Ed25519."""
    return _sign(chain_bytes(chain), private_pem)


def verify_chain(chain: Sequence[str], signature: str | None, public_pem: str) -> bool:
    """True when ``signature`` is that of the chain. Raises ValueError when the key is none of Ed25519."""
    return _verify(chain_bytes(chain), signature, public_pem)


def sign_hop(event: Body, chain: Sequence[str], private_pem: str) -> str:
    """What the last hop of ``chain`` says: it had this event, after the hops before it.

    Raises ValueError when the key is none of Ed25519, and ProtocolError when ``event`` is no object of JSON.
    """
    return _sign(hop_bytes(event, chain), private_pem)


def verify_bytes(message: bytes, signature: str | None, public_pem: str) -> bool:
    """True when ``signature`` is that of ``message``. Raises ValueError when the key is none of Ed25519."""
    return _verify(message, signature, public_pem)


def check_public(public_pem: str) -> None:
    """The key is one of Ed25519. Raises ValueError."""
    _public(public_pem)


def _sign(message: bytes, private_pem: str) -> str:
    try:
        key = load_pem_private_key(private_pem.encode(), password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("This is no private key in PEM without a password.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("The private key is none of Ed25519.")
    return key.sign(message).hex()


def _verify(message: bytes, signature: str | None, public_pem: str) -> bool:
    key = _public(public_pem)
    try:
        key.verify(bytes.fromhex(signature or ""), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _public(pem: str) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem.encode())
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("This is no public key in PEM.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("The public key is none of Ed25519.")
    return key
