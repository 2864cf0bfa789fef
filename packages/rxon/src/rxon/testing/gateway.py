"""An orchestrator's side of the conversation, kept in memory, for tests of workers."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from rxon.codec import encode
from rxon.errors import AuthError, StaleLeaseError, WorkerUnknownError
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
from rxon.transport import Credentials, PollRequest
from rxon.vocabulary import PROTOCOL_VERSION, AnswerStatus, EventStatus, IgnoredReason

__all__ = ["MemoryGateway"]


class MemoryGateway:
    """A WorkerGateway that hands out the tasks a test offers and records what workers say.

    Leases do not expire: a task is open until its result is accepted or ``revoke`` is called.
    Everything it has seen is in ``registrations``, ``polls``, ``beats``, ``results``
    and ``events``.
    """

    def __init__(self, token: str = "token", lease_seconds: float | None = 30.0) -> None:
        self.registrations: list[Registration] = []
        self.polls: list[PollRequest] = []
        self.beats: list[Heartbeat | None] = []
        self.results: list[TaskResult] = []
        self.events: list[WorkerEvent] = []
        self.cancelled: set[str] = set()
        self._token = token
        self._lease_seconds = lease_seconds
        self._waiting: list[TaskOffer] = []
        self._open: dict[str, TaskOffer] = {}
        self._done: dict[str, str | None] = {}
        self._known: set[str] = set()
        self._changed = asyncio.Condition()
        self._offered = 0
        self._mail: list[WorkerCommand] = []

    async def tell(self, command: str, params: Any = None, **fields: Any) -> None:
        """The command is given out once, to whichever worker listens or beats first."""
        raw = None if params is None else msgspec.Raw(encode(params))
        self._mail.append(WorkerCommand(command=command, params=raw, **fields))
        await self._notify()

    async def offer(self, skill: str, params: Any = None, **fields: Any) -> str:
        """A task is waiting for any worker with ``skill``; its id is returned."""
        self._offered += 1
        task_id = f"task-{self._offered}"
        defaults: dict[str, Any] = {
            "job_id": f"job-{self._offered}",
            "lease_token": f"lease-{self._offered}",
            "lease_seconds": self._lease_seconds,
        }
        raw = msgspec.Raw(encode({} if params is None else params))
        self._waiting.append(TaskOffer(task_id=task_id, type=skill, params=raw, **(defaults | fields)))
        await self._notify()
        return task_id

    def revoke(self, task_id: str) -> None:
        """The lease of the task is over: its result will be refused as stale."""
        self._open.pop(task_id, None)

    def cancel(self, task_id: str) -> None:
        """The next heartbeat that lists the task is told to stop it."""
        self.cancelled.add(task_id)

    async def withdraw(self, task_id: str) -> None:
        """The lease of the task is over, and whoever holds it hears so at once."""
        self.revoke(task_id)
        self.cancelled.add(task_id)
        await self._notify()

    def forget_workers(self) -> None:
        """Every worker has to register again."""
        self._known.clear()

    async def result_of(self, task_id: str) -> TaskResult:
        """The accepted result of the task, as soon as there is one."""
        async with self._changed:
            await self._changed.wait_for(lambda: task_id in self._done)
        return next(result for result in self.results if result.task_id == task_id)

    async def seen(self, what: Callable[[], bool]) -> None:
        """Returns once ``what()``, asked after every message, is true."""
        async with self._changed:
            await self._changed.wait_for(what)

    async def register(self, credentials: Credentials, registration: Registration) -> Registered:
        """The worker is known."""
        self._check(credentials)
        self.registrations.append(registration)
        self._known.add(registration.worker_id)
        await self._notify()
        return Registered("registered", PROTOCOL_VERSION)

    async def poll(
        self, credentials: Credentials, worker_id: str, request: PollRequest
    ) -> Sequence[TaskOffer]:
        """Waiting tasks of the skills asked for, oldest first."""
        self._check(credentials, worker_id)
        self.polls.append(request)
        await self._notify()
        try:
            async with asyncio.timeout(request.timeout), self._changed:
                await self._changed.wait_for(lambda: self._eligible(request))
        except TimeoutError:
            return ()
        taken = self._eligible(request)[: request.limit]
        for offer in taken:
            self._waiting.remove(offer)
            self._open[offer.task_id] = offer
        return taken

    async def heartbeat(
        self, credentials: Credentials, worker_id: str, beat: Heartbeat | None
    ) -> HeartbeatAnswer:
        """The beat is recorded; cancelled tasks among its current ones are named."""
        self._check(credentials, worker_id)
        self.beats.append(beat)
        await self._notify()
        held = (beat.current_tasks or ()) if beat is not None else ()
        stop = tuple(task_id for task_id in held if task_id in self.cancelled)
        return HeartbeatAnswer("ok", cancel_task_ids=stop or None, commands=self._taken() or None)

    async def report(self, credentials: Credentials, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        """Results of open tasks are accepted once, later ones are duplicates or stale."""
        self._check(credentials, credentials.worker_id)
        answers = [self._judge(result) for result in results]
        await self._notify()
        return answers

    async def emit(self, credentials: Credentials, event: WorkerEvent) -> EventAnswer:
        """Events about no task, and those of open tasks, are recorded; others are stale."""
        self._check(credentials)
        if event.task_id is not None:
            offer = self._open.get(event.task_id)
            if offer is None or offer.lease_token != event.lease_token:
                raise StaleLeaseError
        self.events.append(event)
        await self._notify()
        return EventAnswer(EventStatus.ACCEPTED)

    async def withdrawn(
        self, credentials: Credentials, worker_id: str, tasks: Collection[str], timeout: float
    ) -> Sequence[str]:
        """Those of the tasks that were withdrawn."""
        self._check(credentials)
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: not self.cancelled.isdisjoint(tasks))
        except TimeoutError:
            return ()
        return sorted(self.cancelled.intersection(tasks))

    async def give_back(self, credentials: Credentials, worker_id: str, offers: Sequence[TaskOffer]) -> None:
        """Those of the tasks that are open wait again, before all others."""
        self._check(credentials)
        back = [offer for offer in offers if self._open.pop(offer.task_id, None) is not None]
        self._waiting[:0] = back
        await self._notify()

    async def told(self, credentials: Credentials, worker_id: str, timeout: float) -> Sequence[WorkerCommand]:
        """What the test tells."""
        self._check(credentials)
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: self._mail)
        except TimeoutError:
            return ()
        return self._taken()

    def _taken(self) -> tuple[WorkerCommand, ...]:
        mail, self._mail = tuple(self._mail), []
        return mail

    def _eligible(self, request: PollRequest) -> list[TaskOffer]:
        skills = request.available_skills
        return [offer for offer in self._waiting if skills is None or offer.type in skills]

    def _judge(self, result: TaskResult) -> ResultAnswer:
        offer = self._open.get(result.task_id)
        if offer is not None and offer.lease_token == result.lease_token:
            del self._open[result.task_id]
            self._done[result.task_id] = result.lease_token
            self.results.append(result)
            return ResultAnswer(status=AnswerStatus.ACCEPTED, transition="success_transition")
        if self._done.get(result.task_id, "") == result.lease_token:
            return ResultAnswer(status=AnswerStatus.IGNORED, reason=IgnoredReason.STALE_TASK, duplicate=True)
        return ResultAnswer(
            status=AnswerStatus.REFUSED, code="stale_lease", message="The lease of the task is over"
        )

    def _check(self, credentials: Credentials, worker_id: str | None = None) -> None:
        if credentials.token != self._token:
            raise AuthError("Unauthorized: No valid token found")
        if worker_id is not None and worker_id not in self._known:
            raise WorkerUnknownError

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
