"""Payload files that are kept outside of messages: their addresses, digests and descriptions."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final, NamedTuple

from rxon.errors import ProtocolError
from rxon.messages.capability import FileMetadata

__all__ = ["SCHEME", "SHA256", "Address", "digest_of", "mismatch", "parse_uri", "s3_config_hash"]

SCHEME: Final = "s3"
SHA256: Final = "sha256"
"""The member of ``FileMetadata.metadata`` that holds the digest of the content."""


class Address(NamedTuple):
    """A file in a bucket, or all files whose keys begin so when ``is_dir``."""

    bucket: str
    key: str
    is_dir: bool

    @property
    def uri(self) -> str:
        """The address as text; ``parse_uri`` reads it back."""
        slash = "/" if self.key or self.is_dir else ""
        return f"{SCHEME}://{self.bucket}{slash}{self.key}"


def parse_uri(uri: str, default_bucket: str | None = None, prefix: str = "") -> Address:
    """Where ``uri`` points: ``s3://bucket/key``, or else a key below ``prefix`` in the default bucket.

    It is a folder when it, or the key, ends with ``/``. Raises ProtocolError for another scheme, without a
    bucket, and for a key with a step ``.`` or ``..``: a key never leads out of where it is.
    """
    scheme, separator, rest = uri.partition("://")
    if separator:
        if scheme != SCHEME:
            raise ProtocolError(f"Only {SCHEME}:// addresses are known, not {scheme}://.")
        bucket, _, key = rest.partition("/")
        key = key.lstrip("/")
    else:
        bucket, key = default_bucket or "", prefix + uri.lstrip("/")
    if not bucket:
        raise ProtocolError(f"No bucket in '{uri}', and there is no default one.")
    if {".", ".."} & set(key.split("/")) or "\0" in key:
        raise ProtocolError(f"'{uri}' has a step that leads elsewhere.")
    return Address(bucket, key, uri.endswith("/") or key.endswith("/"))


def s3_config_hash(endpoint: str | None, access_key: str | None, bucket: str | None) -> str | None:
    """What worker and server compare to see that they use the same store; None when a part is missing."""
    if not (endpoint and access_key and bucket):
        return None
    return sha256(f"{endpoint}|{access_key}|{bucket}".encode()).hexdigest()[:16]


def digest_of(chunks: Iterable[bytes]) -> str:
    """SHA-256 of the content, in hexadecimal digits."""
    digest = sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def mismatch(said: FileMetadata, size: int, digest: str | None = None, etag: str | None = None) -> str | None:
    """How a file differs from its description, or None when it does not.

    Compared is what both sides know: the size unless it is 0, and ``digest`` and ``etag`` where given.
    """
    if said.size and said.size != size:
        return f"size is {size}, not {said.size}"
    expected = (said.metadata or {}).get(SHA256)
    if digest is not None and expected is not None and digest != expected:
        return f"{SHA256} is {digest}, not {expected}"
    if etag is not None and said.etag is not None and etag.strip('"') != said.etag.strip('"'):
        return f"etag is {etag}, not {said.etag}"
    return None
