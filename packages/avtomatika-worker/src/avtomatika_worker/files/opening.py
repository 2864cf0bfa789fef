"""The depot that a worker is set up with."""

from pathlib import Path

from avtomatika_worker.config import WorkerConfig
from avtomatika_worker.errors import ConfigError
from avtomatika_worker.files.cache import FileCache
from avtomatika_worker.files.depot import Depot
from rxon.storage import Cache, ObjectStorage, StorageSettings

__all__ = ["configured_depot"]

_GIGABYTE = 10**9


def configured_depot(config: WorkerConfig, storage: ObjectStorage | None) -> Depot:
    """For ``storage``, or else the S3 at S3_ENDPOINT_URL. Raises ConfigError without the extra for it."""
    if storage is None:
        storage = _s3(config)
    return Depot(storage, config.S3_DEFAULT_BUCKET, Path(config.TASK_FILES_DIR))


def _s3(config: WorkerConfig) -> ObjectStorage:
    endpoint = config.S3_ENDPOINT_URL or ""
    limit = int(config.WORKER_BLOB_CACHE_MAX_GB * _GIGABYTE)
    cache: Cache | None = None
    if limit:
        cache = FileCache(Path(config.WORKER_BLOB_CACHE_DIR), limit, endpoint)
    settings = StorageSettings(
        endpoint=endpoint,
        access_key=config.S3_ACCESS_KEY,
        secret_key=config.S3_SECRET_KEY,
        region=config.S3_REGION,
        bucket=config.S3_DEFAULT_BUCKET,
    )
    try:
        return ObjectStorage.s3(settings, cache=cache)
    except ModuleNotFoundError:
        hint = "S3_ENDPOINT_URL needs the extra: pip install 'avtomatika-worker[s3]'"
        raise ConfigError(hint) from None
