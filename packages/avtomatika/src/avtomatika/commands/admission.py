"""Whether a worker may come in, and whether a message is its own."""

from collections.abc import Collection
from enum import StrEnum

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
from rxon.vocabulary import WORKER_TOKEN_HEADER

Message = Registration | Heartbeat | TaskResult | WorkerEvent
"""What can be signed."""


class Proof(StrEnum):
    """What a worker has to show: a certificate or a token, in the words of the setting."""

    MIXED = "MIXED"
    CERTIFICATE = "MTLS-ONLY"
    TOKEN = "TOKEN-ONLY"


class Admitted(msgspec.Struct, frozen=True):
    """Whose credentials these are, None when they are good for every worker and name none.

    `keys` are the secrets that the worker may sign with. `issued` is the pass that it came in with, if any.
    Who is `certified` came over a connection that nobody else can have: it may sign, and need not.
    """

    worker_id: str | None
    keys: tuple[str, ...]
    issued: Pass | None = None
    certified: bool = False


class Admission:
    """Judges credentials and signatures."""

    def __init__(
        self, roll: Roll, passes: Passes, clock: Clock, *, signed: bool = False, proof: Proof = Proof.MIXED
    ) -> None:
        """With *signed* every message that can be signed has to be, unless a certificate came with it."""
        self._roll, self._passes, self._clock = roll, passes, clock
        self._signed, self._proof = signed, proof

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
        signed = said.security is not None and said.security.signature
        if (admitted.certified and not admitted.keys) or not (signed or self._demands(admitted)):
            return
        # What came without a body of its own is judged as it would be sent.
        body = encode(message) if credentials.body is None else credentials.body
        now = self._clock.now() / 1_000
        try:
            admit(body, open_envelope(body, worker_id, now), admitted.keys, ignore=ignore)
        except ForbiddenError as error:
            raise _unsigned(error, now) from error

    def _demands(self, admitted: Admitted) -> bool:
        return self._signed and not admitted.certified

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
        if credentials.certified and self._proof is not Proof.TOKEN:
            return await self._certified(credentials, worker_id)
        if self._proof is Proof.CERTIFICATE:
            raise self._nobody("Client certificate required.")
        if not credentials.token:
            raise self._nobody(f"Missing {WORKER_TOKEN_HEADER} header.")
        token = credentials.token
        if self._roll.opens(token, worker_id):
            return Admitted(worker_id or self._roll.owner(token), (token,))
        found = await self._passes.of(token)
        why = "No valid token found"
        if found is not None and found[0].source:
            issued, secret = found
            if worker_id in (None, issued.worker):
                # A published worker signs with whatever token it has at present.
                return Admitted(issued.worker, (secret, token), issued)
            why = f"Access Token belongs to '{issued.worker}', but request is for '{worker_id}'"
        raise self._nobody(why)

    async def _certified(self, credentials: Credentials, worker_id: str | None) -> Admitted:
        """Whose the certificate is, which takes the place of the token. Raises ForbiddenError."""
        names, token = credentials.certified, credentials.token
        if worker_id is not None and worker_id not in names:
            observe.measured("auth.mismatch", role="worker")
            message = f"Unauthorized: Certificate CN '{names[0]}' does not match worker_id '{worker_id}'"
            raise ForbiddenError(message)
        who = worker_id or (names[0] if len(names) == 1 else None)
        if token and who is not None and self._roll.opens(token, who):
            return Admitted(who, (token,), certified=True)
        found = await self._passes.of(token) if token else None
        if found is not None and found[0].worker == who:
            return Admitted(who, tuple(key for key in (found[1], token) if key), found[0], certified=True)
        return Admitted(who, (), certified=True)

    def _nobody(self, why: str) -> AuthError:
        observe.measured("auth.failed", role="worker")
        return AuthError(f"Unauthorized: {why}", details={"server_time": self._clock.now() // 1_000})


def _unsigned(error: ForbiddenError, now: float) -> ForbiddenError:
    observe.measured("auth.signature", role="worker")
    return ForbiddenError(error.message, details={"server_time": int(now)})
