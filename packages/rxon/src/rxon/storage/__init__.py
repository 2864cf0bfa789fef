"""Payload files of any size in an object storage: S3 of any vendor, a folder, or memory.

What server and workers share. It needs the extra ``rxon[storage]`` once a storage is made, not to be
imported.
"""

from rxon.storage.bucket import Cache, Entry
from rxon.storage.contents import Progress
from rxon.storage.errors import (
    IntegrityError,
    NotThere,
    StorageError,
    StorageRefused,
    StorageUnavailable,
    UnsafeKey,
)
from rxon.storage.object_storage import ObjectStorage
from rxon.storage.settings import StorageSettings

__all__ = [
    "Cache",
    "Entry",
    "IntegrityError",
    "NotThere",
    "ObjectStorage",
    "Progress",
    "StorageError",
    "StorageRefused",
    "StorageSettings",
    "StorageUnavailable",
    "UnsafeKey",
]
