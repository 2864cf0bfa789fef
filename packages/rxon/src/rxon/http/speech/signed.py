"""What the generations that demand signatures have in common.

A message is signed each time that it is sent, with the time of that moment: one that waited for longer than a
minute would be refused otherwise, and the result in it would be lost.
"""

from collections.abc import Callable, Collection
from typing import Any

import msgspec

from rxon.canonical import Form
from rxon.codec import decode, encode
from rxon.errors import ProtocolError, RxonError
from rxon.http.speech.speech import Memory
from rxon.messages import (
    Heartbeat,
    HeartbeatAnswer,
    Registration,
    SecurityContext,
    TaskOffer,
    TaskResult,
    WorkerEvent,
)
from rxon.signing.content import EVENT_IGNORES
from rxon.signing.shared_key import sign

__all__ = ["Pen", "Signed"]

EMPTY = b"{}"


class Pen(msgspec.Struct, frozen=True):
    """Who signs, with which keys. ``now`` is the time of the server, in Unix seconds."""

    worker_id: str
    registration_key: str
    key: str
    now: Callable[[], float]

    def signed(
        self,
        body: bytes,
        security: SecurityContext | None,
        key: str,
        form: Form,
        ignore: Collection[str] = (),
    ) -> bytes:
        """The object in ``body``, which has members but no ``security``, with its signature."""
        context = msgspec.structs.replace(
            security or SecurityContext(),
            signature=sign(body, key, ignore=ignore, form=form),
            signer_id=self.worker_id,
        )
        return b'{"security":' + encode(context) + b"," + body[1:]


class _Essence(msgspec.Struct):
    """The least that a task is."""

    job_id: str
    task_id: str
    type: str
    params: msgspec.Raw = msgspec.Raw(EMPTY)


class Signed:
    """Signs every message with the time at which it is sent."""

    batches = False
    forgets = True
    form = Form.R14

    def __init__(self, pen: Pen, memory: Memory) -> None:
        self.pen = pen
        self._memory = memory

    def registration(self, registration: Registration) -> bytes:
        """The message, signed with the key of registrations."""
        body = self._body(registration)
        return self.pen.signed(body, registration.security, self.pen.registration_key, self.form)

    def heartbeat(self, beat: Heartbeat) -> bytes:
        """The message with the jobs of the tasks that are held, signed.

        These servers look up the id of every task as if it were that of a job, and name it when that job is
        over (or, the earlier ones, when there is none): so they are told of jobs.
        """
        body = self._body(self._about_jobs(beat))
        return self.pen.signed(body, beat.security, self.pen.key, self.form)

    def result(self, result: TaskResult) -> bytes:
        """The message, signed."""
        return self.pen.signed(self._body(result), result.security, self.pen.key, self.form)

    def event(self, event: WorkerEvent) -> bytes:
        """The message, signed without the chain, which grows on its way."""
        return self.pen.signed(self._body(event), event.security, self.pen.key, self.form, EVENT_IGNORES)

    def offer(self, body: bytes) -> TaskOffer:
        """The task, without those of its members that are not as they should be."""
        try:
            offer = decode(TaskOffer, body)
        except ProtocolError:
            offer = TaskOffer(**msgspec.structs.asdict(decode(_Essence, body)))
        if bytes(offer.params) == b"null":
            offer = msgspec.structs.replace(offer, params=msgspec.Raw(EMPTY))
        self._memory.jobs[offer.task_id] = offer.job_id
        return offer

    def heard(self, answer: HeartbeatAnswer) -> HeartbeatAnswer:
        """The answer, with the tasks that are held instead of their jobs."""
        named = frozenset(answer.cancel_task_ids or ())
        if not named:
            return answer
        gone = (task for task, job in self._memory.jobs.items() if job in named or task in named)
        return msgspec.structs.replace(answer, cancel_task_ids=tuple(gone) or None)

    def repeated(self, error: RxonError) -> bool:
        """Never: a repetition is processed again."""
        return False

    def _about_jobs(self, beat: Heartbeat) -> Heartbeat:
        if beat.current_tasks is None:
            return beat
        jobs = self._memory.jobs
        held = {task: jobs[task] for task in beat.current_tasks if task in jobs}
        jobs.clear()
        jobs.update(held)
        return msgspec.structs.replace(beat, current_tasks=tuple(dict.fromkeys(held.values())))

    def _body(self, message: Registration | Heartbeat | TaskResult | WorkerEvent) -> bytes:
        fresh = msgspec.structs.replace(message, timestamp=int(self.pen.now()), security=None)
        return self._written(fresh)

    def _written(self, message: Any) -> bytes:
        return encode(message)
