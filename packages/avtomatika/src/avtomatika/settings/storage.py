"""Which engine keeps jobs: `STORAGE_URL`, or the `REDIS_…` variables of earlier installations."""

import os
import socket
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from avtomatika.settings.reader import Reader

REDIS: Final = frozenset(
    {"redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"}
)
POSTGRES: Final = frozenset({"postgresql", "postgres"})


class StorageSettings(msgspec.Struct, frozen=True):
    """What `url` does not say. With `replicated` nothing is accepted that is on one machine only.

    All nodes of one `prefix` share what they keep. Who allows what is `volatile` has a store that may forget.
    """

    url: str
    prefix: str = "avtomatika"
    replicated: bool = False
    volatile: bool = False

    @property
    def scheme(self) -> str:
        """Which engine the URL names."""
        return self.url.partition("://")[0]

    @property
    def shared(self) -> bool:
        """True when other nodes may use the store at the same time."""
        return self.scheme in REDIS or self.scheme in POSTGRES

    def __repr__(self) -> str:
        return f"StorageSettings(scheme={self.scheme!r}, prefix={self.prefix!r})"


def read_storage(reader: Reader, data_dir: Path) -> StorageSettings:
    """The `STORAGE_…` and `REDIS_…` variables; without any a file in the data folder."""
    url = reader.optional("STORAGE_URL") or _redis(reader) or f"sqlite:///{data_dir / 'avtomatika.db'}"
    prefix = reader.text("STORAGE_PREFIX", "avtomatika")
    if not prefix.isascii() or not prefix.replace("_", "").replace("-", "").isalnum():
        reader.problem("STORAGE_PREFIX", "must be letters, digits, hyphens and underscores")
    durability = reader.choice("STORAGE_DURABILITY", "LOCAL", ("LOCAL", "REPLICATED"))
    storage = StorageSettings(
        url, prefix, durability == "REPLICATED", reader.flag("AVTOMATIKA_ALLOW_VOLATILE_REDIS", False)
    )
    if storage.replicated and storage.scheme not in REDIS:
        reader.problem(
            "STORAGE_DURABILITY", "REPLICATED is for Redis; other engines have settings of their own"
        )
    return storage


def instance_of(reader: Reader, storage: StorageSettings) -> str:
    """The name of the node: where others may be beside it, one that no other has by default."""
    default = f"{socket.gethostname()}-{os.getpid()}" if storage.shared else "local"
    return reader.optional("INSTANCE_ID") or default


def _redis(reader: Reader) -> str | None:
    host = reader.optional("REDIS_HOST")
    if host is None:
        return None
    port, database = reader.whole("REDIS_PORT", 6379), reader.whole("REDIS_DB", 0)
    password = reader.optional("REDIS_PASSWORD")
    access = "" if password is None else f":{quote(password, safe='')}@"
    return f"redis://{access}{host}:{port}/{database}"
