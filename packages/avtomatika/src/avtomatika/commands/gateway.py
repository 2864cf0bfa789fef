"""The worker's side of the house: RXON in, commands out. The only module that knows both vocabularies."""

import asyncio
import math
from collections.abc import Collection, Sequence
from functools import partial
from typing import Final

from msgspec import Raw

from avtomatika import observe
from avtomatika.commands.admission import Admission
from avtomatika.commands.declared import declared_by
from avtomatika.commands.heard import Told
from avtomatika.commands.introduction import hot_of, introduction, is_another, skills_of, usage_of
from avtomatika.commands.offers import Offers, Wanted, owner_of
from avtomatika.commands.pace import Patience
from avtomatika.commands.presence import Presence, SignOfLife, Worker
from avtomatika.commands.reports import Reports
from avtomatika.commands.results import Handle, Results
from avtomatika.commands.translation import Terms, check_json, worded
from avtomatika.commands.withdrawals import Tasks, Withdrawals
from avtomatika.errors import Conflict, InvalidInput, NotFound
from avtomatika.kernel.time import after, seconds
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import LeaseLost
from rxon.errors import (
    ForbiddenError,
    ProtocolError,
    StaleLeaseError,
    WorkerUnknownError,
)
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
from rxon.signing.content import EVENT_IGNORES
from rxon.transport import Credentials, PollRequest
from rxon.vocabulary import PROTOCOL_VERSION, ErrorCode, EventStatus

MAX_TASKS_A_POLL: Final = 1_000
MAX_EVENT_TYPE: Final = 255


class Gateway:
    """Implements `rxon.transport.WorkerGateway`."""

    def __init__(
        self,
        node: NodeContext,
        *,
        admission: Admission,
        presence: Presence,
        offers: Offers,
        results: Results,
        terms: Terms,
    ) -> None:
        self._store, self._clock = node.store, node.clock
        self.admission, self._presence = admission, presence
        self._offers, self._results = offers, results
        self._terms = terms
        self._reports = Reports(node, admission, presence, results)
        self._withdrawals = Withdrawals(node, results)
        self._patience = Patience(node.clock, terms.events)

    @worded
    async def register(self, credentials: Credentials, registration: Registration) -> Registered:
        """The worker is present with the skills it declares.

        Raises AuthError, ForbiddenError, and RateLimitError when it declares others too often.
        """
        worker_id = registration.worker_id
        await self.admission.admit_message(credentials, worker_id, registration)
        known = self._presence.knows(worker_id)
        self._patience.presented(worker_id, len(credentials.body or b""), known=known)
        said = introduction(registration, credentials.generation)
        await self._presence.register(worker_id, said)
        return Registered(status="registered", version=PROTOCOL_VERSION)

    @worded
    async def poll(
        self, credentials: Credentials, worker_id: str, request: PollRequest
    ) -> Sequence[TaskOffer]:
        """Tasks leased to the worker; none when none came within the time it is ready to wait."""
        worker = await self._worker(credentials, worker_id)
        longest = self._terms.longest_poll
        asked = math.inf if request.timeout is None else request.timeout
        patience = longest if asked * 1_000 >= longest else seconds(asked)
        wanted = Wanted(worker.profile, request.available_skills, min(request.limit, MAX_TASKS_A_POLL))
        leases = await self._offers.take(wanted, after(self._clock.now(), patience))
        try:
            offers = await self._terms.offers(leases, self._clock.now(), self._offers.lease_ttl)
        except BaseException:
            await self._offers.release(leases)
            raise
        if offers and credentials.generation is not Generation.OURS:
            await self._presence.holdings.add(worker_id, [offer.task_id for offer in offers])
        return offers

    @worded
    async def heartbeat(
        self, credentials: Credentials, worker_id: str, beat: Heartbeat | None
    ) -> HeartbeatAnswer:
        """The worker is present, its tasks are held for longer, and it hears which it must let go."""
        if beat is None:
            await self._heard(await self._worker(credentials, worker_id), SignOfLife())
            return HeartbeatAnswer(status="ok")
        if beat.worker_id not in (None, worker_id):
            raise ForbiddenError("A worker can only speak for itself.")
        await self.admission.admit_message(credentials, worker_id, beat)
        worker = await self._present(worker_id)
        skills, unsynced = None, False
        if beat.supported_skills is not None:
            self._patience.presented(worker_id, len(credentials.body or b""), known=True)
            skills = skills_of(beat.supported_skills)
        else:
            unsynced = beat.skills_hash not in (None, worker.skills_hash)
            if is_another(beat, worker):
                self._patience.changed(worker_id)
        said = SignOfLife(
            status=beat.status,
            skills=skills,
            skills_hash=beat.skills_hash,
            declared=declared_by(beat.supported_skills or ()),
            hot=hot_of(beat, worker.profile.skills if skills is None else [skill.name for skill in skills]),
            usage=usage_of(beat),
        )
        await self._heard(worker, said)
        lost = await self._lost(worker, beat.current_tasks)
        told = await self._presence.mailbox.take(worker_id) if worker.generation is Generation.OURS else ()
        return HeartbeatAnswer("ok", unsynced, tuple(lost) or None, tuple(told) or None)

    async def _lost(self, worker: Worker, listed: Sequence[str] | None) -> Sequence[str]:
        """Which of its tasks the worker does not hold any more. It holds the others for longer.

        A worker of a generation that does not list its tasks has those that it was handed.
        """
        name, holdings = worker.profile.id, self._presence.holdings
        if listed is None:
            unlisted = worker.generation is not Generation.OURS
            listed = tuple(await holdings.of(name)) if unlisted else ()
        kept = await asyncio.gather(*(self._keep(task, name) for task in listed))
        lost = [task for task, stands in zip(listed, kept, strict=True) if not stands]
        if lost and worker.generation is not Generation.OURS:
            await holdings.discard(name, lost)
        return lost

    @worded
    async def report(self, credentials: Credentials, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        """One answer per result, each after it is durable. Results of one call are taken in together.

        Raises AuthError.
        """
        return await self._reports.take(credentials, results)

    @worded
    async def emit(self, credentials: Credentials, event: WorkerEvent) -> EventAnswer:
        """The event is part of the job whose task the worker holds; one about no task is only noted.

        A worker that tells much is answered later. Raises AuthError, ForbiddenError, StaleLeaseError, and
        RateLimitError when it does not wait for answers.
        """
        worker = event.worker_id
        origin = await self.admission.admit_message(credentials, worker, event, EVENT_IGNORES)
        name, task = event.event_type, event.task_id
        if not 0 < len(name) <= MAX_EVENT_TYPE:
            message = f"The type of an event has 1 to {MAX_EVENT_TYPE} characters."
            raise ProtocolError(message, details={"field": "event_type"})
        payload = Raw(bytes(event.payload))
        await self._patience.told(worker, task or "", len(payload))
        check_json(payload, "payload")
        if task is None:
            observe.event("worker.event", worker=worker, type=repr(name), id=repr(event.event_id))
            return EventAnswer(EventStatus.ACCEPTED)
        try:
            told = Told(event.event_id, name, payload, origin or "")
            handle = Handle.parse(task)
            wrong = await self._breach(handle, worker, told)
            if wrong is not None:
                return EventAnswer(EventStatus.ERROR, ErrorCode.CONTRACT_VIOLATION_ERROR, wrong)
            await self._results.signal(handle, worker, event.lease_token, told)
        except LeaseLost as error:
            if event.lease_token is None:
                raise ForbiddenError(f"Worker '{worker}' is not assigned to this task.") from error
            raise StaleLeaseError(error.message) from error
        except InvalidInput as error:
            raise ProtocolError(error.message, details={"field": "target_task_id"}) from error
        except Conflict as error:
            return EventAnswer(EventStatus.ERROR, ErrorCode.LIMIT_EXCEEDED_ERROR, error.message)
        return EventAnswer(EventStatus.ACCEPTED)

    @worded
    async def withdrawn(
        self, credentials: Credentials, worker_id: str, tasks: Collection[str], timeout: float
    ) -> Sequence[str]:
        """Those of *tasks* that the worker lost, as soon as there are some; else none in the end."""

        async def _listed() -> Collection[str]:
            return tasks

        return await self._withdrawn(credentials, worker_id, _listed, timeout)

    @worded
    async def called_back(self, credentials: Credentials, worker_id: str, timeout: float) -> Sequence[str]:
        """The same of the tasks that the worker was handed, at whatever node."""
        holdings = self._presence.holdings
        listed = partial(holdings.of, worker_id)
        lost = await self._withdrawn(credentials, worker_id, listed, timeout)
        await holdings.discard(worker_id, lost)
        return lost

    async def _withdrawn(
        self, credentials: Credentials, worker_id: str, tasks: Tasks, timeout: float
    ) -> Sequence[str]:
        await self.admission.admit(credentials, worker_id)
        return await self._withdrawals.first(worker_id, tasks, after(self._clock.now(), seconds(timeout)))

    @worded
    async def give_back(self, credentials: Credentials, worker_id: str, offers: Sequence[TaskOffer]) -> None:
        """What did not reach the worker is available again, as if the worker had never had it."""
        await self.admission.admit(credentials, worker_id)
        handles = [(Handle.parse(offer.task_id), offer.lease_token) for offer in offers]
        found = [await self._results.held(handle, worker_id, token) for handle, token in handles]
        await self._offers.release(lease for lease in found if lease is not None)

    @worded
    async def told(self, credentials: Credentials, worker_id: str, timeout: float) -> Sequence[WorkerCommand]:
        """Commands of operators, as soon as one comes in; one that was not announced here, in the end."""
        await self.admission.admit(credentials, worker_id)
        until = after(self._clock.now(), seconds(timeout))
        return await self._presence.mailbox.announced(worker_id, until)

    async def _breach(self, handle: Handle, worker_id: str, told: Told) -> str | None:
        """What is wrong with the event by what the worker declared of the skill, or None."""
        declared = await self._presence.declared(worker_id)
        skill = await self._results.skill(handle, worker_id) if declared else None
        known = None if skill is None else declared.get(skill)
        return None if known is None else known.breach(told.name, told.payload)

    async def _worker(self, credentials: Credentials, worker_id: str) -> Worker:
        await self.admission.admit(credentials, worker_id)
        return await self._present(worker_id)

    async def _present(self, worker_id: str) -> Worker:
        try:
            return await self._presence.get(worker_id)
        except NotFound as error:
            raise WorkerUnknownError(error.message) from error

    async def _heard(self, worker: Worker, said: SignOfLife) -> None:
        try:
            await self._presence.heard(worker, said)
        except NotFound as error:
            raise WorkerUnknownError(error.message) from error

    async def _keep(self, task: str, worker_id: str) -> bool:
        try:
            lease = await self._results.known(Handle.parse(task), worker_id)
            if lease is not None:
                lease = await self._store.extend(lease, now=self._clock.now(), ttl=self._offers.lease_ttl)
                self._offers.fleet.kept(worker_id, lease)
        except (InvalidInput, LeaseLost):
            return False
        return lease is not None and lease.owner == owner_of(worker_id)
