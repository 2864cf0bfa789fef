"""Where a webhook may go: the grammar of its URL, and the addresses that are out of bounds.

The tables are ours (IANA's registries of special purposes, and the metadata services of clouds), for what the
standard library calls private changes with its version. Nothing here looks a name up.
"""

import re
from collections.abc import Sequence
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, NamedTuple

from avtomatika.errors import InvalidInput
from avtomatika.ports.delivery import Reach

MAX_URL: Final = 2_048
FIELD: Final = "webhook_url"

Address = IPv4Address | IPv6Address

_URL: Final = re.compile(r"(?P<scheme>[^:/?#]*)://(?P<place>[^/?#]*)(?:[/?#].*)?")
_PLACE: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_BLANK_OR_CONTROL: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\]")


class Zone(Enum):
    """What kind of place an address is."""

    PUBLIC = "public"
    PRIVATE = "private"
    FORBIDDEN = "forbidden"


class Destination(NamedTuple):
    """What a URL leads to: a name in lower case, or an address."""

    host: str
    address: Address | None


class AddressRefused(OSError):
    """The address is out of bounds."""


def destination(url: str, reach: Reach) -> Destination:
    """Where the URL leads, which may be tried. Raises InvalidInput.

    Whatever two parsers could read differently is refused: user names, backslashes, blanks, numbers that a
    resolver would take for an address, names that are not in their ASCII form.
    """
    if len(url) > MAX_URL:
        raise _wrong(f"has more than {MAX_URL} characters")
    found = _URL.fullmatch(url)
    if found is None or _BLANK_OR_CONTROL.search(url):
        raise _wrong("is no absolute URL without blanks and backslashes")
    _check_scheme(found["scheme"].lower(), reach)
    if "@" in found["place"]:
        raise _wrong("must not hold a user name or a password")
    place = _PLACE.fullmatch(found["place"])
    if place is None:
        raise _wrong("needs a host name in its ASCII form, or an address")
    if place["port"] is not None and not 0 < int(place["port"]) <= 65_535:
        raise _wrong("names no port")
    return _host(place["host"].lower(), reach)


def check_address(address: Address, host: str, reach: Reach) -> None:
    """The address of *host* may be connected to. Raises AddressRefused."""
    kind = zone(address)
    allowed = (
        reach.private
        or host in reach.hosts
        or any(inner in network for inner in {address, embedded(address)} for network in reach.networks)
    )
    if kind is Zone.FORBIDDEN or (kind is Zone.PRIVATE and not allowed):
        raise AddressRefused(f"{host} has an address that is not public")


def zone(address: Address) -> Zone:
    """What kind of place the address is; one within another is judged by the inner one."""
    if address in _METADATA:
        return Zone.FORBIDDEN
    inner = embedded(address)
    if isinstance(inner, IPv4Address):
        return Zone.FORBIDDEN if inner in _METADATA else _look_up(inner, _V4, Zone.PUBLIC)
    return _look_up(inner, _V6, Zone.FORBIDDEN)


def embedded(address: Address) -> Address:
    """The IPv4 address that traffic for this IPv6 address ends at, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.sixtofour is not None:
        return address.sixtofour
    low = IPv4Address(int(address) & 0xFFFF_FFFF)
    if any(address in network for network in _CARRIERS):
        return low
    # ISATAP: the interface identifier says so. A public one is left to the rules of its prefix.
    if (int(address) >> 32) & 0xFCFF_FFFF == 0x5EFE and _look_up(low, _V4, Zone.PUBLIC) is not Zone.PUBLIC:
        return low
    return address


def _check_scheme(scheme: str, reach: Reach) -> None:
    if scheme != "https" and not (reach.http and scheme == "http"):
        raise _wrong("must begin with https:// or http://" if reach.http else "must begin with https://")


def _host(host: str, reach: Reach) -> Destination:
    address = _literal(host)
    if address is not None:
        try:
            check_address(address, host, reach)
        except AddressRefused:
            raise _wrong("leads to an address that is not public") from None
        return Destination(host, address)
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _wrong("needs a host name in its ASCII form, or an address")
    if _NUMBER.fullmatch(labels[-1]):
        raise _wrong("writes an address in a form that is not the usual one")
    local = len(labels) == 1 or labels[-1] == "localhost"
    if local and not reach.private and host not in reach.hosts:
        raise _wrong("needs the full name of a public host")
    return Destination(host, None)


def _literal(host: str) -> Address | None:
    if host.startswith("["):
        try:
            return IPv6Address(host[1:-1])
        except ValueError:
            raise _wrong("holds an address that is none") from None
    try:
        return ip_address(host)
    except ValueError:
        return None


def _look_up(
    address: Address, table: Sequence[tuple[IPv4Network | IPv6Network, Zone]], otherwise: Zone
) -> Zone:
    return next((kind for network, kind in table if address in network), otherwise)


def _wrong(what: str) -> InvalidInput:
    return InvalidInput(f"{FIELD} {what}.", field=FIELD)


_PRIVATE_V4: Final = "10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 172.16.0.0/12 192.168.0.0/16 198.18.0.0/15"
_FORBIDDEN_V4: Final = (
    "0.0.0.0/8 169.254.0.0/16 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 198.51.100.0/24 203.0.113.0/24 "
    "224.0.0.0/4 240.0.0.0/4"
)
_PRIVATE_V6: Final = "::1/128 fc00::/7 64:ff9b:1::/48"
_FORBIDDEN_V6: Final = "2001::/23 2001:db8::/32 3fff::/20"

_V4: Final = (
    *((IPv4Network(text), Zone.PRIVATE) for text in _PRIVATE_V4.split()),
    *((IPv4Network(text), Zone.FORBIDDEN) for text in _FORBIDDEN_V4.split()),
)
_V6: Final = (
    *((IPv6Network(text), Zone.PRIVATE) for text in _PRIVATE_V6.split()),
    *((IPv6Network(text), Zone.FORBIDDEN) for text in _FORBIDDEN_V6.split()),
    (IPv6Network("2000::/3"), Zone.PUBLIC),
)
# Mapped, translated (SIIT) and NAT64: the last 32 bits are where the traffic ends.
_CARRIERS: Final = tuple(map(IPv6Network, ("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")))
_METADATA: Final = frozenset(
    map(ip_address, ("100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"))
)
