"""The worker's side of the house: RXON in, commands out. The only module that knows both vocabularies."""

import asyncio
import math
from collections.abc import Collection, Sequence
from typing import Final

from msgspec import Raw

from avtomatika import observe
from avtomatika.commands.access import Access
from avtomatika.commands.introduction import hot_of, introduction, skills_of, usage_of
from avtomatika.commands.offers import Offers, Wanted, owner_of
from avtomatika.commands.presence import Presence, Worker
from avtomatika.commands.results import Handle, Results
from avtomatika.commands.translation import check_json, offer_of, refused, report_of
from avtomatika.commands.withdrawals import Withdrawals
from avtomatika.errors import Conflict, InvalidInput, NotFound, Unauthorized, Unavailable
from avtomatika.kernel.effects import OfferTask
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.time import Span, after, seconds
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import LeaseLost
from rxon.errors import (
    AuthError,
    ForbiddenError,
    ProtocolError,
    StaleLeaseError,
    UnavailableError,
    WorkerUnknownError,
)
from rxon.messages import (
    EventAnswer,
    Heartbeat,
    HeartbeatAnswer,
    Registered,
    Registration,
    ResultAnswer,
    TaskOffer,
    TaskResult,
    WorkerEvent,
)
from rxon.transport import Credentials, PollRequest
from rxon.vocabulary import PROTOCOL_VERSION, AnswerStatus, ErrorCode, EventStatus

MAX_TASKS_A_POLL: Final = 1_000
MAX_EVENT_TYPE: Final = 255


class Gateway:
    """Implements `rxon.transport.WorkerGateway`."""

    def __init__(
        self,
        node: NodeContext,
        *,
        access: Access,
        presence: Presence,
        offers: Offers,
        results: Results,
        longest_poll: Span,
    ) -> None:
        self._store, self._clock = node.store, node.clock
        self._access, self._presence = access, presence
        self._offers, self._results = offers, results
        self._longest_poll = longest_poll
        self._withdrawals = Withdrawals(node, results)

    async def register(self, credentials: Credentials, registration: Registration) -> Registered:
        """The worker is present with the skills it declares. Raises AuthError, ForbiddenError."""
        self._authenticate(credentials, registration.worker_id)
        await self._presence.register(registration.worker_id, introduction(registration))
        return Registered(status="registered", version=PROTOCOL_VERSION)

    async def poll(
        self, credentials: Credentials, worker_id: str, request: PollRequest
    ) -> Sequence[TaskOffer]:
        """Tasks leased to the worker; none when none came within the time it is ready to wait."""
        worker = await self._worker(credentials, worker_id)
        longest = self._longest_poll
        asked = math.inf if request.timeout is None else request.timeout
        patience = longest if asked * 1_000 >= longest else seconds(asked)
        wanted = Wanted(worker.profile, request.available_skills, min(request.limit, MAX_TASKS_A_POLL))
        try:
            leases = await self._offers.take(wanted, after(self._clock.now(), patience))
        except Unavailable as error:
            raise UnavailableError(error.message) from error
        now, ttl = self._clock.now(), self._offers.lease_ttl
        bodies = ((lease, lease.message.body) for lease in leases)
        return [offer_of(lease, body, now, ttl) for lease, body in bodies if isinstance(body, OfferTask)]

    async def heartbeat(
        self, credentials: Credentials, worker_id: str, beat: Heartbeat | None
    ) -> HeartbeatAnswer:
        """The worker is present, its tasks are held for longer, and it hears which it must let go."""
        worker = await self._worker(credentials, worker_id)
        if beat is None:
            await self._presence.heard(worker)
            return HeartbeatAnswer(status="ok")
        if beat.worker_id not in (None, worker_id):
            raise ForbiddenError("A worker can only speak for itself.")
        skills = None if beat.supported_skills is None else skills_of(beat.supported_skills)
        await self._presence.heard(
            worker, status=beat.status, skills=skills, hot=hot_of(beat), usage=usage_of(beat)
        )
        try:
            lost = [task for task in beat.current_tasks or () if not await self._keep(task, worker_id)]
        except Unavailable as error:
            raise UnavailableError(error.message) from error
        return HeartbeatAnswer(status="ok", cancel_task_ids=tuple(lost) or None)

    async def report(self, credentials: Credentials, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        """One answer per result, each after it is durable. Results of one call are taken in together.

        Raises AuthError.
        """
        self._authenticate(credentials, credentials.worker_id)
        if len(results) == 1:
            return (await self._report(credentials, results[0]),)
        return await asyncio.gather(*(self._answer(credentials, result) for result in results))

    async def _answer(self, credentials: Credentials, result: TaskResult) -> ResultAnswer:
        """The answer within a batch: what is wrong with one result does not stop the others."""
        try:
            return await self._report(credentials, result)
        except (ProtocolError, AuthError, ForbiddenError) as error:
            return ResultAnswer(status=AnswerStatus.REFUSED, code=error.code, message=error.message)

    async def _report(self, credentials: Credentials, result: TaskResult) -> ResultAnswer:
        worker_id = result.worker_id or credentials.worker_id
        if worker_id is None:
            raise ProtocolError("A result names its worker.", details={"field": "worker_id"})
        self._authenticate(credentials, worker_id)
        try:
            handle = Handle.parse(result.task_id)
            report = report_of(result, worker_id, handle)
            accepted = await self._results.take(JobId(result.job_id), handle, report, result.lease_token)
        except LeaseLost as error:
            return refused(result, error)
        except InvalidInput as error:
            raise ProtocolError(error.message, details={"field": error.field}) from error
        except Unavailable as error:
            raise UnavailableError(error.message) from error
        if accepted.duplicate:
            observe.measured("task.ignored", reason="duplicate")
        return ResultAnswer(
            status=AnswerStatus.ACCEPTED, transition=accepted.transition, duplicate=accepted.duplicate
        )

    async def emit(self, credentials: Credentials, event: WorkerEvent) -> EventAnswer:
        """The event is part of the job whose task the worker holds; one about no task is only noted.

        Raises AuthError, ForbiddenError, StaleLeaseError.
        """
        worker = event.worker_id
        self._authenticate(credentials, worker)
        name, task = event.event_type, event.task_id
        if not 0 < len(name) <= MAX_EVENT_TYPE:
            message = f"The type of an event has 1 to {MAX_EVENT_TYPE} characters."
            raise ProtocolError(message, details={"field": "event_type"})
        payload = Raw(bytes(event.payload))
        check_json(payload, "payload")
        if task is None:
            observe.event("worker.event", worker=worker, type=repr(name), id=repr(event.event_id))
            return EventAnswer(EventStatus.ACCEPTED)
        try:
            await self._results.signal(Handle.parse(task), worker, event.lease_token, name, payload)
        except LeaseLost as error:
            if event.lease_token is None:
                raise ForbiddenError(f"Worker '{worker}' is not assigned to this task.") from error
            raise StaleLeaseError(error.message) from error
        except InvalidInput as error:
            raise ProtocolError(error.message, details={"field": "target_task_id"}) from error
        except Conflict as error:
            return EventAnswer(EventStatus.ERROR, ErrorCode.LIMIT_EXCEEDED_ERROR, error.message)
        except Unavailable as error:
            raise UnavailableError(error.message) from error
        return EventAnswer(EventStatus.ACCEPTED)

    async def withdrawn(
        self, credentials: Credentials, worker_id: str, tasks: Collection[str], timeout: float
    ) -> Sequence[str]:
        """Those of *tasks* that the worker lost, as soon as there are some; else none in the end."""
        self._authenticate(credentials, worker_id)
        until = after(self._clock.now(), seconds(timeout))
        try:
            return await self._withdrawals.first(worker_id, tasks, until)
        except Unavailable as error:
            raise UnavailableError(error.message) from error

    async def _worker(self, credentials: Credentials, worker_id: str) -> Worker:
        self._authenticate(credentials, worker_id)
        try:
            return await self._presence.get(worker_id)
        except NotFound as error:
            raise WorkerUnknownError(error.message) from error

    def _authenticate(self, credentials: Credentials, worker_id: str | None) -> None:
        try:
            self._access.worker(credentials.token, worker_id)
        except Unauthorized as error:
            raise AuthError(f"Unauthorized: {error.message}") from error
        if credentials.worker_id not in (None, worker_id):
            observe.measured("auth.mismatch", role="worker")
            raise ForbiddenError(f"Worker '{credentials.worker_id}' cannot speak for '{worker_id}'.")

    async def _keep(self, task: str, worker_id: str) -> bool:
        try:
            lease = await self._results.held(Handle.parse(task), worker_id)
            if lease is not None:
                lease = await self._store.extend(lease, now=self._clock.now(), ttl=self._offers.lease_ttl)
                self._offers.fleet.kept(worker_id, lease.message.id, lease.until)
        except (InvalidInput, LeaseLost):
            return False
        return lease is not None and lease.owner == owner_of(worker_id)
