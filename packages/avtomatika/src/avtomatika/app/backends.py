"""Which engines keep things: chosen by URLs, opened here and nowhere else."""

from pathlib import Path

import msgspec

from avtomatika.blobs.stored import FolderBlobs, StoredBlobs
from avtomatika.clock import SystemClock, SystemNames
from avtomatika.errors import ConfigError
from avtomatika.ports.blobs import Blobs
from avtomatika.ports.history import History
from avtomatika.ports.registry import Registry
from avtomatika.ports.store import Store
from avtomatika.records.sqlite import SqliteHistory
from avtomatika.services.supervisor import Supervisor
from avtomatika.settings import Settings
from avtomatika.settings.files import FileSettings
from avtomatika.settings.history import sqlite_path
from avtomatika.settings.storage import POSTGRES, REDIS, StorageSettings
from avtomatika.stores.memory import MemoryStore
from avtomatika.stores.registry import MemoryRegistry
from avtomatika.stores.sql.sqlite import SqliteStore
from rxon.storage import ObjectStorage
from rxon.storage import StorageSettings as S3Settings


class Backend(msgspec.Struct, frozen=True):
    """What keeps things for a node: jobs, and documents that may be lost."""

    store: Store
    registry: Registry


async def open_backend(
    settings: Settings, clock: SystemClock, names: SystemNames, supervisor: Supervisor
) -> Backend:
    """What `STORAGE_URL` names, ready. Raises ConfigError, StorageBroken, Unavailable."""
    wanted = settings.storage
    scheme, _, rest = wanted.url.partition("://")
    if scheme == "memory":
        return Backend(MemoryStore(now=clock.now, tokens=names.token), MemoryRegistry())
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        store = SqliteStore(Path(rest[1:]), now=clock.now, tokens=names.token, broken=supervisor.fail)
        clock.never_before(store.clock_floor)
        return Backend(store, MemoryRegistry())
    if scheme in POSTGRES:
        return await _open_postgres(wanted, clock, names)
    if scheme in REDIS:
        return await _open_redis(wanted, clock, names)
    known = "sqlite:///PATH, redis://…, postgresql://… or memory://"
    raise ConfigError(f"STORAGE_URL: there is no storage '{scheme}://'; use {known}.")


async def _open_postgres(wanted: StorageSettings, clock: SystemClock, names: SystemNames) -> Backend:
    try:
        from avtomatika.stores.postgres.opening import open_postgres
    except ImportError:
        raise ConfigError(
            "STORAGE_URL: PostgreSQL needs the package asyncpg: pip install 'avtomatika[postgres]'."
        ) from None
    return Backend(*await open_postgres(wanted.url, wanted.prefix, now=clock.now, tokens=names.token))


async def _open_redis(wanted: StorageSettings, clock: SystemClock, names: SystemNames) -> Backend:
    try:
        from avtomatika.stores.redis.opening import Place, open_redis
    except ImportError:
        raise ConfigError(
            "STORAGE_URL: Redis needs the package redis: pip install 'avtomatika[redis]'."
        ) from None
    place = Place(wanted.url, wanted.prefix, wanted.replicated, wanted.volatile)
    return Backend(*await open_redis(place, now=clock.now, tokens=names.token, sender=names.token()))


def open_history(uri: str) -> History:
    """The history outside that `HISTORY_DATABASE_URI` names. Raises ConfigError."""
    path = sqlite_path(uri)
    if path is not None:
        return SqliteHistory(path)
    try:
        from avtomatika.records.postgres import PostgresHistory
    except ImportError:
        raise ConfigError(
            "HISTORY_DATABASE_URI: PostgreSQL needs the package asyncpg: pip install 'avtomatika[postgres]'."
        ) from None
    return PostgresHistory(uri)


def open_blobs(wanted: FileSettings) -> Blobs:
    """Where files of jobs are: in an S3, beside the database, or in memory where jobs are."""
    if wanted.s3 is not None:
        s3 = S3Settings(
            endpoint=wanted.s3.endpoint,
            access_key=wanted.s3.access_key,
            secret_key=wanted.s3.secret_key,
            region=wanted.s3.region,
            bucket=wanted.bucket,
            concurrency=wanted.concurrency,
        )
        return StoredBlobs(wanted.bucket, lambda: ObjectStorage.s3(s3))
    if wanted.folder is not None:
        return FolderBlobs(wanted.bucket, wanted.folder)
    return StoredBlobs(wanted.bucket, ObjectStorage.memory)
