"""Buckets of S3, of folders and of memory. The only module that knows obstore."""

from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, cast

import obstore
from obstore import exceptions
from obstore.store import LocalStore, MemoryStore, S3Store

from rxon.storage.bucket import Entry, OpenBucket, Reading
from rxon.storage.errors import NotThere, StorageRefused, StorageUnavailable, UnsafeKey
from rxon.storage.settings import StorageSettings

if TYPE_CHECKING:  # obstore has the shapes of its dictionaries for type checkers only
    from obstore import BytesStream, GetOptions, ObjectMeta
    from obstore.store import ClientConfig, RetryConfig, S3Config

__all__ = ["local_buckets", "memory_buckets", "s3_buckets"]

Store = S3Store | LocalStore | MemoryStore

_CHUNK: Final = 1 << 18
_PARTS_AT_ONCE: Final = 2
# A store that is dead or hangs is given up within 10 seconds, however it is dead: that is for first contacts.
# A transfer that has begun is worth more: it outlives a restart of the store. What sends content hears its
# answer only after the content is through.
_HASTE: Final = (timedelta(seconds=5), timedelta(seconds=4))
_PATIENCE: Final = (timedelta(seconds=120), timedelta(seconds=60))
_NO_LIMIT: Final = timedelta(days=7)  # for a whole transfer: it may be long as long as something moves
_NO_BUCKET: Final = "NoSuchBucket"
_Method = Literal["GET", "PUT", "HEAD", "DELETE", "POST"]


def s3_buckets(settings: StorageSettings) -> OpenBucket:
    """The buckets of an S3."""

    config: S3Config = {
        "region": settings.region,
        "virtual_hosted_style_request": settings.endpoint is None,
    }
    if settings.endpoint is not None:
        config["endpoint"] = settings.endpoint
    if settings.access_key is not None and settings.secret_key is not None:
        config["access_key_id"] = settings.access_key
        config["secret_access_key"] = settings.secret_key

    def store(bucket: str, answer: timedelta, retries: timedelta) -> S3Store:
        return S3Store(bucket, config=config, client_options=_client(answer), retry_config=_retry(retries))

    return lambda bucket: ObstoreBucket(store(bucket, *_HASTE), store(bucket, *_PATIENCE))


def local_buckets(folder: Path) -> OpenBucket:
    """The subfolders of ``folder``, made when they are first asked for."""

    def open_bucket(bucket: str) -> ObstoreBucket:
        with _translated(bucket):
            return ObstoreBucket(LocalStore(folder / bucket, mkdir=True, automatic_cleanup=True))

    return open_bucket


def memory_buckets() -> OpenBucket:
    """Buckets that live as long as they are referred to."""
    return lambda bucket: ObstoreBucket(MemoryStore())


class ObstoreBucket:
    """A bucket in ``store``; what has begun goes on through ``patient``, which is the same store."""

    def __init__(self, store: Store, patient: Store | None = None) -> None:
        self._store = store
        self._patient = store if patient is None else patient

    async def head(self, key: str) -> Entry | None:
        """See Bucket."""
        try:
            with _translated(key):
                return _entry(await obstore.head_async(self._store, key))
        except NotThere:
            return None

    async def get(self, key: str, offset: int = 0, etag: str | None = None) -> Reading:
        """See Bucket."""
        options: GetOptions = {}
        if offset:
            options = {"range": {"offset": offset}, "if_match": None if etag is None else f'"{etag}"'}
        with _translated(key):
            store = self._patient if offset else self._store
            found = await obstore.get_async(store, key, options=options)
            return Reading(_entry(found.meta), _chunks(key, found.stream(_CHUNK)))

    async def put(self, key: str, content: bytes) -> str | None:
        """See Bucket."""
        with _translated(key):
            stored = await obstore.put_async(self._patient, key, content, use_multipart=False)
            return _bare(stored["e_tag"])

    async def put_parts(self, key: str, content: AsyncIterator[bytes], part: int) -> str | None:
        """See Bucket."""
        with _translated(key):
            stored = await obstore.put_async(
                self._patient, key, content, chunk_size=part, max_concurrency=_PARTS_AT_ONCE
            )
            return _bare(stored["e_tag"])

    async def entries(self, prefix: str) -> AsyncIterator[Entry]:
        """See Bucket."""
        with _translated(prefix):
            pages = obstore.list(self._store, prefix or None, chunk_size=500)  # pyright: ignore[reportUnknownMemberType] - of arrow, unused
            async for found in pages:
                for meta in found:
                    entry = _entry(meta)
                    if entry.key.startswith(prefix):
                        yield entry

    async def delete(self, keys: Sequence[str]) -> None:
        """See Bucket."""
        for key in [list(keys)] if isinstance(self._store, S3Store) else keys:
            try:
                with _translated(str(key)):
                    await obstore.delete_async(self._store, key)
            except NotThere:
                continue

    async def sign(self, method: str, key: str, seconds: int) -> str | None:
        """See Bucket."""
        if not isinstance(self._store, S3Store):
            return None
        with _translated(key):
            return await obstore.sign_async(
                self._store, cast("_Method", method), key, timedelta(seconds=seconds)
            )


@contextmanager
def _translated(what: str) -> Generator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotThere(_missing(what, error)) from error
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise StorageRefused(_first_line(error)) from error
    except exceptions.InvalidPathError as error:
        raise UnsafeKey(_first_line(error)) from error
    except exceptions.BaseError as error:
        if _NO_BUCKET in str(error):
            raise NotThere(_missing(what, error)) from error
        raise StorageUnavailable(_first_line(error)) from error


async def _chunks(key: str, stream: "BytesStream") -> AsyncIterator[bytes]:
    with _translated(key):
        async for chunk in stream:
            yield bytes(chunk)


def _retry(timeout: timedelta) -> "RetryConfig":
    return {
        "max_retries": 10,
        "retry_timeout": timeout,
        "backoff": {
            "init_backoff": timedelta(milliseconds=100),
            "max_backoff": timeout / 8,
            "base": 2,
        },
    }


def _client(patience: timedelta) -> "ClientConfig":
    return {
        "allow_http": True,
        "connect_timeout": timedelta(seconds=3),
        "read_timeout": patience,
        "timeout": _NO_LIMIT,
    }


def _entry(meta: "ObjectMeta") -> Entry:
    return Entry(meta["path"], meta["size"], _bare(meta["e_tag"]))


def _bare(etag: str | None) -> str | None:
    return None if etag is None else etag.strip('"')


def _missing(what: str, error: Exception) -> str:
    return "There is no such bucket." if _NO_BUCKET in str(error) else f"There is no file '{what}'."


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
