"""What a handler can tell while it works: progress, and events of its own."""

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Generator
from math import isfinite
from typing import Any

import msgspec

from avtomatika_worker.skills.outcome import encode_json
from rxon.messages import SecurityContext, TaskOffer, WorkerEvent
from rxon.vocabulary import PROGRESS

__all__ = ["Tell", "Teller", "Told", "event_of", "in_loop"]

_log = logging.getLogger(__name__)


class Told(msgspec.Struct, frozen=True):
    """What a handler told; everything in it can be sent."""

    name: str
    payload: msgspec.Raw
    priority: float = 0.0
    security: SecurityContext | None = None
    metadata: msgspec.Raw | None = None
    origin: str | None = None


Tell = Callable[[Told], None]


def in_loop(tell: Tell) -> Tell:
    """The same, called in the running event loop whatever thread it is asked from."""
    loop, thread = asyncio.get_running_loop(), threading.get_ident()

    def post(told: Told) -> None:
        if threading.get_ident() == thread:
            tell(told)
        else:
            loop.call_soon_threadsafe(tell, told)

    return post


def event_of(told: Told, offer: TaskOffer, worker_id: str) -> WorkerEvent:
    """The message that says so, from the worker that holds the task."""
    return WorkerEvent(
        event_id=uuid.uuid4().hex,
        worker_id=worker_id,
        origin_worker_id=told.origin or worker_id,
        event_type=told.name,
        payload=told.payload,
        origin_task_id=offer.task_id,
        target_job_id=offer.job_id,
        target_task_id=offer.task_id,
        trace_context=offer.tracing_context or None,
        priority=told.priority,
        timestamp=int(time.time()),
        security=told.security,
        metadata=told.metadata,
        lease_token=offer.lease_token,
    )


class Sent(Coroutine[Any, Any, None]):
    """What has been done already: it may be awaited, made a task of, or let go."""

    def send(self, value: Any, /) -> Any:
        """It ends at once."""
        raise StopIteration

    def throw(self, error: Any, value: Any = None, trace: Any = None, /) -> Any:
        """What is thrown in comes out."""
        raise error

    def close(self) -> None:
        """Nothing is left to do."""

    def __await__(self) -> Generator[Any, Any, None]:
        yield from ()


class Teller:
    """Belongs to one task. Its functions may be called in any thread, if ``tell`` may.

    They return at once and raise nothing; what cannot be told is logged.
    """

    def __init__(self, task_id: str, tell: Tell) -> None:
        self._task_id = task_id
        self._tell = tell

    def send_progress(self, *args: Any, **named: Any) -> Sent:
        """The progress is on its way, unless newer progress overtakes it.

        Called as ``(progress, message="")`` or as ``(task_id, job_id, progress, message="")``.
        """
        return self._send(lambda: _progress(args, named))

    def send_event(
        self,
        event_type: str,
        payload: Any = None,
        priority: float = 0.0,
        security: Any = None,
        metadata: Any = None,
        origin_worker_id: str | None = None,
    ) -> Sent:
        """The event, with an object as its payload, is on its way behind those that were sent before."""
        return self._send(lambda: _event(event_type, payload, priority, security, metadata, origin_worker_id))

    def _send(self, make: Callable[[], Told]) -> Sent:
        try:
            self._tell(make())
        except Exception as error:  # noqa: BLE001 - telling never fails the work
            _log.warning("What task %s told cannot be sent: %s", self._task_id, error)
        return Sent()


def _progress(args: tuple[Any, ...], named: dict[str, Any]) -> Told:
    with_ids = bool(args) and (args[0] is None or isinstance(args[0], str))
    progress, message = (_long if with_ids else _short)(*args, **named)
    value = progress if isinstance(progress, int | float) else float(progress)
    if not isfinite(value):
        raise ValueError("progress must be a finite number")
    return Told(PROGRESS, _object("progress", {"progress": value, "message": str(message)}))


def _long(task_id: Any, job_id: Any, progress: Any, message: Any = "") -> tuple[Any, Any]:
    return progress, message


def _short(progress: Any, message: Any = "", *, task_id: Any = None, job_id: Any = None) -> tuple[Any, Any]:
    return progress, message


def _event(
    name: Any, payload: Any, priority: float, security: Any, metadata: Any, origin: str | None
) -> Told:
    if not isinstance(name, str) or not name:
        raise TypeError("event_type must be a text that is not empty")
    return Told(
        name=name,
        payload=_object("payload", {} if payload is None else payload),
        priority=float(priority),
        security=msgspec.convert(security, SecurityContext | None, from_attributes=True),
        metadata=None if metadata is None else _object("metadata", metadata),
        origin=origin,
    )


def _object(what: str, value: Any) -> msgspec.Raw:
    encoded = encode_json(value)
    if encoded[:1] != b"{":
        raise TypeError(f"{what} must be an object")
    return msgspec.Raw(encoded)
