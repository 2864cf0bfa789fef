"""Commands as bytes, and bytes as the scripts take them."""

import hiredis
from msgspec import Raw


def packed(*words: str | bytes | int) -> bytes:
    """The command, ready to be sent. Raises UnicodeEncodeError."""
    return bytes(hiredis.pack_command(words))  # type: ignore[arg-type]  # its stub says: a tuple of one


def opaque(data: bytes) -> Raw:
    """The bytes, unaltered, for a script: its decoder knows no binary data, but text of any bytes."""
    return Raw(b"\xdb" + len(data).to_bytes(4, "big") + data)
