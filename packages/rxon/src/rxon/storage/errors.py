"""What can go wrong with stored files.

::

    RxonError
    └── StorageError            storage_error         500
        ├── StorageUnavailable  storage_unavailable   503   worth another attempt later
        ├── NotThere            file_not_there        404
        ├── IntegrityError      integrity_mismatch    409   the content is not what was said
        ├── UnsafeKey           unsafe_key            400   a name that may lead elsewhere
        └── StorageRefused      storage_refused       403   the credentials do not allow it
"""

from rxon.errors import RxonError

__all__ = [
    "IntegrityError",
    "NotThere",
    "StorageError",
    "StorageRefused",
    "StorageUnavailable",
    "UnsafeKey",
]


class StorageError(RxonError):
    """The storage could not do it."""

    code = "storage_error"


class StorageUnavailable(StorageError):
    """The storage cannot be reached, or failed; another attempt may succeed."""

    code = "storage_unavailable"
    status = 503


class NotThere(StorageError):
    """There is no such file, folder or bucket."""

    code = "file_not_there"
    status = 404


class IntegrityError(StorageError):
    """The content of the file is not what its description says."""

    code = "integrity_mismatch"
    status = 409


class UnsafeKey(StorageError):
    """The name of the file could lead out of where it belongs."""

    code = "unsafe_key"
    status = 400


class StorageRefused(StorageError):
    """The storage does not let these credentials do this."""

    code = "storage_refused"
    status = 403
