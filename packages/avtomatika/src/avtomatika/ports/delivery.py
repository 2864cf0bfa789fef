"""How news reaches servers of clients."""

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

import msgspec

from avtomatika.kernel.time import Span


class Reach(msgspec.Struct, frozen=True):
    """What may be reached besides public addresses over https.

    `http`: unencrypted too. `private`: addresses of this host and its networks too. `hosts` and `networks`
    name those whose addresses may be private.
    """

    http: bool = False
    private: bool = False
    hosts: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()


class Delivered(msgspec.Struct, frozen=True):
    """The server took it."""


class Refused(msgspec.Struct, frozen=True):
    """It will never be taken. The reason holds no part of the URL but its host."""

    reason: str


class TryAgain(msgspec.Struct, frozen=True):
    """It was not taken this time, for all that is known. The server may ask for patience."""

    reason: str
    retry_after: Span | None = None


Outcome = Delivered | Refused | TryAgain


class Delivery(Protocol):
    """One attempt to deliver. Whether and when there is another is for the caller to decide."""

    def check(self, url: str) -> None:
        """Nothing is wrong with the URL as far as it alone can tell. Raises InvalidInput."""
        ...

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """What came of posting *body* to the URL. Raises nothing for anything that a server does."""
        ...
