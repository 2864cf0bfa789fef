"""Where the primary is: at an address, where Sentinels say, or where a cluster has the slot of our keys."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, urlsplit

import msgspec
from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import RedisError, ResponseError

from avtomatika.errors import ConfigError
from avtomatika.stores.redis.reading import Reply, next_reply
from avtomatika.stores.redis.scripts import ALL

CONNECT_S: Final = 2.0
_SENTINEL_PORT: Final = 26_379
_PORT: Final = 6_379

Options = Mapping[str, Any]  # what a connection of redis-py is made with
Address = tuple[str, int]


class Primary(Protocol):
    """Finds the primary and connects to it, at every call anew."""

    @property
    def topology(self) -> str:
        """`one`, `sentinel` or `cluster`."""
        ...

    async def connect(self) -> AbstractConnection:
        """A connection to the primary. Raises RedisError or OSError."""
        ...


async def connect_with_scripts(primary: Primary) -> AbstractConnection:
    """A connection to the primary, which has the scripts now. Raises RedisError or OSError."""
    connection = await primary.connect()
    try:
        commands = [("SCRIPT", "LOAD", script.source) for script in ALL]
        await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        for _ in commands:
            await next_reply(connection)
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    return connection


def primary_of(url: str, prefix: str) -> Primary:
    """The primary that the URL names. Raises ConfigError without the URL, which may hold a password."""
    try:
        scheme, _, topology = urlsplit(url).scheme.partition("+")
        if topology == "sentinel":
            return _BySentinels(scheme, url)
        if topology == "cluster":
            return _InCluster(scheme, url, prefix)
        return _AtAddress(_options(url))
    except ValueError as error:
        raise ConfigError(f"STORAGE_URL: this is no address of a Redis: {error}") from None


def _options(url: str) -> dict[str, Any]:
    options: dict[str, Any] = dict(parse_url(url))
    ours = {
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),  # calls are repeated by the line, under their own names
        "socket_timeout": None,
        "socket_connect_timeout": CONNECT_S,
        "client_name": "avtomatika",
    }
    return {**options, **ours}


async def dial(options: Options) -> AbstractConnection:
    """A connection, signed in. Raises RedisError or OSError."""
    rest = dict(options)
    kind: type[AbstractConnection] = rest.pop("connection_class", Connection)
    connection = kind(**rest)
    try:
        await connection.connect()  # type: ignore[no-untyped-call]  # redis-py has no types for it
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    return connection


async def ask(connection: AbstractConnection, *command: str | bytes) -> Reply:
    """What the server answers to one command. Raises RedisError or OSError."""
    await connection.send_command(*command, check_health=False)
    return await next_reply(connection)


async def _dial_primary(options: Options) -> AbstractConnection:
    """A connection to a server that is a primary."""
    connection = await dial(options)
    try:
        await _refuse_replica(connection)
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    return connection


async def _refuse_replica(connection: AbstractConnection) -> None:
    try:
        role = (await ask(connection, "ROLE"))[0]
    except ResponseError:
        return  # we may not ask; a write would tell
    if role != b"master":
        raise RedisError("This server is no primary.")


class _AtAddress:
    topology = "one"

    def __init__(self, options: Options) -> None:
        self._options = options

    async def connect(self) -> AbstractConnection:
        return await _dial_primary(self._options)


class _Several(msgspec.Struct, frozen=True):
    """A URL with several addresses: what they have in common, and where they are."""

    options: dict[str, Any]
    addresses: list[Address]
    query: dict[str, list[str]]
    path: list[str]


def _several(scheme: str, url: str, port: int) -> _Several:
    parts = urlsplit(url)
    access, at, hosts = parts.netloc.rpartition("@")
    addresses: list[Address] = []
    for host in hosts.split(","):
        one = urlsplit(f"//{host}")
        if not one.hostname:
            raise ValueError("a host is missing")
        addresses.append((one.hostname, one.port or port))
    query = parse_qs(parts.query)
    kept = [pair for pair in parts.query.split("&") if pair and not pair.startswith("sentinel_")]
    options = _options(f"{scheme}://{access}{at}host/?{'&'.join(kept)}")
    return _Several(options, addresses, query, [part for part in parts.path.split("/") if part])


async def _first_answer(
    addresses: Sequence[Address], options: Options, *command: str
) -> tuple[Address, Reply]:
    """What the first server that answers says. Raises RedisError when none does."""
    why: Exception = RedisError("No server is known.")
    for host, port in addresses:
        try:
            connection = await dial({**options, "host": host, "port": port})
            try:
                reply = await ask(connection, *command)
            finally:
                await connection.disconnect(nowait=True)
        except (RedisError, OSError) as error:
            why = error
        else:
            if reply is not None:
                return (host, port), reply
    raise RedisError(f"None of {len(addresses)} servers knows the primary: {why}")


class _BySentinels:
    topology = "sentinel"

    def __init__(self, scheme: str, url: str) -> None:
        several = _several(scheme, url, _SENTINEL_PORT)
        if not 1 <= len(several.path) <= 2:
            raise ValueError("its path must be /SERVICE or /SERVICE/DATABASE")
        self._service = several.path[0]
        database = int(several.path[1]) if len(several.path) == 2 else 0
        self._options = {**several.options, "db": database}
        self._sentinels = several.addresses
        access = {name: several.query.get(f"sentinel_{name}", [None])[0] for name in ("username", "password")}
        self._asking = {**several.options, "db": 0, **access}

    async def connect(self) -> AbstractConnection:
        command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
        sentinel, (host, port) = await _first_answer(self._sentinels, self._asking, *command)
        self._sentinels.remove(sentinel)
        self._sentinels.insert(0, sentinel)
        return await _dial_primary({**self._options, "host": host.decode(), "port": int(port)})


class _InCluster:
    topology = "cluster"

    def __init__(self, scheme: str, url: str, prefix: str) -> None:
        several = _several(scheme, url, _PORT)
        self._options = {**several.options, "db": 0}
        self._seeds = several.addresses
        self._nodes: list[Address] = []
        self._slot: int = key_slot(f"{{{prefix}}}".encode())

    async def connect(self) -> AbstractConnection:
        nodes = [*self._nodes, *(seed for seed in self._seeds if seed not in self._nodes)]
        asked, ranges = await _first_answer(nodes, self._options, "CLUSTER", "SLOTS")
        found: Address | None = None
        known: list[Address] = []
        for first, last, *replicas in ranges:
            servers = [_address(server, asked[0]) for server in replicas]
            known += [server for server in servers if server not in known]
            if first <= self._slot <= last:
                found = servers[0]
        if len(known) > 1:  # whoever was asked comes last: the next time another one is
            known.sort(key=lambda server: server == asked)
        self._nodes = known
        if found is None:
            raise RedisError("No server of the cluster has the slot of the store.")
        return await _dial_primary({**self._options, "host": found[0], "port": found[1]})


def _address(server: Sequence[Any], asked: str) -> Address:
    host = (server[0] or b"").decode()
    return (asked if host in ("", "?") else host), int(server[1])
