"""A client asks for a job."""

import asyncio
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

import msgspec

from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.blueprints.contracts import accept_input
from avtomatika.commands.apply import Writer
from avtomatika.commands.headroom import Headroom, Room
from avtomatika.errors import InvalidInput, KeyReused
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Data, Job, Policy, Ready
from avtomatika.kernel.rules.submission import limited
from avtomatika.kernel.time import Instant, Span, after
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Claim, KeyTaken

KEY_LIFE: Final = Span(24 * 3_600_000)
MAX_KEY: Final = 255


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for. `body` is the request in one fixed form, for the comparison of repeats."""

    input: Data
    body: bytes
    webhook_url: str | None = None
    dispatch_timeout: Span | None = None
    result_timeout: Span | None = None
    source: str = ""
    labels: dict[str, str] = {}
    priority: float = 0.0
    tracing: dict[str, str] = {}
    key: str | None = None


class Submit:
    """Accepts jobs."""

    def __init__(
        self,
        node: NodeContext,
        writer: Writer,
        policy: Policy,
        check_url: Callable[[str], None] = lambda _: None,
        room: Room | None = None,
    ) -> None:
        """*check_url* raises InvalidInput for a webhook URL that nothing would ever be sent to."""
        self._check_url = check_url
        self._clock, self._names = node.clock, node.names
        self._headroom = Headroom(node.store, node.clock, room or Room())
        self._writer, self._policy = writer, policy

    async def __call__(self, blueprint: Blueprint, request: Request, client: str) -> JobId:
        """The job is durable and on its way; its id. An equal request with an equal key gives the same id.

        Raises KeyReused when the key came with another request within a day, ContractViolation when the
        blueprint does not take the input, Overloaded when the client has as many unfinished jobs as it may,
        InvalidInput, Unavailable.
        """
        self._check(blueprint, request)
        await self._headroom.admit(client, 1)
        return await self._accept(blueprint, request, client)

    async def batch(self, blueprint: Blueprint, requests: Sequence[Request], client: str) -> Sequence[JobId]:
        """All jobs are durable and on their way; their ids in the order of the requests.

        Raises as a single one. What is wrong with a request is found before any job is accepted; when a key
        or the storage fails, some may be: with a key, the repetition gives their ids.
        """
        for place, request in enumerate(requests):
            try:
                self._check(blueprint, request)
            except InvalidInput as error:
                error.field = f"jobs[{place}].{error.field or ''}".rstrip(".")
                raise
        await self._headroom.admit(client, len(requests))
        return await asyncio.gather(*(self._accept(blueprint, request, client) for request in requests))

    def _check(self, blueprint: Blueprint, request: Request) -> None:
        accept_input(blueprint, request.input)
        if request.webhook_url is not None:
            self._check_url(request.webhook_url)

    async def _accept(self, blueprint: Blueprint, request: Request, client: str) -> JobId:
        now = self._clock.now()
        job = self._job(blueprint, request, client, now)
        claim = self._claim(blueprint, request, client, job.id, now)
        try:
            await self._writer.submit(job, claim)
        except KeyTaken as taken:
            if claim is None or taken.claim.fingerprint != claim.fingerprint:
                raise KeyReused("The Idempotency-Key came with another request before.") from taken
            return taken.claim.job
        return job.id

    def _job(self, blueprint: Blueprint, request: Request, client: str, now: Instant) -> Job:
        policy = limited(self._policy, request.dispatch_timeout, request.result_timeout)
        return Job(
            id=self._names.job(now),
            blueprint=blueprint.name,
            edition=blueprint.edition,
            state=blueprint.start_state or "",
            phase=Ready(),
            policy=policy,
            created=now,
            updated=now,
            client=client,
            webhook_url=request.webhook_url,
            tracing=request.tracing,
            source=request.source,
            labels=request.labels,
            priority=request.priority,
            input=request.input,
        )

    def _claim(
        self, blueprint: Blueprint, request: Request, client: str, job: JobId, now: Instant
    ) -> Claim | None:
        if request.key is None:
            return None
        if not (0 < len(request.key) <= MAX_KEY and request.key.isascii() and request.key.isprintable()):
            message = f"An Idempotency-Key has 1 to {MAX_KEY} printable ASCII characters."
            raise InvalidInput(message, field="Idempotency-Key")
        name = sha256(f"{client}\n{request.key}".encode()).hexdigest()
        fingerprint = sha256(f"{blueprint.name}\n".encode() + request.body).hexdigest()
        return Claim(name, fingerprint, job, after(now, KEY_LIFE))
