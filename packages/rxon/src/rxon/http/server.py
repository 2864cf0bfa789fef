"""Serves a WorkerGateway on an aiohttp application."""

from collections.abc import Callable, Sequence

import msgspec
from aiohttp import web

from rxon.codec import decode
from rxon.errors import ProtocolError, TooLargeError, WorkerUnknownError
from rxon.generations import Dialect, Generation, dialect_of, of_registration, of_version
from rxon.generations.dialect import Said
from rxon.http.incoming import body_of, credentials_of, poll_request_of, version_of, worker_in_path
from rxon.http.legacy_socket import LegacySockets
from rxon.http.outgoing import (
    answering_errors,
    error_response,
    json_response,
    refusal,
    said,
    stamp_version,
)
from rxon.http.token_desk import TokenRoutes
from rxon.identifiers import validate_identifier
from rxon.messages import MAX_BATCH, HeartbeatAnswer, ResultAnswers, ResultBatch, TaskBatch
from rxon.messages.wire import MAX_PRESENTED
from rxon.transport import WorkerDesk, WorkerGateway
from rxon.vocabulary import PATH_PREFIX, WORKER_ID_HEADER, AnswerStatus

__all__ = ["add_routes", "error_response"]

GatewayOf = Callable[[web.Request], WorkerGateway]


class _TaskResult(msgspec.Struct):
    """What tells, before a message is decoded, from whom it is."""

    worker_id: str | None = None
    result: msgspec.Raw = msgspec.Raw(b"")


def add_routes(
    app: web.Application,
    gateway_of: GatewayOf,
    transports: Sequence[str] = (),
    desk: WorkerDesk | None = None,
) -> None:
    """The worker endpoints of ``app`` call the gateway that ``gateway_of`` names per request.

    Workers that register hear of ``transports`` that the application serves beside. With a ``desk`` there
    are tokens, the WebSocket of earlier generations, and each generation is spoken to in its own way.

    Every answer under the prefix carries the protocol version, also those that other parts of
    the application make. RxonErrors become answers here; all other exceptions pass through to
    the application's middleware.
    """
    binding = _Binding(gateway_of, transports, desk)
    workers = f"{PATH_PREFIX}/workers"
    tasks = f"{PATH_PREFIX}/tasks"
    router = app.router
    router.add_post(f"{workers}/register", answering_errors(binding.register))
    router.add_get(f"{workers}/{{worker_id}}/tasks/next", answering_errors(binding.poll), allow_head=False)
    router.add_patch(f"{workers}/{{worker_id}}", answering_errors(binding.heartbeat))
    router.add_post(f"{tasks}/result", answering_errors(binding.report_one))
    router.add_post(f"{tasks}/results", answering_errors(binding.report_many))
    router.add_post(f"{PATH_PREFIX}/events", answering_errors(binding.emit))
    if desk is not None:
        tokens, sockets = TokenRoutes(desk), LegacySockets(gateway_of, desk)
        router.add_post(f"{PATH_PREFIX}/auth/token", answering_errors(tokens.issue))
        router.add_post(f"{PATH_PREFIX}/auth/token/refresh", answering_errors(tokens.renew))
        for path in (f"{PATH_PREFIX}/ws", f"{PATH_PREFIX}/ws/{{worker_id}}"):
            router.add_get(path, answering_errors(sockets.open), allow_head=False)
        app.on_shutdown.append(sockets.leave)
    app.on_response_prepare.append(stamp_version)


class _Binding:
    def __init__(self, gateway_of: GatewayOf, transports: Sequence[str], desk: WorkerDesk | None) -> None:
        self._gateway_of, self._desk = gateway_of, desk
        self._transports = tuple(transports)

    async def register(self, request: web.Request) -> web.Response:
        body = await _presented(request)
        dialect = dialect_of(of_registration(body, version_of(request)))
        registration = dialect.registration(body)
        worker_id = validate_identifier(registration.worker_id, "worker_id")
        credentials = credentials_of(request, worker_id, body, dialect.generation)
        answer = await self._gateway_of(request).register(credentials, registration)
        return said(dialect.registered(msgspec.structs.replace(answer, transports=self._transports)))

    async def poll(self, request: web.Request) -> web.Response:
        worker_id = worker_in_path(request)
        dialect = await self._dialect(request, worker_id)
        credentials = credentials_of(request, worker_id, None, dialect.generation)
        wanted, batch = poll_request_of(request)
        offers = await self._gateway_of(request).poll(credentials, worker_id, wanted)
        if not offers:
            return web.Response(status=204)
        return json_response(TaskBatch(tuple(offers))) if batch else said(Said(dialect.offered(offers[0])))

    async def heartbeat(self, request: web.Request) -> web.Response:
        worker_id = worker_in_path(request)
        body = await _presented(request)
        dialect = await self._dialect(request, worker_id, body)
        credentials = credentials_of(request, worker_id, body or None, dialect.generation)
        gateway = self._gateway_of(request)
        if not body.strip():
            answer = await gateway.heartbeat(credentials, worker_id, None)
            cancelled = answer.cancel_task_ids if dialect.knows_leases else None
            return json_response(HeartbeatAnswer("ttl_refreshed", cancel_task_ids=cancelled))
        beat = dialect.beat(body)
        try:
            answer = await gateway.heartbeat(credentials, worker_id, beat)
        except WorkerUnknownError:
            presented = dialect.presented(worker_id, body)
            if presented is None:
                raise
            await gateway.register(credentials, presented)
            answer = await gateway.heartbeat(credentials, worker_id, beat)
        return said(dialect.beaten(answer, worker_id, body))

    async def report_one(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        sender = decode(_TaskResult, body)
        worker_id = sender.worker_id or request.headers.get(WORKER_ID_HEADER)
        dialect = await self._dialect(request, worker_id)
        if bytes(sender.result).lstrip()[:1] == b"{":
            dialect = dialect_of(Generation.G1)
        result = dialect.result(body)
        credentials = credentials_of(request, result.worker_id, body, dialect.generation)
        (answer,) = await self._gateway_of(request).report(credentials, (result,))
        if answer.status == AnswerStatus.REFUSED and dialect.knows_leases:
            return refusal(answer)
        return said(dialect.judged(answer))

    async def report_many(self, request: web.Request) -> web.Response:
        results = decode(ResultBatch, await body_of(request)).results
        credentials = credentials_of(request, results[0].worker_id if results else None)
        if len(results) > MAX_BATCH:
            raise ProtocolError(f"At most {MAX_BATCH} results at once", details={"field": "results"})
        return json_response(
            ResultAnswers(tuple(await self._gateway_of(request).report(credentials, results)))
        )

    async def emit(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        dialect = dialect_of(of_version(version_of(request)))
        event = dialect.event(body)
        worker_id = validate_identifier(event.worker_id, "worker_id")
        credentials = credentials_of(request, worker_id, body, dialect.generation)
        return said(dialect.told(await self._gateway_of(request).emit(credentials, event)))

    async def _dialect(self, request: web.Request, worker_id: str | None, body: bytes = b"") -> Dialect:
        """How the worker spoke when it registered; of one that is not known, how it speaks now."""
        if self._desk is not None and worker_id is not None:
            known = await self._desk.generation(worker_id)
            if known is not None:
                return dialect_of(known)
        if body.strip():
            return dialect_of(of_registration(body, version_of(request)))
        return dialect_of(of_version(version_of(request)))


async def _presented(request: web.Request) -> bytes:
    """The body of a message in which a worker tells of itself. Raises as ``body_of`` does, and sooner."""
    if (request.content_length or 0) <= MAX_PRESENTED:
        body = await body_of(request)
        if len(body) <= MAX_PRESENTED:
            return body
    raise TooLargeError(f"A worker tells of itself in {MAX_PRESENTED} bytes at most.")
