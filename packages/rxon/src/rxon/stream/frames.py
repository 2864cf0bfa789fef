"""The frames of a stream: one JSON object each, told apart by its member ``frame``."""

from collections.abc import Iterable, Iterator
from typing import Final, TypeVar, cast, get_args

import msgspec

from rxon.codec import decode, encode
from rxon.errors import (
    AuthError,
    ForbiddenError,
    ProtocolError,
    RateLimitError,
    RxonError,
    StaleLeaseError,
    TooLargeError,
    UnavailableError,
    WorkerUnknownError,
)
from rxon.messages import (
    EventAnswer,
    Heartbeat,
    HeartbeatAnswer,
    ResultAnswer,
    TaskOffer,
    TaskResult,
    WorkerCommand,
    WorkerEvent,
)

__all__ = [
    "Answers",
    "Beat",
    "Beaten",
    "Bye",
    "Cancel",
    "ClientFrame",
    "Commands",
    "Error",
    "Events",
    "Heard",
    "Ready",
    "Results",
    "ServerFrame",
    "Tasks",
    "Welcome",
    "decode_client_frame",
    "decode_server_frame",
    "error_of",
    "known_server_frame",
    "refusal",
    "sequence_of",
    "task_frames",
]

T = TypeVar("T")


class _Frame(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="frame", kw_only=True):
    """The member ``frame`` holds the name of the class in lower case."""


class Ready(_Frame, frozen=True, tag="ready"):
    """The worker takes ``credits`` more tasks than the first ``seen`` that came over this connection.

    It replaces what the frame before said. ``available_skills`` None means every registered skill.
    """

    credits: int
    seen: int = 0
    available_skills: tuple[str, ...] | None = None
    hot_skills: tuple[str, ...] = ()


class Results(_Frame, frozen=True, tag="results"):
    """Results, to be answered under ``seq``."""

    seq: int
    results: tuple[TaskResult, ...]


class Beat(_Frame, frozen=True, tag="beat"):
    """A heartbeat, to be answered under ``seq``."""

    seq: int
    beat: Heartbeat | None = None


class Events(_Frame, frozen=True, tag="events"):
    """Events in their order, to be answered under ``seq``."""

    seq: int
    events: tuple[WorkerEvent, ...]


class Welcome(_Frame, frozen=True, tag="welcome"):
    """The first frame. The server takes frames of up to ``max_frame`` bytes."""

    version: str
    max_frame: int


class Tasks(_Frame, frozen=True, tag="tasks"):
    """Tasks that the worker holds from now on."""

    tasks: tuple[TaskOffer, ...]


class Answers(_Frame, frozen=True, tag="answers"):
    """One answer per result, in order, each given after the result is durable."""

    seq: int
    answers: tuple[ResultAnswer, ...]


class Beaten(_Frame, frozen=True, tag="beaten"):
    """The answer to a heartbeat."""

    seq: int
    answer: HeartbeatAnswer


class Heard(_Frame, frozen=True, tag="heard"):
    """Answers for at least the first of the events, in order: send the rest again."""

    seq: int
    answers: tuple[EventAnswer, ...]


class Cancel(_Frame, frozen=True, tag="cancel"):
    """The worker does not hold these tasks any more: stop them."""

    task_ids: tuple[str, ...]


class Commands(_Frame, frozen=True, tag="commands"):
    """What operators have told the worker."""

    commands: tuple[WorkerCommand, ...]


class Bye(_Frame, frozen=True, tag="bye"):
    """The server is going: no more tasks come. Come back after so many seconds, to whoever is there."""

    after: float = 0.0


class Error(_Frame, frozen=True, tag="error"):
    """What was sent under ``seq`` came to nothing; without it, no tasks can be given now."""

    code: str
    message: str
    seq: int | None = None
    retry_after: float | None = None
    field: str | None = None


ClientFrame = Ready | Results | Beat | Events
ServerFrame = Welcome | Tasks | Answers | Beaten | Heard | Cancel | Commands | Bye | Error

# A union is no `type`, but msgspec decodes it like one.
_CLIENT: Final = cast("type[ClientFrame]", ClientFrame)
_SERVER: Final = cast("type[ServerFrame]", ServerFrame)
_SERVER_NAMES: Final = frozenset(kind.__struct_config__.tag for kind in get_args(ServerFrame))

_ERRORS: Final[dict[str, type[RxonError]]] = {
    kind.code: kind
    for kind in (
        AuthError,
        ForbiddenError,
        ProtocolError,
        RateLimitError,
        StaleLeaseError,
        TooLargeError,
        UnavailableError,
        WorkerUnknownError,
    )
}


class _Named(msgspec.Struct):
    frame: str


class _Envelope(msgspec.Struct):
    frame: str
    seq: int


def decode_client_frame(data: bytes) -> ClientFrame:
    """What a worker sent. Raises ProtocolError."""
    return decode(_CLIENT, data)


def decode_server_frame(data: bytes) -> ServerFrame:
    """What the server sent. Raises ProtocolError."""
    return decode(_SERVER, data)


def known_server_frame(data: bytes) -> ServerFrame | None:
    """The same; None for a frame with a name of later servers, which is to be skipped."""
    try:
        return decode_server_frame(data)
    except ProtocolError:
        if _is_named_otherwise(data):
            return None
        raise


def _is_named_otherwise(data: bytes) -> bool:
    try:
        return decode(_Named, data).frame not in _SERVER_NAMES
    except ProtocolError:
        return False


def sequence_of(data: bytes) -> int | None:
    """The ``seq`` of a frame that is JSON but not what it should be, if it has one."""
    try:
        return decode(_Envelope, data).seq
    except ProtocolError:
        return None


def refusal(error: RxonError, seq: int | None = None) -> Error:
    """The frame that tells about ``error``."""
    wait: float | None = getattr(error, "retry_after", None)
    field = error.field if isinstance(error, ProtocolError) else None
    return Error(code=error.code, message=error.message, seq=seq, retry_after=wait, field=field)


def error_of(frame: Error) -> RxonError:
    """The error that ``frame`` tells about; one with a code that is not known is an UnavailableError."""
    kind = _ERRORS.get(frame.code, UnavailableError)
    details = {"code": frame.code}
    if frame.field is not None:
        details["field"] = frame.field
    if kind in (RateLimitError, UnavailableError):
        wait = 1.0 if frame.retry_after is None else max(0.0, frame.retry_after)
        return UnavailableError(frame.message, retry_after=wait, details=details)
    return kind(frame.message, details=details)


def task_frames(offers: Iterable[TaskOffer], max_frame: int) -> Iterator[bytes]:
    """The offers in as few frames of up to ``max_frame`` bytes as their order allows."""
    return _in_frames(b'{"frame":"tasks","tasks":[', offers, max_frame)


def _in_frames(head: bytes, items: Iterable[msgspec.Struct], max_frame: int) -> Iterator[bytes]:
    parts: list[bytes] = []
    size = len(head) + 1
    for item in items:
        part = encode(item)
        if parts and size + len(part) + 1 > max_frame:
            yield head + b",".join(parts) + b"]}"
            parts, size = [], len(head) + 1
        parts.append(part)
        size += len(part) + 1
    if parts:
        yield head + b",".join(parts) + b"]}"
