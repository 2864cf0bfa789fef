"""Whether a worker may come in, and whether a message is its own."""

from collections.abc import Collection

import msgspec

from avtomatika import observe
from avtomatika.commands.passes import Pass, Passes
from avtomatika.commands.roll import Roll
from avtomatika.ports.clock import Clock
from rxon.codec import decode, encode
from rxon.errors import AuthError, ForbiddenError
from rxon.messages import Heartbeat, Registration, TaskResult, WorkerEvent
from rxon.signing.identity import proven_origin
from rxon.signing.message import Envelope, admit, open_envelope
from rxon.transport import Credentials

Message = Registration | Heartbeat | TaskResult | WorkerEvent
"""What can be signed."""


class Admitted(msgspec.Struct, frozen=True):
    """Whose credentials these are, None when they are good for every worker and name none.

    `keys` are the secrets that the worker may sign with. `issued` is the pass that it came in with, if any.
    """

    worker_id: str | None
    keys: tuple[str, ...]
    issued: Pass | None = None


class Admission:
    """Judges credentials and signatures."""

    def __init__(self, roll: Roll, passes: Passes, clock: Clock, *, signed: bool = False) -> None:
        """With *signed* every message that can be signed has to be."""
        self._roll, self._passes, self._clock = roll, passes, clock
        self._signed = signed

    async def admit(self, credentials: Credentials, worker_id: str | None) -> Admitted:
        """The credentials are good for this worker. Raises AuthError, ForbiddenError."""
        admitted = await self._authenticated(credentials, worker_id)
        if worker_id is not None and credentials.worker_id not in (None, worker_id):
            observe.measured("auth.mismatch", role="worker")
            raise ForbiddenError(f"Worker '{credentials.worker_id}' cannot speak for '{worker_id}'.")
        return admitted

    async def admit_message(
        self,
        credentials: Credentials,
        worker_id: str,
        message: Message,
        ignore: Collection[str] = (),
    ) -> str | None:
        """Also, the signature of the message is right, if it has one or needs one, and so is its chain.

        Returns who did the work that it tells of, when that is another worker and proven. Raises AuthError,
        ForbiddenError, ProtocolError.
        """
        admitted = await self.admit(credentials, worker_id)
        self._check_signature(credentials, admitted, worker_id, message, ignore)
        if isinstance(message, TaskResult | WorkerEvent):
            return self._origin(credentials, worker_id, message)
        return None

    def _check_signature(
        self,
        credentials: Credentials,
        admitted: Admitted,
        worker_id: str,
        message: Message,
        ignore: Collection[str],
    ) -> None:
        said = message if credentials.body is None else decode(Envelope, credentials.body)
        if not self._signed and (said.security is None or not said.security.signature):
            return
        # What came without a body of its own is judged as it would be sent.
        body = encode(message) if credentials.body is None else credentials.body
        now = self._clock.now() / 1_000
        try:
            admit(body, open_envelope(body, worker_id, now), admitted.keys, ignore=ignore)
        except ForbiddenError as error:
            raise _unsigned(error, now) from error

    def _origin(
        self, credentials: Credentials, worker_id: str, message: TaskResult | WorkerEvent
    ) -> str | None:
        if message.security is None and not self._signed:
            return None  # the most usual case, and it proves nothing
        body = encode(message) if credentials.body is None else credentials.body
        now = self._clock.now() / 1_000
        try:
            return proven_origin(
                message, body, worker_id, now=now, fits=self._roll.signed, required=self._signed
            )
        except ForbiddenError as error:
            raise _unsigned(error, now) from error

    async def _authenticated(self, credentials: Credentials, worker_id: str | None) -> Admitted:
        token = credentials.token
        if self._roll.opens(token, worker_id):
            return Admitted(worker_id or self._roll.owner(token), (token,))
        found = await self._passes.of(token)
        why = "No valid token found"
        if found is not None:
            issued, secret = found
            if worker_id in (None, issued.worker):
                # A published worker signs with whatever token it has at present.
                return Admitted(issued.worker, (secret, token), issued)
            why = f"Access Token belongs to '{issued.worker}', but request is for '{worker_id}'"
        observe.measured("auth.failed", role="worker")
        raise AuthError(f"Unauthorized: {why}", details={"server_time": self._clock.now() // 1_000})


def _unsigned(error: ForbiddenError, now: float) -> ForbiddenError:
    observe.measured("auth.signature", role="worker")
    return ForbiddenError(error.message, details={"server_time": int(now)})
