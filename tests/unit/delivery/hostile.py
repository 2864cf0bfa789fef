"""Hundreds of ways to lead a webhook astray: each is a URL, and what its name resolves to if it has one."""

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import NamedTuple

PORT = "{port}"
"""Stands for the port that the traps listen on."""

SECRETS = "/latest/meta-data/"


class Case(NamedTuple):
    """A URL that must lead nowhere; for a name, the addresses that its look-up gives."""

    kind: str
    url: str
    resolves: tuple[str, ...] = ()


SCHEMES = (
    "http file ftp ftps gopher dict ldap ldaps tftp ws wss data javascript jar netdoc php ssh unix mailto "
    "http+unix httpss h2c tcp"
)

NO_URLS = (
    "",
    "127.0.0.1",
    "//127.0.0.1:{port}/",
    "/127.0.0.1:{port}/",
    "https:127.0.0.1:{port}/",
    "https:/127.0.0.1:{port}/",
    "https:///127.0.0.1:{port}/",
    "https://",
    "https://:{port}/",
    "https://?127.0.0.1:{port}",
    "https:\\\\127.0.0.1:{port}\\",
    "https://127.0.0.1:{port}" + "/a" * 1_024,
)

AUTHORITIES = (
    "public.example@127.0.0.1:{port}",
    "user:password@127.0.0.1:{port}",
    "user:password@public.example",
    "127.0.0.1:{port}@public.example",
    "public.example:443@127.0.0.1:{port}",
    "@127.0.0.1:{port}",
    "public.example%40127.0.0.1:{port}",
    "public.example\\@127.0.0.1:{port}",
    "127.0.0.1:{port}\\@public.example",
    "public.example#@127.0.0.1:{port}",
    "127.0.0.1:{port}#@public.example",
    "127.0.0.1:{port}?@public.example",
    "127.0.0.1%2f:{port}",
    "127.0.0.1%00.public.example:{port}",
    "127.0.0.1%0d%0aHost:%20public.example:{port}",
    "public.example\r\nX-Evil: 1",
    "127.0.0.1\t:{port}",
    "127.0.0.1\n:{port}",
    " 127.0.0.1:{port}",
    "127.0.0.1 :{port}",
    "127.0.0.1\x00.public.example:{port}",
    "127.0.0.1:0",
    "127.0.0.1:65536",
    "127.0.0.1:-1",
    "127.0.0.1:{port}:443",
    "public.example:port",
    "public.example,127.0.0.1:{port}",
    "[127.0.0.1]:{port}",
    "[::1",
    "::1]:{port}",
    "::1:{port}",
    "[::1]x:{port}",
    "[::1%lo]:{port}",
    "[::1%25lo]:{port}",
    "[fe80::1%25lo]:{port}",
    "[v1.127.0.0.1]:{port}",
    "[]:{port}",
)

NAMES = (
    "localhost",
    "LOCALHOST",
    "localhost.",
    "LocalHost.localhost",
    "anything.localhost",
    "metadata",
    "db",
    "public..example",
    ".public.example",
    "public.example.",
    "-public.example",
    "public-.example",
    "a" * 64 + ".example",
    ".".join(["a" * 50] * 6),
    "\uff4c\uff4fcalhost",
    "ⓛocalhost",
    "\uff11\uff12\uff17.\uff10.\uff10.\uff11",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "127.0.0.1。",
    "public。example",
    "münchen.example",
    "xn--",
    "$(hostname)",
    "*.example",
)

# Numbers that some program takes for 127.0.0.1, 169.254.169.254 or another private address.
NUMBERS = (
    "2130706433",
    "0x7f000001",
    "0X7F000001",
    "017700000001",
    "0b1111111000000000000000000000001",
    "127.1",
    "127.0.1",
    "127.0x0.1",
    "0x7f.1",
    "0x7f.0.0.1",
    "0x7f.0x0.0x0.0x1",
    "0177.1",
    "0177.0.0.1",
    "0177.0000.0000.0001",
    "00000177.0.0.1",
    "127.0.0.01",
    "127.000.000.001",
    "127.0.0.0x1",
    "127.65535.0",
    "127.16777215",
    "127.0.0.1.",
    "127.0.0.1.0",
    "127.0.0.256",
    "127.0.0",
    "0",
    "0x0",
    "00",
    "1.0x",
    "0.0",
    "4294967295",
    "4294967296",
    "2852039166",
    "0xa9fea9fe",
    "025177524776",
    "169.16689662",
    "169.254.43518",
    "0251.0376.0251.0376",
    "0xa9.0xfe.0xa9.0xfe",
    "3232235521",
    "10.1",
)

V4 = (
    "0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.0.0.53 "
    "127.255.255.254 168.63.129.16 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 "
    "192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 "
    "198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255"
)

V6 = (
    ":: ::1 0:0:0:0:0:0:0:1 0000:0000:0000:0000:0000:0000:0000:0001 ::127.0.0.1 ::7f00:1 100::1 2001::1 "
    "2001:2::1 2001:10::1 2001:20::1 2001:db8::1 3fff::1 5f00::1 4000::1 fc00::1 fd00::1 fd00:ec2::254 "
    "fd20:ce::254 fdff:ffff::1 fe80::1 fe80::a9fe:a9fe febf::1 fec0::1 ff01::1 ff02::1 ff0e::1 64:ff9b:1::1 "
    "64:ff9b:1:fffe::127.0.0.1 ::ffff:0:7f00:1 2001:0:4136:e378:8000:63bf:80ff:fffe"
)

INNER = (
    "127.0.0.1",
    "10.0.0.1",
    "169.254.169.254",
    "192.168.1.1",
    "100.64.0.1",
    "100.100.100.200",
    "0.0.0.0",
)

MIXED = (
    ("93.184.215.14", "127.0.0.1"),
    ("127.0.0.1", "93.184.215.14"),
    ("93.184.215.14", "10.0.0.1"),
    ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::1"),
    ("93.184.215.14", "::ffff:127.0.0.1"),
    ("93.184.215.14", "93.184.215.15", "169.254.169.254"),
    ("fe80::1%1", "93.184.215.14"),
)


def carried(inner: str) -> Iterator[str]:
    """The IPv6 addresses that lead to an IPv4 address."""
    high, low = divmod(int(IPv4Address(inner)), 1 << 16)
    yield f"::ffff:{inner}"
    yield f"0:0:0:0:0:ffff:{high:x}:{low:x}"
    yield f"64:ff9b::{inner}"
    yield f"2002:{high:x}:{low:x}::1"
    yield f"2600:1::5efe:{inner}"
    yield f"2600:1::200:5efe:{inner}"


def cases() -> Iterator[Case]:
    """All of them."""
    for scheme in SCHEMES.split():
        yield Case("scheme", f"{scheme}://127.0.0.1:{PORT}/")
    for url in NO_URLS:
        yield Case("no URL", url)
    for place in AUTHORITIES:
        yield Case("authority", f"https://{place}/", ("127.0.0.1",))
    for name in NAMES:
        yield Case("name", f"https://{name}:{PORT}/", ("127.0.0.1",))
    for number in NUMBERS:
        yield Case("number", f"https://{number}:{PORT}{SECRETS}", ("127.0.0.1",))
    v6 = [*V6.split(), *(address for inner in INNER for address in carried(inner))]
    for address in V4.split():
        yield Case("address", f"https://{address}:{PORT}{SECRETS}")
        yield Case("resolved", f"https://public.example:{PORT}/", (address,))
    for address in v6:
        yield Case("address", f"https://[{address}]:{PORT}{SECRETS}")
        yield Case("resolved", f"https://public.example:{PORT}/", (address,))
    for addresses in MIXED:
        yield Case("mixed", f"https://public.example:{PORT}/", addresses)
