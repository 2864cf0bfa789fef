"""How workers of today speak. Earlier generations differ from it only where their own module says so."""

from hashlib import sha256
from typing import Any, ClassVar, Final

import msgspec

from rxon.codec import decode, encode
from rxon.errors import StaleLeaseError
from rxon.generations.generation import Generation
from rxon.messages import (
    EventAnswer,
    Heartbeat,
    HeartbeatAnswer,
    Registered,
    Registration,
    ResultAnswer,
    TaskOffer,
    TaskResult,
    WorkerCommand,
    WorkerEvent,
)
from rxon.vocabulary import PROGRESS, AnswerStatus, IgnoredReason

__all__ = ["Dialect", "Said"]


class Said(msgspec.Struct, frozen=True):
    """An answer on the wire: its status, and its body."""

    body: bytes
    status: int = 200


class _Progress(msgspec.Struct):
    """Progress of a task in the words of the generations before events. One of them says `type`."""

    task_id: str
    job_id: str | None = None
    progress: float | None = None
    message: str | None = None
    event: str | None = None
    type: str | None = None
    event_id: str | None = None


class _Update(msgspec.Struct, omit_defaults=True):
    progress: float | None = None
    message: str | None = None


PROGRESS_UPDATE: Final = "progress_update"


class Dialect:
    """Bytes in, messages out, and back. Each verb raises ProtocolError for what it cannot understand."""

    generation: ClassVar[Generation] = Generation.OURS
    knows_leases: ClassVar[bool] = True

    def registration(self, body: bytes) -> Registration:
        """How a worker presents itself."""
        return decode(Registration, body)

    def registered(self, answer: Registered) -> Said:
        """The answer to that."""
        return Said(encode(answer))

    def beat(self, body: bytes) -> Heartbeat:
        """That a worker lives."""
        return decode(Heartbeat, body)

    def presented(self, worker_id: str, body: bytes) -> Registration | None:
        """What a heartbeat of a worker that is not known tells of it, as far as it can stand for registering.

        None for workers that register again when they are told that they are not known.
        """
        return None

    def beaten(self, answer: HeartbeatAnswer, worker_id: str, body: bytes) -> Said:
        """The answer to a heartbeat with this body."""
        return Said(encode(answer))

    def offered(self, offer: TaskOffer) -> bytes:
        """A task."""
        return encode(offer)

    def result(self, body: bytes) -> TaskResult:
        """How a task ended."""
        return decode(TaskResult, body)

    def judged(self, answer: ResultAnswer) -> Said:
        """What became of a result. A refusal is an error to those who know leases."""
        return Said(encode(answer))

    def event(self, body: bytes, worker_id: str | None = None) -> WorkerEvent:
        """What a worker tells. Progress in the words of the first generations becomes an event.

        That carries no name of its own, so that it is named by what it says.
        """
        old = _old_progress(body)
        if old is None:
            return decode(WorkerEvent, body)
        sender = worker_id or ""
        return WorkerEvent(
            event_id=sha256(body).hexdigest(),
            worker_id=sender,
            origin_worker_id=sender,
            event_type=PROGRESS,
            payload=msgspec.Raw(encode(_Update(old.progress, old.message))),
            target_task_id=old.task_id,
            target_job_id=old.job_id,
        )

    def told(self, answer: EventAnswer) -> Said:
        """What became of an event."""
        return Said(encode(answer))

    def command(self, command: WorkerCommand) -> bytes:
        """What a worker is to do. Workers of earlier generations know no ids of commands."""
        ours = self.generation is Generation.OURS
        return encode(command if ours else msgspec.structs.replace(command, id=None))


def settled(answer: ResultAnswer) -> Said:
    """The answer as all generations from the second to the fifth expect it."""
    if answer.status == AnswerStatus.ACCEPTED:
        return Said(encode({"status": "accepted", "transition": answer.transition}))
    reason = answer.reason or (
        IgnoredReason.STALE_TASK if answer.code == StaleLeaseError.code else answer.code or "refused"
    )
    return Said(encode({"status": "ignored", "reason": reason, "message": answer.message or reason}))


def members(message: msgspec.Struct, *names: str) -> dict[str, Any]:
    """The named members, in this order, with null for those that are not there."""
    return {name: getattr(message, name) for name in names}


def _old_progress(body: bytes) -> _Progress | None:
    try:
        found = msgspec.json.decode(body, type=_Progress)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return found if PROGRESS_UPDATE in (found.event, found.type) and found.event_id is None else None
