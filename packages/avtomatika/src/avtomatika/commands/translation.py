"""Tasks and results between the wire and the kernel: the same things in two vocabularies."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Raw

from avtomatika import observe
from avtomatika.blueprints.encoding import decoded
from avtomatika.commands.pace import EVENTS_A_SECOND
from avtomatika.commands.results import Accepted, Handle
from avtomatika.errors import AvtomatikaError, IntegrityError, Unavailable
from avtomatika.kernel.effects import OfferTask
from avtomatika.kernel.model import NULL, Failure, Report
from avtomatika.kernel.retry import TRANSIENT
from avtomatika.kernel.rules.task import FAILURE
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.store import Lease
from rxon.codec import encode
from rxon.errors import ProtocolError, UnavailableError
from rxon.messages import ResultAnswer, TaskOffer, TaskResult
from rxon.signing.shared_key import sign_task
from rxon.vocabulary import AnswerStatus, IgnoredReason

Verb = TypeVar("Verb", bound=Callable[..., Coroutine[Any, Any, Any]])


def worded(verb: Verb) -> Verb:
    """The verb, which says in the words of the wire that the store is out of reach: UnavailableError."""

    @wraps(verb)
    async def _asked(*args: Any, **kwargs: Any) -> Any:
        try:
            return await verb(*args, **kwargs)
        except Unavailable as error:
            raise UnavailableError(error.message) from error

    return cast("Verb", _asked)  # it takes and gives what the verb does


class Terms(msgspec.Struct, frozen=True):
    """On what terms workers get tasks: how long a poll may wait, and the key that signs tasks, if any.

    `whole` brings back the params that are kept aside. A task may tell so many `events` in a second.
    """

    longest_poll: Span
    key: str | None = None
    whole: Callable[[OfferTask], Awaitable[OfferTask]] | None = None
    events: int = EVENTS_A_SECOND

    async def offers(self, leases: Sequence[Lease], now: Instant, ttl: Span) -> Sequence[TaskOffer]:
        """The tasks, whole. One whose params are lost is left out: it will have been given too often.

        Raises Unavailable when params are out of reach.
        """
        made = list[TaskOffer]()
        for lease in leases:
            body = lease.message.body
            if isinstance(body, OfferTask):
                try:
                    whole = body if self.whole is None else await self.whole(body)
                except IntegrityError as error:
                    observe.warning("task.lost_params", task=body.task.id, why=error.message)
                    continue
                made.append(self.offer(lease, whole, now, ttl))
        return made

    def offer(self, lease: Lease, body: OfferTask, now: Instant, ttl: Span) -> TaskOffer:
        """The task as the worker that has the lease hears of it.

        It holds the task for *ttl* without a heartbeat.
        """
        task = body.task
        offer = TaskOffer(
            job_id=body.job,
            task_id=str(Handle(task.id, task.attempt, lease.delivery)),
            type=task.order.skill,
            params=task.order.params,
            tracing_context=body.tracing,
            deadline=None if task.result_due is None else task.result_due // 1_000,
            timestamp=now // 1_000,
            lease_token=lease.token,
            lease_seconds=ttl / 1_000,
        )
        if task.order.priority:  # what holds its default is left out only when it is never mentioned
            offer = msgspec.structs.replace(offer, priority=task.order.priority)
        if self.key is None:
            return offer
        return msgspec.structs.replace(offer, sig=sign_task(encode(offer), self.key))


def report_of(result: TaskResult, worker_id: str, handle: Handle, origin: str = "") -> Report:
    """What the result says came of the task. Raises ProtocolError for data that is no JSON."""
    data = NULL if result.data is None else Raw(bytes(result.data))
    check_json(data, "data")
    if result.status != FAILURE:
        return Report(status=result.status, worker=worker_id, data=data, origin=origin)
    code, message = TRANSIENT, "The worker gave no reason."
    details = NULL
    if result.error is not None:
        code, message = result.error.code, result.error.message
        details = NULL if result.error.details is None else Raw(msgspec.json.encode(result.error.details))
    failure = Failure(code=code, message=message, task=handle.task, details=details)
    return Report(status=FAILURE, worker=worker_id, data=data, failure=failure, origin=origin)


def check_json(data: Raw, field: str) -> None:
    """The data is JSON. Raises ProtocolError that names the field."""
    try:
        decoded(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"The {field} must be JSON: {error}", details={"field": field}) from error


def answered(accepted: Accepted) -> ResultAnswer:
    """That the result is part of the job."""
    if accepted.duplicate:
        observe.measured("task.ignored", reason="duplicate")
    return ResultAnswer(
        status=AnswerStatus.ACCEPTED, transition=accepted.transition, duplicate=accepted.duplicate
    )


def refused(result: TaskResult, error: AvtomatikaError, reason: IgnoredReason) -> ResultAnswer:
    """A worker that speaks of leases is refused; one of an earlier generation knows 'ignored' only."""
    observe.measured("task.ignored", reason="stale")
    if result.lease_token is None:
        return ResultAnswer(status=AnswerStatus.IGNORED, reason=reason, message=error.message)
    return ResultAnswer(status=AnswerStatus.REFUSED, code=error.code, message=error.message)
