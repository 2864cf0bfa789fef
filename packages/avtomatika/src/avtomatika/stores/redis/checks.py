"""What a server promises: one that may forget is refused when the store opens, unless that is allowed."""

import asyncio
from typing import Final

import msgspec
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AuthenticationError, AuthorizationError, RedisError, ResponseError

from avtomatika import observe
from avtomatika.errors import ConfigError, Unavailable
from avtomatika.ports.durability import Durability
from avtomatika.stores.redis.encoding import packed
from avtomatika.stores.redis.primary import Primary, ask
from avtomatika.stores.redis.reading import Reply
from avtomatika.stores.redis.wire import Barrier

PATIENCE_S: Final = 10.0
PAUSE_S: Final = 0.2
REPLICAS_MS: Final = (5, 20, 80, 2_000)
"""For so long, one after another, a commit waits for a replica, before it is tried again.

Whoever waits has the replicas asked what they have; one that was asked before its disk was done tells again
only a second later. So they are asked several times; once they have it the rest takes no time.
"""

LAG_IS_OLD_S: Final = 2.0
"""A primary counts how far replicas are behind in whole seconds, and looks once a second."""

OLDEST: Final = (6, 2)
HAS_WAITAOF: Final = (7, 2)
_LOSS: Final[dict[str, float | None]] = {"always": 0.0, "everysec": 2.0, "none": None, "unknown": None}
_ASKED: Final = (
    "appendonly",
    "appendfsync",
    "maxmemory-policy",
    "min-replicas-to-write",
    "min-replicas-max-lag",
)


class Promise(msgspec.Struct, frozen=True):
    """What the store may promise, and the command that it has to wait for to keep it."""

    durability: Durability
    barrier: Barrier | None


class Server(msgspec.Struct, frozen=True):
    """What a server says of itself; `config` is empty when it does not let us ask."""

    version: tuple[int, ...]
    replicas: int
    config: dict[str, str]

    @property
    def fsync(self) -> str:
        """When what it has accepted is on its disk."""
        if "appendonly" not in self.config:
            return "unknown"
        if self.config["appendonly"] != "yes":
            return "none"
        said = self.config.get("appendfsync", "unknown")
        return "none" if said == "no" else said


async def check(primary: Primary, *, replicated: bool, volatile: bool) -> Promise:
    """What the primary promises. Raises ConfigError when that is too little, Unavailable."""
    server = await _look(primary)
    if server.version < OLDEST:
        raise ConfigError(f"STORAGE_URL: Redis {_shown(server.version)} is too old: it must be 6.2 or later.")
    if not volatile:
        _refuse_volatile(server)
    if server.fsync == "unknown":
        observe.warning("redis.unchecked", reason="CONFIG GET is refused: what the server keeps is not known")
    if replicated:
        return Promise(_durability(server, 0.0, 1), _barrier(server))
    return Promise(_durability(server, _loss(server, primary.topology), 0), None)


async def _look(primary: Primary) -> Server:
    """The server, once it is there."""
    loop = asyncio.get_running_loop()
    patience = loop.time() + PATIENCE_S
    while True:
        try:
            async with asyncio.timeout_at(patience):
                connection = await primary.connect()
                try:
                    return await _server(connection)
                finally:
                    await connection.disconnect(nowait=True)
        except (AuthenticationError, AuthorizationError) as error:
            raise ConfigError(f"STORAGE_URL: Redis does not let us in: {error}") from None
        except (RedisError, OSError) as error:
            if loop.time() + PAUSE_S > patience:
                raise Unavailable(f"Redis is not there: {type(error).__name__}: {error}") from None
        await asyncio.sleep(PAUSE_S)  # noqa: TID251 - an adapter; no rule depends on it


async def _server(connection: AbstractConnection) -> Server:
    said = _lines(await ask(connection, "INFO", "server"))
    said |= _lines(await ask(connection, "INFO", "replication"))
    config: dict[str, str] = {}
    try:
        for name in _ASKED:
            flat: Reply = await ask(connection, "CONFIG", "GET", name)
            config |= {flat[n].decode(): flat[n + 1].decode() for n in range(0, len(flat), 2)}
    except ResponseError:
        config = {}
    version = said.get("valkey_version") or said.get("redis_version", "0")
    numbers = tuple(int(part) for part in version.split(".") if part.isdigit())
    return Server(numbers, int(said.get("connected_slaves", "0")), config)


def _lines(info: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in info.decode(errors="replace").splitlines())
    return {name: value for name, colon, value in pairs if colon}


def _refuse_volatile(server: Server) -> None:
    allow = "or set AVTOMATIKA_ALLOW_VOLATILE_REDIS=1 to lose jobs with it"
    if server.fsync == "none":
        raise ConfigError(
            "STORAGE_URL: this Redis forgets what it has accepted: set its `appendonly yes` and `appendfsync"
            f" always` (or `everysec`), {allow}."
        )
    policy = server.config.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        raise ConfigError(
            f"STORAGE_URL: this Redis throws keys away when it is full (`maxmemory-policy {policy}`):"
            f" set `maxmemory-policy noeviction`, {allow}."
        )


def _barrier(server: Server) -> Barrier:
    if server.replicas < 1:
        raise ConfigError("STORAGE_DURABILITY: REPLICATED needs a replica, and this Redis has none.")
    if server.version < HAS_WAITAOF:
        return Barrier([packed("WAIT", 1, wait) for wait in REPLICAS_MS], lambda reply: reply >= 1)
    if server.fsync == "none":
        raise ConfigError("STORAGE_DURABILITY: REPLICATED needs `appendonly yes`.")
    waits = [packed("WAITAOF", 1, 1, wait) for wait in REPLICAS_MS]
    return Barrier(waits, lambda reply: min(reply) >= 1)


def _loss(server: Server, topology: str) -> float | None:
    """How much a kill, a power cut or a failover may take back, in seconds."""
    loss = _LOSS.get(server.fsync)
    if topology == "one" or not server.replicas or loss is None:
        return loss
    if server.config.get("min-replicas-to-write", "0") == "0":
        return None  # a primary that is cut off accepts what its successor never hears of
    return max(loss, float(server.config.get("min-replicas-max-lag", "10")) + LAG_IS_OLD_S)


def _durability(server: Server, loss: float | None, replicated: int) -> Durability:
    return Durability(backend="redis", fsync=server.fsync, accepted_loss_window_s=loss, replicated=replicated)


def _shown(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
