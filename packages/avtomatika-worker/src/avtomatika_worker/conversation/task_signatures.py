"""Tasks of somebody who cannot sign them are not run."""

import logging
import time
from collections.abc import Iterator, Sequence

from avtomatika_worker.watching.relay import Relay
from rxon.codec import encode
from rxon.errors import ProtocolError, RxonError
from rxon.messages import TaskError, TaskOffer, TaskResult
from rxon.signing.shared_key import verify_task
from rxon.transport import PollRequest, WorkerTransport
from rxon.vocabulary import ErrorCode, TaskStatus

__all__ = ["SignedTasksOnly"]

REFUSAL = TaskError(
    ErrorCode.SECURITY_ERROR.value, "The task is not signed with the key that the worker knows"
)

_log = logging.getLogger(__name__)


class SignedTasksOnly(Relay):
    """Lets tasks through whose ``sig`` was made with ``key``.

    The others are reported as failed with SECURITY_ERROR, so that nobody waits for them.
    """

    def __init__(self, way: WorkerTransport, worker_id: str, key: str) -> None:
        super().__init__(way)
        self._worker_id = worker_id
        self._key = key

    async def poll(self, request: PollRequest) -> Sequence[TaskOffer]:
        """Tasks for this worker that are signed; empty when none came in time."""
        offers = await super().poll(request)
        signed = {offer.task_id for offer in offers if self._is_signed(offer)}
        unsigned = [offer for offer in offers if offer.task_id not in signed]
        if not unsigned:
            return offers
        for offer in unsigned:
            _log.error("Task %s is not signed with ORCHESTRATOR_SECRET_KEY and is not run", offer.task_id)
        try:
            await super().report([self._refused(offer) for offer in unsigned])
        except RxonError as error:
            _log.warning("Tasks that were refused could not be reported: %s", error.message)
        return [offer for offer in offers if offer.task_id in signed]

    def _is_signed(self, offer: TaskOffer) -> bool:
        try:
            return any(verify_task(body, offer.sig, self._key) for body in _bodies(offer))
        except ProtocolError:
            return False

    def _refused(self, offer: TaskOffer) -> TaskResult:
        return TaskResult(
            job_id=offer.job_id,
            task_id=offer.task_id,
            worker_id=self._worker_id,
            status=TaskStatus.FAILURE.value,
            error=REFUSAL,
            timestamp=int(time.time()),
            lease_token=offer.lease_token,
        )


def _bodies(offer: TaskOffer) -> Iterator[bytes]:
    """The task as we write it, and as earlier orchestrators do, who leave no default out."""
    yield encode(offer)
    said = {name: getattr(offer, name) for name in TaskOffer.__struct_fields__}
    yield encode({name: value for name, value in said.items() if value is not None})
