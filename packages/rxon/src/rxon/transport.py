"""The conversation between a worker and an orchestrator, whatever carries it.

Both sides have the same verbs: a worker calls a WorkerTransport, and the call arrives at the
orchestrator's WorkerGateway with the credentials of the caller.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, runtime_checkable

import msgspec

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
    TokenAnswer,
    WorkerCommand,
    WorkerEvent,
)

__all__ = [
    "Credentials",
    "PollRequest",
    "PushTransport",
    "SparingTransport",
    "WorkerDesk",
    "WorkerGateway",
    "WorkerTransport",
]


class Credentials(msgspec.Struct, frozen=True):
    """Who says it is calling; nothing about it is verified yet.

    ``body`` is the one message that came with them, as it was sent: a signature in it covers these bytes.
    ``generation`` is how the caller speaks. ``certified`` are the workers that the certificate of the
    connection is for, which alone is verified; ``token`` may be empty beside it.
    """

    token: str
    worker_id: str | None
    body: bytes | None = None
    generation: Generation = Generation.OURS
    certified: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Credentials(worker_id={self.worker_id!r})"


class PollRequest(msgspec.Struct, frozen=True):
    """A request for tasks.

    ``timeout`` is how many seconds the caller is ready to wait. ``available_skills`` None means
    every skill that was registered, an empty set none. ``limit`` is the most tasks to hand out.
    """

    timeout: float | None = None
    available_skills: frozenset[str] | None = None
    hot_skills: tuple[str, ...] = ()
    limit: int = 1


class WorkerGateway(Protocol):
    """Server side. Each verb raises RxonError for what the caller did wrong."""

    async def register(self, credentials: Credentials, registration: Registration) -> Registered:
        """The worker is known and may poll."""
        ...

    async def poll(
        self, credentials: Credentials, worker_id: str, request: PollRequest
    ) -> Sequence[TaskOffer]:
        """Up to ``request.limit`` tasks, leased to the worker; empty when none came in time."""
        ...

    async def heartbeat(
        self, credentials: Credentials, worker_id: str, beat: Heartbeat | None
    ) -> HeartbeatAnswer:
        """The worker is alive for another while, and so are the leases of the tasks it lists.

        ``beat`` None only says that the worker is alive.
        """
        ...

    async def report(self, credentials: Credentials, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        """One answer per result, in order, each given after the result is durable."""
        ...

    async def emit(self, credentials: Credentials, event: WorkerEvent) -> EventAnswer:
        """The event is durable if it is about a task, and the caller held that task."""
        ...

    async def withdrawn(
        self, credentials: Credentials, worker_id: str, tasks: Collection[str], timeout: float
    ) -> Sequence[str]:
        """Those of ``tasks`` that were taken from the worker, as soon as there are some; none in time: empty.

        ``tasks`` may change meanwhile: those that are there when one is taken count.
        """
        ...

    async def give_back(self, credentials: Credentials, worker_id: str, offers: Sequence[TaskOffer]) -> None:
        """What a poll brought, and did not reach the worker, is available again."""
        ...

    async def told(self, credentials: Credentials, worker_id: str, timeout: float) -> Sequence[WorkerCommand]:
        """Commands that operators sent to the worker, as soon as there are some; none in time: empty.

        They are not given out again.
        """
        ...


class WorkerDesk(Protocol):
    """Server side, beside the gateway: what workers of earlier generations need, and tokens.

    Each verb raises RxonError for what the caller did wrong.
    """

    async def generation(self, worker_id: str) -> Generation | None:
        """How the worker spoke when it registered; None for one that is not known."""
        ...

    async def identify(self, credentials: Credentials, named: str | None) -> str | None:
        """Whose the credentials are, which is ``named`` if that is given.

        None when they are good for every worker and name none.
        """
        ...

    async def holder(self, task_id: str) -> str | None:
        """The worker that holds the task, or None."""
        ...

    async def mail(self, worker_id: str, timeout: float) -> Sequence[WorkerCommand]:
        """Commands that operators sent to the worker, as soon as there are some; none in time: empty.

        They are not given out again.
        """
        ...

    async def stopped(
        self, credentials: Credentials, worker_id: str, timeout: float
    ) -> Sequence[WorkerCommand]:
        """``cancel_task`` for every task that was taken from the worker, as soon as there is one."""
        ...

    async def issue(self, credentials: Credentials) -> TokenAnswer:
        """A token that opens for a while, and one to renew it with."""
        ...

    async def renew(
        self, worker_id: str | None, refresh_token: str, certified: Sequence[str] = ()
    ) -> TokenAnswer:
        """The same, for a token to renew, which is good for one time.

        ``certified`` as in Credentials.
        """
        ...


class WorkerTransport(Protocol):
    """Client side. Each verb raises RxonError; TransportError when the server was not reached."""

    async def register(self, registration: Registration) -> Registered:
        """The server knows the worker."""
        ...

    async def poll(self, request: PollRequest) -> Sequence[TaskOffer]:
        """Tasks for this worker; empty when none came in time."""
        ...

    async def heartbeat(self, beat: Heartbeat | None) -> HeartbeatAnswer:
        """The server knows that the worker is alive."""
        ...

    async def report(self, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        """Answers for at least the first of ``results``, in order.

        There may be fewer answers than results: report the rest again.
        """
        ...

    async def emit(self, event: WorkerEvent) -> EventAnswer:
        """The server has judged the event."""
        ...

    async def close(self) -> None:
        """Connections are closed; calling it again does nothing."""
        ...


@runtime_checkable
class SparingTransport(WorkerTransport, Protocol):
    """Client side of a transport that can be used in another event loop, while its own does not run."""

    def spare(self) -> WorkerTransport | None:
        """Another one with connections of its own, or None. May be called in any thread."""
        ...


@runtime_checkable
class PushTransport(WorkerTransport, Protocol):
    """Client side of a transport over which the server speaks first."""

    def listen(
        self,
        cancelled: Callable[[Sequence[str]], None],
        changed: Callable[[], None],
        told: Callable[[Sequence[WorkerCommand]], None] = lambda commands: None,
    ) -> None:
        """``cancelled`` gets the tasks that are to be stopped, as soon as the server says so.

        ``changed`` is called when the way to the server was cut, and when there is a new one. ``told``
        gets the commands of operators.
        """
        ...

    def ready(self, request: PollRequest) -> None:
        """The server hears what there is room for now, while a poll goes on."""
        ...
