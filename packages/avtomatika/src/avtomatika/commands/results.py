"""A worker reports. Whether it still holds the task is not asked: it is the lease that is acknowledged."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from hmac import compare_digest
from typing import Final

import msgspec

from avtomatika.blueprints.schema import violation
from avtomatika.commands.apply import TRIES, Writer
from avtomatika.commands.declared import Declared
from avtomatika.commands.fleet import owner_of, worker_of
from avtomatika.commands.heard import Heard, Told
from avtomatika.commands.outbox import task_message_id
from avtomatika.commands.requested import MISSED
from avtomatika.errors import Conflict, InvalidInput, NotFound, Unavailable
from avtomatika.kernel.decisions import Dispatch, FanOut
from avtomatika.kernel.effects import OfferTask
from avtomatika.kernel.events import Decided, TaskReported, TaskSignalled
from avtomatika.kernel.ids import JobId, TaskId, opened_by
from avtomatika.kernel.model import NULL, Failure, Gathering, Job, Report, Status, Waiting
from avtomatika.kernel.progress import Ignored, Moved, Outcome
from avtomatika.kernel.retry import CONTRACT, TIMEOUT
from avtomatika.kernel.rules.signal import TOO_MANY
from avtomatika.kernel.rules.task import CANCELLED, FAILURE, target_of
from avtomatika.kernel.time import Instant
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Body, Fact, Lease, LeaseLost, MessageId
from rxon.vocabulary import IgnoredReason

MAX_HANDLE: Final = 128

Witness = Callable[[Report, MessageId], Awaitable[None]]
Granted = Callable[[str, MessageId, Instant], Lease | None]


class Transition(StrEnum):
    """What became of a result, in the words of the wire (protocol facts 1.6)."""

    SUCCESS = "success_transition"
    FAILURE = "failure_handled"
    CANCELLED = "cancelled_handled"
    BRANCH = "parallel_branch_accepted"
    UNHANDLED = "unhandled_status_failure"


class Handle(msgspec.Struct, frozen=True):
    """One delivery of one attempt of a task: what a worker calls the task id."""

    task: TaskId
    attempt: int
    delivery: int

    @classmethod
    def parse(cls, text: str) -> "Handle":
        """The handle that *text* is, in the one spelling that it has. Raises InvalidInput."""
        try:
            task, attempt, delivery = text.rsplit("-", 2)
            opened_by(TaskId(task))
            handle = cls(TaskId(task), int(attempt), int(delivery))
        except ValueError:
            handle = None
        if handle is None or len(text) > MAX_HANDLE or str(handle) != text:
            raise InvalidInput("This is no task id of ours.", field="task_id")
        return handle

    def __str__(self) -> str:
        return f"{self.task}-{self.attempt}-{self.delivery}"


class Accepted(msgspec.Struct, frozen=True):
    """The result is part of the job, by this request or, if `duplicate`, by an earlier one like it."""

    transition: Transition
    duplicate: bool = False


class Results:
    """Takes in what workers report."""

    def __init__(
        self,
        node: NodeContext,
        writer: Writer,
        witness: Witness | None = None,
        granted: Granted | None = None,
    ) -> None:
        """*witness* hears once of every report that was accepted, and of the message that it answers.

        *granted* knows leases of workers without asking the store, which has the last word on them.
        """
        self._store, self._clock, self._writer = node.store, node.clock, writer
        self._spawn = node.spawn
        self._heard = Heard(node.store)
        self._witness, self._granted = witness, granted

    async def held(self, handle: Handle, worker_id: str, token: str | None = None) -> Lease | None:
        """The lease under which the worker holds this delivery of the task, or None.

        A worker that knows no token is recognised by its name and the delivery.
        """
        lease = await self._store.held(task_message_id(handle.task), now=self._clock.now())
        return _if_fits(lease, handle, worker_id, token)

    async def known(self, handle: Handle, worker_id: str, token: str | None = None) -> Lease | None:
        """As `held`, but a lease that was granted here may have been withdrawn: whoever uses it will see."""
        known = None
        if self._granted is not None:
            known = self._granted(worker_id, task_message_id(handle.task), self._clock.now())
        return _if_fits(known, handle, worker_id, token) or await self.held(handle, worker_id, token)

    async def take(
        self,
        job: JobId,
        handle: Handle,
        report: Report,
        token: str | None,
        declared: Mapping[str, Declared] | None = None,
    ) -> Accepted:
        """The report is part of the job, once. Raises LeaseLost when the worker no longer held the task.

        Its data is held to the schema of the order, and to what the worker *declared* of the skill. To be
        called as work of the node, which goes on when the worker hangs up.
        """
        lease = await self.known(handle, report.worker, token)
        if lease is None or lease.message.job != job:
            return await self._seen_before(job, handle, report)
        kept = _by_contract(report, lease.message.body, declared or {})
        event = TaskReported(handle.task, handle.attempt, handle.delivery, kept)
        before = await self._store.load(job)
        try:
            outcome = await self._writer.apply(job, event, ack=lease, owned=True, known=before)
        except (LeaseLost, NotFound):
            return await self._seen_before(job, handle, report)
        if isinstance(outcome, Ignored):
            return await self._seen_before(job, handle, report)
        if self._witness is not None:
            await self._witness(kept, lease.message.id)
        return Accepted(_transition(kept, _transitions_of(before)))

    async def signal(self, handle: Handle, worker_id: str, token: str | None, told: Told) -> None:
        """The event is part of the job, which it may have moved on; once, however often it is sent.

        Raises LeaseLost when the worker does not hold the task, Conflict when the task had too many.
        """
        lease = await self.held(handle, worker_id, token)
        job = opened_by(handle.task)[0]
        if lease is None:
            if told.id and told.id in await self._heard.ids(job, handle.task):
                return
            raise LeaseLost("The task is not leased to this worker: the event is not applied.")
        # Not given up with the request: a repetition in its turn must find what came of it.
        outcome = await asyncio.shield(self._spawn(self._hear(job, handle, worker_id, told), name="event"))
        if isinstance(outcome, Unavailable):
            raise outcome
        if isinstance(outcome, NotFound):
            raise LeaseLost("The job is no longer there: the event is not applied.") from outcome
        if outcome == TOO_MANY:
            raise Conflict("The task had as many events as it may have.")
        if isinstance(outcome, Ignored):
            raise LeaseLost("The task is over: the event is not applied.")

    async def _hear(
        self, job: JobId, handle: Handle, worker_id: str, told: Told
    ) -> Outcome | NotFound | Unavailable | None:
        """What came of the event; None when it was heard before."""
        event = TaskSignalled(
            handle.task,
            handle.attempt,
            handle.delivery,
            worker_id,
            told.name,
            told.payload,
            told.id,
            told.origin,
        )
        try:
            for _ in range(TRIES):
                outcome = await self._hear_once(job, event)
                if outcome is not MISSED:
                    return outcome
            return Unavailable("Too many others tell of this task at the same time.")
        except (NotFound, Unavailable) as error:
            return error

    async def _hear_once(self, job: JobId, event: TaskSignalled) -> Outcome | None:
        """What came of the event; None when it was heard before, `MISSED` when another one came between."""
        name = event.event_id
        async with self._heard.turn(job, event.task) as known:
            if name in known.ids:
                return None
            outcome = await self._writer.tell(job, event, known.counted)
            if name and isinstance(outcome, Moved):
                known.ids.add(name)
        if outcome is MISSED or isinstance(outcome, Moved) or not name:
            return outcome
        return None if name in await self._heard.ids(job, event.task) else outcome

    async def skill(self, handle: Handle, worker_id: str) -> str | None:
        """What the task asks for that the worker holds; None when it does not hold it."""
        lease = await self.held(handle, worker_id)
        body = None if lease is None else lease.message.body
        return body.task.order.skill if isinstance(body, OfferTask) else None

    async def holder(self, handle: Handle) -> str | None:
        """The worker that holds this delivery of the task, or None."""
        lease = await self._store.held(task_message_id(handle.task), now=self._clock.now())
        worker = None if lease is None else worker_of(lease.owner)
        return None if worker is None or await self.held(handle, worker) is None else worker

    async def reason(self, job_id: JobId, task: str, worker_id: str) -> IgnoredReason:
        """Why a result of this worker changes nothing."""
        job = await self._store.load(job_id)
        if job is None:
            return IgnoredReason.JOB_NOT_FOUND
        if job.status is Status.CANCELLED:
            return IgnoredReason.JOB_CANCELLED
        if job.over:
            late = job.failure is not None and job.failure.code == TIMEOUT
            return IgnoredReason.DEADLINE_EXCEEDED if late else IgnoredReason.JOB_ALREADY_TERMINATED
        try:
            holder = await self.holder(Handle.parse(task))
        except InvalidInput:
            return IgnoredReason.STALE_TASK
        return IgnoredReason.STALE_TASK if holder in (None, worker_id) else IgnoredReason.WORKER_MISMATCH

    async def _seen_before(self, job: JobId, handle: Handle, report: Report) -> Accepted:
        """The answer to a repetition of a result that was accepted. Raises LeaseLost for any other."""
        facts = await self._store.facts(job)
        for fact in facts:
            event = fact.event
            if isinstance(event, TaskReported) and _handle(event) == handle and _same(event.report, report):
                return Accepted(_transition(event.report, _decided(facts, handle.task)), duplicate=True)
        raise LeaseLost("The task is not leased to this worker any more: the result is not applied.")


def _if_fits(lease: Lease | None, handle: Handle, worker_id: str, token: str | None) -> Lease | None:
    """The lease, if it is the worker's for this delivery of the task."""
    if lease is None or lease.owner != owner_of(worker_id) or lease.delivery != handle.delivery:
        return None
    body = lease.message.body
    if not isinstance(body, OfferTask) or body.task.attempt != handle.attempt:
        return None
    return lease if token is None or compare_digest(token.encode(), lease.token.encode()) else None


def _by_contract(report: Report, body: Body, declared: Mapping[str, Declared]) -> Report:
    """The report, or the failure that it amounts to when its data breaks the order or what was declared."""
    if report.failure is not None or not isinstance(body, OfferTask) or report.status == CANCELLED:
        return report
    order = body.task.order
    of_skill = declared.get(order.skill, Declared())
    own = of_skill.schema_of(report.data)
    for schema, whose in ((order.output_schema, "output_schema"), (own, "the schema of the skill")):
        wrong = None if schema == NULL else violation(bytes(schema), bytes(report.data))
        if wrong is not None:
            message = f"The data breaks {whose}: {wrong}"
            failure = Failure(code=CONTRACT, message=message, task=body.task.id)
            return msgspec.structs.replace(report, status=FAILURE, failure=failure)
    return report


def _same(kept: Report, report: Report) -> bool:
    if kept.failure is not None and kept.failure.code == CONTRACT and report.failure is None:
        return (kept.worker, kept.data) == (report.worker, report.data)
    return kept == report


def _handle(event: TaskReported) -> Handle:
    return Handle(event.task, event.attempt, event.delivery)


def _transitions_of(job: Job | None) -> Mapping[str, str] | None:
    """Where the results of the task lead that the job waits for; None for those of a fan-out."""
    phase = None if job is None else job.phase
    if isinstance(phase, Gathering):
        return None
    return phase.transitions if isinstance(phase, Waiting) else {}


def _decided(facts: Sequence[Fact], task: TaskId) -> Mapping[str, str] | None:
    """The same, by the decision that gave the task out."""
    opened = opened_by(task)[1]
    event = next((fact.event for fact in facts if fact.version == opened), None)
    decision = event.decision if isinstance(event, Decided) else None
    if isinstance(decision, FanOut):
        return None
    return decision.transitions if isinstance(decision, Dispatch) else {}


def _transition(report: Report, transitions: Mapping[str, str] | None) -> Transition:
    if transitions is None:
        return Transition.BRANCH
    if report.status in (FAILURE, CANCELLED):
        return Transition.FAILURE if report.status == FAILURE else Transition.CANCELLED
    handled = target_of(report.status, dict(transitions)) is not None
    return Transition.SUCCESS if handled else Transition.UNHANDLED
