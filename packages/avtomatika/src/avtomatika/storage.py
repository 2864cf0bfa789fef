"""The storages that a program can name when it builds an engine. Each stands for a `STORAGE_URL`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlencode

from avtomatika.errors import ConfigError

__all__ = ["MemoryStorage", "PostgresStorage", "RedisStorage", "SQLiteStorage", "StorageBackend"]


class StorageBackend(Protocol):
    """Where an engine keeps its jobs."""

    @property
    def url(self) -> str:
        """The `STORAGE_URL` of the storage."""
        ...


class MemoryStorage:
    """Everything in this process, gone when it ends: for tests and first steps."""

    url = "memory://"


class SQLiteStorage:
    """One file, durable. For one process at a time."""

    def __init__(self, path: str | Path) -> None:
        self.url = f"sqlite:///{path}"


class PostgresStorage:
    """A database in PostgreSQL, durable. For any number of processes. Needs `avtomatika[postgres]`."""

    def __init__(self, url: str) -> None:
        """*url* as PostgreSQL reads it: `postgresql://user:password@host/database?sslmode=verify-full`."""
        self.url = url


class RedisStorage:
    """A Redis or Valkey. For any number of processes. Needs `avtomatika[redis]`."""

    def __init__(self, redis: object, prefix: str | None = None) -> None:
        """*redis* is a URL as `STORAGE_URL` has it, or a client of the package `redis`, which is only read.

        All engines of one *prefix* share what they keep. Raises ConfigError for a client of another kind.
        """
        self.url = redis if isinstance(redis, str) else _url_of(redis)
        self.prefix = prefix

    def __repr__(self) -> str:
        return f"RedisStorage(prefix={self.prefix!r})"  # the URL may hold a password


def _url_of(client: object) -> str:
    """The URL of the server that the client talks to."""
    pool = getattr(client, "connection_pool", None)
    known: Mapping[str, object] = getattr(pool, "connection_kwargs", {})
    if "host" not in known:
        raise ConfigError("RedisStorage: this client does not say where its server is; give the URL instead.")
    tls = "SSL" in str(getattr(pool, "connection_class", ""))
    user, password = known.get("username") or "", known.get("password")
    access = "" if password is None else f"{quote(str(user), safe='')}:{quote(str(password), safe='')}@"
    given = {n: value for n, value in known.items() if n.startswith("ssl_") and isinstance(value, str | bool)}
    query = f"?{urlencode(given)}" if given else ""
    scheme = "rediss" if tls else "redis"
    return f"{scheme}://{access}{known['host']}:{known.get('port', 6379)}/{known.get('db', 0)}{query}"
