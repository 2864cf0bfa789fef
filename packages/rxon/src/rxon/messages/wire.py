"""Field types whose wire form is wider than the value that arrives in the struct.

Each has two definitions: what the decoder accepts, and what a reader of the field gets once
``__post_init__`` has run.
"""

from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import msgspec

from rxon.vocabulary import ErrorCode

__all__ = [
    "MAX_LISTED",
    "MAX_NAME",
    "MAX_PRESENTED",
    "MAX_SECONDS",
    "Listed",
    "Mapped",
    "Name",
    "OptionalRaw",
    "OptionalSeconds",
    "TaskError",
    "TaskErrorOrText",
    "settle",
]

T = TypeVar("T")

MAX_SECONDS = 2**53 - 1

MAX_PRESENTED: Final = 262_144
"""Bytes of a message in which a worker presents itself, or says that it lives."""

MAX_LISTED: Final = 1_000
"""How many skills such a message names, and of anything else: models, prices, software."""

MAX_NAME: Final = 255
"""Characters of a name in it."""

Name = Annotated[str, msgspec.Meta(max_length=MAX_NAME)]
Listed = Annotated[tuple[T, ...], msgspec.Meta(max_length=MAX_LISTED)]
Mapped = Annotated[dict[Name, T], msgspec.Meta(max_length=MAX_LISTED)]


class TaskError(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a task failed. ``code`` is an ErrorCode or the worker's own."""

    code: str
    message: str
    details: dict[str, Any] | None = None


if TYPE_CHECKING:
    OptionalRaw = msgspec.Raw | None
    OptionalSeconds = int | None
    TaskErrorOrText = TaskError | None
else:
    OptionalRaw = msgspec.Raw
    OptionalSeconds = int | float | None
    TaskErrorOrText = TaskError | str | None


def settle(message: msgspec.Struct, *names: str) -> None:
    """The named fields hold their narrow type: raw ``null`` is None, floats are whole seconds,
    a text error is a TRANSIENT_ERROR.

    Raises ValueError for seconds outside the range that JSON numbers carry exactly.
    """
    for name in names:
        value: object = getattr(message, name)
        if value is None:
            continue
        if isinstance(value, msgspec.Raw):
            if bytes(value) == b"null":
                msgspec.structs.force_setattr(message, name, None)
        elif isinstance(value, int | float):
            if not -MAX_SECONDS <= value <= MAX_SECONDS:
                raise ValueError(f"`{name}` is out of range")
            if isinstance(value, float):
                msgspec.structs.force_setattr(message, name, int(value))
        elif isinstance(value, str):
            error = TaskError(ErrorCode.TRANSIENT_ERROR, value)
            msgspec.structs.force_setattr(message, name, error)
