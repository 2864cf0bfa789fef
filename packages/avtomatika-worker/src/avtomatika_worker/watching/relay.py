"""A transport between the worker and another transport, for what is to happen on the way."""

from collections.abc import Callable, Sequence

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
from rxon.transport import PollRequest, PushTransport, SparingTransport, WorkerTransport

__all__ = ["Relay"]


class Relay:
    """Passes everything on to ``way``; where that cannot be pushed to, nothing is pushed."""

    def __init__(self, way: WorkerTransport) -> None:
        self._way = way
        self._pushing = way if isinstance(way, PushTransport) else None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._way!r})"

    @property
    def streaming(self) -> bool:
        """Whether a stream is open."""
        return bool(getattr(self._way, "streaming", False))

    def spare(self) -> WorkerTransport | None:
        """Another way for another event loop, on which nothing happens."""
        return self._way.spare() if isinstance(self._way, SparingTransport) else None

    async def register(self, registration: Registration) -> Registered:
        """The server knows the worker."""
        return await self._way.register(registration)

    async def poll(self, request: PollRequest) -> Sequence[TaskOffer]:
        """Tasks for this worker; empty when none came in time."""
        return await self._way.poll(request)

    async def heartbeat(self, beat: Heartbeat | None) -> HeartbeatAnswer:
        """The server knows that the worker is alive."""
        return await self._way.heartbeat(beat)

    async def report(self, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        """Answers for at least the first of ``results``, in order."""
        return await self._way.report(results)

    async def emit(self, event: WorkerEvent) -> EventAnswer:
        """The server has judged the event."""
        return await self._way.emit(event)

    async def close(self) -> None:
        """Connections are closed; calling it again does nothing."""
        await self._way.close()

    def listen(
        self,
        cancelled: Callable[[Sequence[str]], None],
        changed: Callable[[], None],
        told: Callable[[Sequence[WorkerCommand]], None],
    ) -> None:
        """``cancelled`` gets tasks to stop, ``changed`` is called when a stream was cut or opened.

        ``told`` gets commands.
        """
        if self._pushing is not None:
            self._pushing.listen(cancelled, changed, told)

    def ready(self, request: PollRequest) -> None:
        """The server hears what there is room for, if there is a stream."""
        if self._pushing is not None:
            self._pushing.ready(request)
