"""What a handler returned or raised, as the result that goes to the orchestrator."""

import asyncio
import dataclasses
import logging
import time
from pathlib import PurePath
from typing import Any, Final

import msgspec

from avtomatika_worker.errors import HandlerError
from avtomatika_worker.skills.json_shape import is_mapping, is_object
from rxon.messages import FileMetadata, TaskError, TaskOffer, TaskResult
from rxon.vocabulary import ErrorCode, TaskStatus

__all__ = [
    "ENCODING_ERRORS",
    "Outcome",
    "encode_json",
    "json_object",
    "outcome_of_error",
    "outcome_of_value",
    "result_of",
]

ENVELOPE: Final = frozenset({"status", "data", "error", "metadata", "costs"})
EMPTY: Final = msgspec.Raw(b"{}")
ENCODING_ERRORS: Final = (TypeError, ValueError, OverflowError, RecursionError)  # not only msgspec's

_log = logging.getLogger(__name__)


class Outcome(msgspec.Struct, frozen=True):
    """The part of a result that the handler decides; everything in it can be sent."""

    status: str = TaskStatus.SUCCESS.value
    data: msgspec.Raw | None = None
    error: TaskError | None = None
    metadata: msgspec.Raw | None = None
    costs: dict[str, Any] | None = None
    data_metadata: dict[str, FileMetadata] | None = None


def outcome_of_value(value: Any, skill: str) -> Outcome:
    """The outcome that a returned ``value`` means.

    A dict with one of the keys status, data, error, metadata and costs is an envelope, and its
    other keys are dropped with a warning. Any other object is the data; a value that is no
    object becomes the data ``{"result": value}``, and None the data ``{}``. An envelope with an
    error but no status is a failure. NaN and infinities become null, as JSON has no such numbers.
    What cannot be written as JSON is a PERMANENT_ERROR.
    """
    try:
        if is_object(value) and not ENVELOPE.isdisjoint(value):
            return _from_envelope(value, skill)
        return Outcome(data=_object(value))
    except ENCODING_ERRORS as error:
        message = f"The result of skill {skill!r} cannot be written as JSON: {error}"
        return _failure(TaskError(ErrorCode.PERMANENT_ERROR.value, message))


def outcome_of_error(error: BaseException) -> Outcome:
    """The outcome that a raised ``error`` means: the code of a HandlerError, otherwise transient."""
    if isinstance(error, asyncio.CancelledError):
        return Outcome(TaskStatus.CANCELLED.value)
    return _failure(_task_error(error))


def result_of(outcome: Outcome, offer: TaskOffer, worker_id: str) -> TaskResult:
    """The message that reports it, from the worker that holds the task."""
    return TaskResult(
        job_id=offer.job_id,
        task_id=offer.task_id,
        worker_id=worker_id,
        status=outcome.status,
        data=outcome.data,
        error=outcome.error,
        data_metadata=outcome.data_metadata,
        metadata=outcome.metadata,
        costs=outcome.costs,
        timestamp=int(time.time()),
        lease_token=offer.lease_token,
    )


def _from_envelope(envelope: dict[str, Any], skill: str) -> Outcome:
    dropped = [str(key) for key in envelope if key not in ENVELOPE]
    if dropped:
        _log.warning(
            "Skill %r returned an envelope; its keys %s are dropped", skill, ", ".join(sorted(dropped))
        )
    error = envelope.get("error")
    status = envelope.get("status")
    if status is None:
        status = TaskStatus.SUCCESS if error is None else TaskStatus.FAILURE
    if not isinstance(status, str) or not status:
        raise TypeError("status must be a text")
    data, metadata, costs = envelope.get("data"), envelope.get("metadata"), envelope.get("costs")
    failed = status == TaskStatus.FAILURE and data is None
    return Outcome(
        status=str(status),
        data=None if failed else _object(data),
        error=None if error is None else _task_error(error),
        metadata=None if metadata is None else msgspec.Raw(encode_json(metadata)),
        costs=None if costs is None else msgspec.json.decode(encode_json(costs), type=dict[str, Any]),
    )


def _failure(error: TaskError) -> Outcome:
    return Outcome(TaskStatus.FAILURE.value, error=error)


def _task_error(error: Any) -> TaskError:
    if isinstance(error, HandlerError):
        details = error.details
        return TaskError(str(error.code), str(error) or type(error).__name__, json_object(details))
    if isinstance(error, BaseException):
        return TaskError(ErrorCode.TRANSIENT_ERROR.value, str(error) or type(error).__name__)
    if is_mapping(error):
        code = str(error.get("code") or ErrorCode.TRANSIENT_ERROR)
        return TaskError(code, str(error.get("message") or code), json_object(error.get("details")))
    return TaskError(ErrorCode.TRANSIENT_ERROR.value, str(error))


def json_object(details: Any) -> dict[str, Any] | None:
    """Details of an error as JSON can hold them; their text where it cannot."""
    if details is None:
        return None
    try:
        return msgspec.json.decode(_object(details), type=dict[str, Any])
    except ENCODING_ERRORS:
        return {"text": repr(details)}


def _object(value: Any) -> msgspec.Raw:
    if value is None:
        return EMPTY
    encoded = encode_json(value)
    return msgspec.Raw(encoded if encoded[:1] == b"{" else b'{"result":' + encoded + b"}")


def encode_json(value: Any) -> bytes:
    """What a handler gave, as JSON. Raises TypeError or ValueError for what JSON cannot hold."""
    return msgspec.json.encode(value, enc_hook=_plain)


def _plain(value: Any) -> Any:
    """For what msgspec knows nothing of: pydantic models, paths, mappings, exceptions."""
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    if isinstance(value, PurePath | BaseException):
        return str(value)
    if is_mapping(value):
        return dict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"{type(value).__module__}.{type(value).__qualname__} is no JSON type")
