"""Ed25519 in plain integers, after the text of RFC 8032, section 5.1; slow, and for tests only."""

from base64 import b64encode
from hashlib import sha512

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)

Point = tuple[int, int, int, int]  # X, Y, Z, T of extended homogeneous coordinates


def public_key(seed: bytes) -> bytes:
    """The 32 bytes of the public key."""
    return _compress(_times(_secret(seed)[0], BASE))


def signature(seed: bytes, message: bytes) -> bytes:
    """The 64 bytes of the signature."""
    scalar, prefix = _secret(seed)
    public = _compress(_times(scalar, BASE))
    r = _hash(prefix + message)
    point = _compress(_times(r, BASE))
    s = (r + _hash(point + public + message) * scalar) % L
    return point + s.to_bytes(32, "little")


def private_pem(seed: bytes) -> str:
    """The private key in PKCS 8."""
    return _pem("PRIVATE KEY", bytes.fromhex("302e020100300506032b657004220420") + seed)


def public_pem(seed: bytes) -> str:
    """The public key as SubjectPublicKeyInfo."""
    return _pem("PUBLIC KEY", bytes.fromhex("302a300506032b6570032100") + public_key(seed))


def _pem(label: str, der: bytes) -> str:
    return f"-----BEGIN {label}-----\n{b64encode(der).decode()}\n-----END {label}-----\n"


def _hash(data: bytes) -> int:
    return int.from_bytes(sha512(data).digest(), "little") % L


def _secret(seed: bytes) -> tuple[int, bytes]:
    digest = sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little")
    return scalar & ((1 << 254) - 8) | (1 << 254), digest[32:]


def _add(p: Point, q: Point) -> Point:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f, g * h, f * g, e * h)


def _times(s: int, p: Point) -> Point:
    q = (0, 1, 1, 0)
    while s > 0:
        if s & 1:
            q = _add(q, p)
        p = _add(p, p)
        s >>= 1
    return q


def _compress(p: Point) -> bytes:
    inverse = pow(p[2], -1, P)
    x, y = p[0] * inverse % P, p[1] * inverse % P
    return (y | ((x & 1) << 255)).to_bytes(32, "little")


def _recover_x(y: int, sign: int) -> int:
    square = (y * y - 1) * pow(D * y * y + 1, -1, P)
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P != 0:
        x = x * ROOT % P
    return P - x if (x & 1) != sign else x


_Y = 4 * pow(5, -1, P) % P
_X = _recover_x(_Y, 0)
BASE: Point = (_X, _Y, 1, _X * _Y % P)
