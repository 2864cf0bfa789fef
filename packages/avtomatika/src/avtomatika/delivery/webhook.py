"""Deliveries over HTTP to servers that nobody trusts.

A name is looked up once for a connection, all its addresses are judged, and the connection goes to one of
those: an answer that changes between the two does not count. The socket is judged once more when it is made.
No redirect is followed, no proxy of the environment used, no cookie kept, and no connection used twice.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_address
from typing import Final

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult

from avtomatika.delivery.address import AddressRefused, check_address, destination
from avtomatika.errors import InvalidInput
from avtomatika.kernel.time import SECOND, Instant, Span, seconds
from avtomatika.ports.delivery import Delivered, Outcome, Reach, Refused, TryAgain
from rxon.http.retry_after import seconds_to_wait

MAX_ANSWER: Final = 65_536
LONGEST_PATIENCE: Final = 86_400.0
LOOKUPS: Final = 32

AddrInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]
Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses that a name has now, as text. Raises OSError."""


class WebhookDelivery:
    """Posts to where *reach* allows, each attempt within *timeout*, its look-up included."""

    def __init__(
        self,
        reach: Reach,
        *,
        timeout: Span,
        now: Callable[[], Instant],
        lookup: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._reach, self._timeout, self._now = reach, timeout, now
        # Of a socket only the address is known: hosts that may have private ones were judged by name before.
        self._gate = msgspec.structs.replace(reach, private=reach.private or bool(reach.hosts))
        # Threads of our own: names whose servers do not answer must not hold up those of anybody else.
        self._threads = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="webhook-lookup")
        self._lookup = lookup or partial(_system_lookup, self._threads)
        self._tls = tls or ssl.create_default_context()
        self._client: aiohttp.ClientSession | None = None

    def check(self, url: str) -> None:
        """Nothing is wrong with the URL as far as it alone can tell. Raises InvalidInput."""
        destination(url, self._reach)

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """What came of posting *body* to the URL."""
        try:
            self.check(url)
            async with asyncio.timeout(self._timeout / SECOND):
                return await self._post(url, headers, body)
        except InvalidInput as error:
            return Refused(error.message)
        except aiohttp.InvalidURL:
            return Refused("the URL is none")
        except TimeoutError:
            return TryAgain("no answer in time")
        except (aiohttp.ClientError, OSError) as error:
            cause = getattr(error, "os_error", None)
            if isinstance(cause, AddressRefused):
                return Refused(str(cause))
            return TryAgain(f"no connection or no proper answer ({type(error).__name__})")

    async def close(self) -> None:
        """No connection is open any more."""
        if self._client is not None:
            await self._client.close()
            self._client = None
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        if self._client is None:
            self._client = self._new_client()
        request = self._client.post(url, data=body, headers=headers, allow_redirects=False)
        async with request as answer:
            left = MAX_ANSWER
            while left > 0 and (part := await answer.content.read(left)):
                left -= len(part)
            answer.close()
        if 200 <= answer.status < 300:
            return Delivered()
        if answer.status == 410:
            return Refused("the server answered 410: it wants no more")
        patience = self._patience(answer.headers.get("Retry-After"))
        return TryAgain(f"the server answered {answer.status}", patience)

    def _new_client(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=_CheckedResolver(self._lookup, self._reach),
            socket_factory=self._socket,
            use_dns_cache=False,
            force_close=True,
            limit=0,
            ssl=self._tls,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            trust_env=False,
            auto_decompress=False,
        )

    def _socket(self, info: AddrInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        host = str(address[0])
        check_address(ip_address(host), host, self._gate)
        return socket.socket(family, kind, protocol)

    def _patience(self, text: str | None) -> Span | None:
        if text is None:
            return None
        now = datetime.fromtimestamp(self._now() / SECOND, UTC)
        return seconds(min(seconds_to_wait(text, now, 0.0), LONGEST_PATIENCE))


class _CheckedResolver(AbstractResolver):
    """Looks a name up and gives its addresses only when all of them may be connected to."""

    def __init__(self, lookup: Lookup, reach: Reach) -> None:
        self._lookup, self._reach = lookup, reach

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._lookup(host, port)
        addresses = [ip_address(text.partition("%")[0]) for text in found]
        if not addresses:
            raise OSError(f"{host} has no address")
        for address in addresses:
            check_address(address, host, self._reach)
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        return None


async def _system_lookup(threads: ThreadPoolExecutor, host: str, port: int) -> Sequence[str]:
    ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(threads, ask)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))
