"""The nodes of one store have the same secrets: a link that one of them signed, another has to know.

What is kept is a fingerprint, from which nobody learns the secret.
"""

import hmac
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Raw

from avtomatika.errors import ConfigError
from avtomatika.ports.shelf import Shelf

SHELF: Final = "avtomatika.siblings"
ABSENT: Final = ""

_CONSTANT: Final = b"avtomatika: the nodes of one store have the same secrets"


def fingerprint(name: str, secret: str) -> str:
    """What tells two secrets of a name apart, and nothing else of them."""
    if not secret:
        return ABSENT
    return hmac.new(secret.encode(), _CONSTANT + name.encode(), "sha256").hexdigest()


async def agree(shelf: Shelf, secrets: Mapping[str, str]) -> None:
    """The secrets, by the names of their settings, are those that the first node of the store chose.

    Raises ConfigError that names those which are not, and Unavailable.
    """
    different: list[str] = []
    for name, secret in secrets.items():
        own = fingerprint(name, secret)
        there = msgspec.json.decode(await shelf.put_new(SHELF, name, _raw(own)), type=str)
        if not hmac.compare_digest(own, there):
            different.append(name)
    if different:
        raise ConfigError(
            f"{', '.join(different)}: not what the other nodes of this store have. Set the same value in the "
            "environment of all of them; a secrets.toml of its own for each does not do. To replace one on "
            "purpose: avtomatika store rotate."
        )


async def chosen(shelf: Shelf) -> Sequence[str]:
    """The names of the secrets that nodes of this store have agreed on. Raises Unavailable."""
    return tuple(await shelf.items(SHELF))


async def forget(shelf: Shelf) -> None:
    """The next node to start chooses for all that start after it. Raises Unavailable."""
    for name in await chosen(shelf):
        await shelf.delete(SHELF, name)


def _raw(text: str) -> Raw:
    return Raw(msgspec.json.encode(text))


__all__ = ["SHELF", "agree", "chosen", "fingerprint", "forget"]
