"""What workers of earlier generations need beside the gateway: tokens for a while, commands over a socket."""

from collections.abc import Sequence

from avtomatika.commands.admission import Admission
from avtomatika.commands.gateway import Gateway
from avtomatika.commands.passes import Passes
from avtomatika.commands.presence import Presence
from avtomatika.commands.results import Handle, Results
from avtomatika.commands.translation import worded
from avtomatika.errors import Forbidden, InvalidInput, NotFound, Unauthorized
from avtomatika.kernel.ids import opened_by
from avtomatika.kernel.time import after, seconds
from avtomatika.ports.clock import Clock
from rxon.errors import AuthError, ForbiddenError, ProtocolError
from rxon.generations import Generation
from rxon.messages import TokenAnswer, WorkerCommand
from rxon.transport import Credentials
from rxon.vocabulary import CANCEL_TASK


class Desk:
    """Implements `rxon.transport.WorkerDesk`."""

    def __init__(
        self,
        clock: Clock,
        *,
        gateway: Gateway,
        presence: Presence,
        results: Results,
        passes: Passes,
    ) -> None:
        self._clock, self._gateway, self._presence = clock, gateway, presence
        self._results, self._passes = results, passes

    @property
    def _admission(self) -> Admission:
        return self._gateway.admission

    @worded
    async def generation(self, worker_id: str) -> Generation | None:
        """How the worker spoke when it registered; None for one that is not known."""
        try:
            return (await self._presence.get(worker_id)).generation
        except NotFound:
            return None

    @worded
    async def identify(self, credentials: Credentials, named: str | None) -> str | None:
        """Whose the credentials are. Raises AuthError, ForbiddenError."""
        return (await self._admission.admit(credentials, named or credentials.worker_id)).worker_id

    @worded
    async def holder(self, task_id: str) -> str | None:
        """The worker that holds the task, or None."""
        try:
            return await self._results.holder(Handle.parse(task_id))
        except InvalidInput:
            return None

    @worded
    async def mail(self, worker_id: str, timeout: float) -> Sequence[WorkerCommand]:
        """Commands that operators sent to the worker, as soon as there are some."""
        return await self._presence.mailbox.first(worker_id, after(self._clock.now(), seconds(timeout)))

    @worded
    async def stopped(
        self, credentials: Credentials, worker_id: str, timeout: float
    ) -> Sequence[WorkerCommand]:
        """`cancel_task` for every task that was taken from the worker, as soon as there is one."""
        return [_stop(task) for task in await self._gateway.called_back(credentials, worker_id, timeout)]

    @worded
    async def issue(self, credentials: Credentials) -> TokenAnswer:
        """A token that opens for a while. Raises AuthError, ForbiddenError, ProtocolError."""
        admitted = await self._admission.admit(credentials, credentials.worker_id)
        if admitted.worker_id is None:
            raise ProtocolError("Missing worker_id identification", details={"field": "X-Worker-ID"})
        if admitted.issued is not None:
            return await self._passes.again(admitted.issued, admitted.keys[0])
        secret = admitted.keys[0] if admitted.keys else ""
        return await self._passes.issue(admitted.worker_id, secret)

    @worded
    async def renew(
        self, worker_id: str | None, refresh_token: str, certified: Sequence[str] = ()
    ) -> TokenAnswer:
        """New tokens for one that is good for one time. Raises AuthError, ForbiddenError."""
        try:
            return await self._passes.renew(worker_id, refresh_token, certified)
        except Unauthorized as error:
            now = self._clock.now() // 1_000
            raise AuthError(f"Unauthorized: {error.message}", details={"server_time": now}) from error
        except Forbidden as error:
            raise ForbiddenError(error.message) from error


def _stop(task_id: str) -> WorkerCommand:
    job, _, _ = opened_by(Handle.parse(task_id).task)
    return WorkerCommand(command=CANCEL_TASK, task_id=task_id, job_id=job)
