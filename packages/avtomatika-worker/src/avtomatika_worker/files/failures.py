"""What goes wrong with stored files, as the failure of a task."""

from collections.abc import Generator
from contextlib import contextmanager

from avtomatika_worker.errors import (
    IntegrityMismatchError,
    InvalidInputError,
    PermanentError,
    TransientError,
)
from rxon.errors import ProtocolError
from rxon.storage import IntegrityError, NotThere, StorageError, StorageUnavailable, UnsafeKey

__all__ = ["as_failure"]


@contextmanager
def as_failure(what: str, *, is_input: bool = False) -> Generator[None]:
    """Errors of storages become the HandlerError that says whether another attempt makes sense.

    What is not there, or has an unsafe name, is wrong input if the task ``is_input`` said so.
    """
    try:
        yield
    except StorageUnavailable as error:
        raise TransientError(f"{what}: {error.message}") from error
    except IntegrityError as error:
        raise IntegrityMismatchError(f"{what}: {error.message}") from error
    except (NotThere, UnsafeKey, ProtocolError) as error:
        kind = InvalidInputError if is_input else PermanentError
        raise kind(f"{what}: {error.message}") from error
    except StorageError as error:
        raise PermanentError(f"{what}: {error.message}") from error
