"""A worker reports. Whether it still holds the task is not asked: it is the lease that is acknowledged."""

from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from hmac import compare_digest
from typing import Final

import msgspec
from msgspec import Raw

from avtomatika.blueprints.schema import violation
from avtomatika.commands.apply import Writer
from avtomatika.commands.offers import owner_of
from avtomatika.commands.outbox import task_message_id
from avtomatika.errors import Conflict, InvalidInput, NotFound
from avtomatika.kernel.decisions import FanOut
from avtomatika.kernel.effects import OfferTask
from avtomatika.kernel.events import Decided, TaskReported, TaskSignalled
from avtomatika.kernel.ids import JobId, TaskId, opened_by
from avtomatika.kernel.model import NULL, Failure, Gathering, Report
from avtomatika.kernel.progress import Ignored
from avtomatika.kernel.retry import CONTRACT
from avtomatika.kernel.rules.signal import TOO_MANY
from avtomatika.kernel.rules.task import CANCELLED, FAILURE
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Body, Fact, Lease, LeaseLost, MessageId

MAX_HANDLE: Final = 128

Witness = Callable[[Report, MessageId], Awaitable[None]]


class Transition(StrEnum):
    """What became of a result, in the words of the wire (protocol facts 1.6)."""

    SUCCESS = "success_transition"
    FAILURE = "failure_handled"
    CANCELLED = "cancelled_handled"
    BRANCH = "parallel_branch_accepted"


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

    def __init__(self, node: NodeContext, writer: Writer, witness: Witness | None = None) -> None:
        """*witness* hears once of every report that was accepted, and of the message that it answers."""
        self._store, self._clock, self._writer = node.store, node.clock, writer
        self._witness = witness

    async def held(self, handle: Handle, worker_id: str, token: str | None = None) -> Lease | None:
        """The lease under which the worker holds this delivery of the task, or None.

        A worker that knows no token is recognised by its name and the delivery.
        """
        lease = await self._store.held(task_message_id(handle.task), now=self._clock.now())
        if lease is None or lease.owner != owner_of(worker_id) or lease.delivery != handle.delivery:
            return None
        body = lease.message.body
        if not isinstance(body, OfferTask) or body.task.attempt != handle.attempt:
            return None
        return lease if token is None or compare_digest(token.encode(), lease.token.encode()) else None

    async def take(self, job: JobId, handle: Handle, report: Report, token: str | None) -> Accepted:
        """The report is part of the job, once. Raises LeaseLost when the worker no longer held the task."""
        lease = await self.held(handle, report.worker, token)
        if lease is None or lease.message.job != job:
            return await self._seen_before(job, handle, report)
        kept = _by_contract(report, lease.message.body)
        event = TaskReported(handle.task, handle.attempt, handle.delivery, kept)
        before = await self._store.load(job)
        try:
            outcome = await self._writer.apply(job, event, ack=lease)
        except (LeaseLost, NotFound):
            return await self._seen_before(job, handle, report)
        if isinstance(outcome, Ignored):
            return await self._seen_before(job, handle, report)
        if self._witness is not None:
            await self._witness(kept, lease.message.id)
        return Accepted(_transition(kept, before is not None and isinstance(before.phase, Gathering)))

    async def signal(
        self, handle: Handle, worker_id: str, token: str | None, name: str, payload: Raw
    ) -> None:
        """The event is part of the job, which it may have moved on.

        Raises LeaseLost when the worker does not hold the task, Conflict when the task had too many.
        """
        lease = await self.held(handle, worker_id, token)
        if lease is None:
            raise LeaseLost("The task is not leased to this worker: the event is not applied.")
        event = TaskSignalled(handle.task, handle.attempt, handle.delivery, worker_id, name, payload)
        try:
            outcome = await self._writer.apply(lease.message.job, event)
        except NotFound as error:
            raise LeaseLost("The job is no longer there: the event is not applied.") from error
        if outcome == TOO_MANY:
            raise Conflict("The task had as many events as it may have.")
        if isinstance(outcome, Ignored):
            raise LeaseLost("The task is over: the event is not applied.")

    async def _seen_before(self, job: JobId, handle: Handle, report: Report) -> Accepted:
        """The answer to a repetition of a result that was accepted. Raises LeaseLost for any other."""
        facts = await self._store.facts(job)
        for fact in facts:
            event = fact.event
            if isinstance(event, TaskReported) and _handle(event) == handle and _same(event.report, report):
                return Accepted(_transition(event.report, _in_fan_out(facts, handle.task)), duplicate=True)
        raise LeaseLost("The task is not leased to this worker any more: the result is not applied.")


def _by_contract(report: Report, body: Body) -> Report:
    """The report, or the failure that it amounts to when its data breaks the schema of the order."""
    if report.failure is not None or not isinstance(body, OfferTask):
        return report
    order = body.task.order
    if order.output_schema == NULL or report.status == CANCELLED:
        return report
    wrong = violation(bytes(order.output_schema), bytes(report.data))
    if wrong is None:
        return report
    failure = Failure(code=CONTRACT, message=f"The data breaks output_schema: {wrong}", task=body.task.id)
    return msgspec.structs.replace(report, status=FAILURE, failure=failure)


def _same(kept: Report, report: Report) -> bool:
    if kept.failure is not None and kept.failure.code == CONTRACT and report.failure is None:
        return (kept.worker, kept.data) == (report.worker, report.data)
    return kept == report


def _handle(event: TaskReported) -> Handle:
    return Handle(event.task, event.attempt, event.delivery)


def _in_fan_out(facts: Sequence[Fact], task: TaskId) -> bool:
    opened = opened_by(task)[1]
    event = next((fact.event for fact in facts if fact.version == opened), None)
    return isinstance(event, Decided) and isinstance(event.decision, FanOut)


def _transition(report: Report, in_fan_out: bool) -> Transition:
    if in_fan_out:
        return Transition.BRANCH
    return {FAILURE: Transition.FAILURE, CANCELLED: Transition.CANCELLED}.get(
        report.status, Transition.SUCCESS
    )
