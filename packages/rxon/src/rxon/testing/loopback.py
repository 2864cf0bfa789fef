"""A worker and an orchestrator in one process, without a network between them."""

from collections.abc import Sequence

import msgspec

from rxon.codec import decode, encode
from rxon.messages import (
    EventAnswer,
    Heartbeat,
    HeartbeatAnswer,
    Registered,
    Registration,
    ResultAnswer,
    ResultAnswers,
    ResultBatch,
    TaskBatch,
    TaskOffer,
    TaskResult,
    WorkerEvent,
)
from rxon.transport import Credentials, PollRequest, WorkerGateway

__all__ = ["LoopbackTransport"]


class LoopbackTransport:
    """A WorkerTransport that calls ``gateway`` directly.

    Messages pass through their bytes, so that nothing arrives which could not be sent. ``transports`` are
    offered to whoever registers: ``stream`` is what a LoopbackOpener opens.
    """

    def __init__(
        self, gateway: WorkerGateway, worker_id: str, token: str, transports: Sequence[str] = ()
    ) -> None:
        self._gateway = gateway
        self._transports = tuple(transports)
        self._worker_id = worker_id
        self._credentials = Credentials(token, worker_id)

    async def register(self, registration: Registration) -> Registered:
        """The gateway knows the worker."""
        arrived = decode(Registration, encode(registration))
        answer = await self._gateway.register(self._credentials, arrived)
        return decode(Registered, encode(msgspec.structs.replace(answer, transports=self._transports)))

    async def poll(self, request: PollRequest) -> Sequence[TaskOffer]:
        """Tasks for this worker; empty when none came in time."""
        offers = await self._gateway.poll(self._credentials, self._worker_id, request)
        return decode(TaskBatch, encode(TaskBatch(tuple(offers)))).tasks

    async def heartbeat(self, beat: Heartbeat | None) -> HeartbeatAnswer:
        """The gateway knows that the worker is alive."""
        arrived = None if beat is None else decode(Heartbeat, encode(beat))
        answer = await self._gateway.heartbeat(self._credentials, self._worker_id, arrived)
        return decode(HeartbeatAnswer, encode(answer))

    async def report(self, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        """One answer per result, in order."""
        arrived = decode(ResultBatch, encode(ResultBatch(tuple(results)))).results
        answers = await self._gateway.report(self._credentials, arrived)
        return decode(ResultAnswers, encode(ResultAnswers(tuple(answers)))).results

    async def emit(self, event: WorkerEvent) -> EventAnswer:
        """The gateway has judged the event."""
        answer = await self._gateway.emit(self._credentials, decode(WorkerEvent, encode(event)))
        return decode(EventAnswer, encode(answer))

    async def close(self) -> None:
        """Nothing is open; nothing happens."""
