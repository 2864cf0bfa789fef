"""What the server says when it does not do what it is asked."""

from typing import Final

from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from avtomatika.errors import AvtomatikaError, StorageBroken, StorageFull, Unavailable

_PASSING: Final = (
    AskError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    TryAgainError,
)
_PASSING_WORDS: Final = (
    "READONLY",
    "LOADING",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "MASTERDOWN",
    "NOREPLICAS",
    "NOSCRIPT",
    "BUSY",
    "UNKILLABLE",
)


def is_passing(error: ResponseError) -> bool:
    """True when the same call may be answered by this server, or by its successor, in a moment."""
    return isinstance(error, _PASSING) or any(word in str(error)[:200] for word in _PASSING_WORDS)


def translate(error: ResponseError) -> AvtomatikaError:
    """The error of this package that *error* amounts to. Nothing was changed by the call that it answers."""
    said = str(error)
    if isinstance(error, OutOfMemoryError) or "OOM" in said:
        return StorageFull("Redis has no memory left.")
    if "MISCONF" in said:
        return StorageFull("Redis cannot write its file.") if "space" in said else Unavailable(said)
    if "NOPERM" in said or "NOAUTH" in said:
        return Unavailable(f"Redis does not let us: {said}")
    return StorageBroken(f"Redis failed: {said}")
