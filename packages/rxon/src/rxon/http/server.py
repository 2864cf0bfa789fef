"""Serves a WorkerGateway on an aiohttp application."""

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
from aiohttp import hdrs, web

from rxon.codec import decode, encode
from rxon.errors import (
    AuthError,
    ForbiddenError,
    ProtocolError,
    RateLimitError,
    RxonError,
    StaleLeaseError,
    TooLargeError,
    UnavailableError,
    WorkerUnknownError,
)
from rxon.identifiers import validate_identifier
from rxon.messages import (
    MAX_BATCH,
    Heartbeat,
    HeartbeatAnswer,
    Registration,
    ResultAnswer,
    ResultAnswers,
    ResultBatch,
    TaskBatch,
    TaskResult,
    WorkerEvent,
)
from rxon.transport import Credentials, PollRequest, WorkerGateway
from rxon.vocabulary import (
    PATH_PREFIX,
    PROTOCOL_VERSION,
    VERSION_HEADER,
    WORKER_ID_HEADER,
    WORKER_TOKEN_HEADER,
    AnswerStatus,
)

__all__ = ["add_routes", "error_response"]

GatewayOf = Callable[[web.Request], WorkerGateway]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_JSON: Final = "application/json"
_STATUS_OF_CODE: Final = {
    kind.code: kind.status
    for kind in (
        AuthError,
        ForbiddenError,
        ProtocolError,
        RateLimitError,
        StaleLeaseError,
        TooLargeError,
        UnavailableError,
        WorkerUnknownError,
    )
}


class _ErrorBody(msgspec.Struct, omit_defaults=True):
    error: str
    code: str
    field: str | None = None
    status: str | None = None


def add_routes(app: web.Application, gateway_of: GatewayOf, transports: Sequence[str] = ()) -> None:
    """The worker endpoints of ``app`` call the gateway that ``gateway_of`` names per request.

    Workers that register hear of ``transports`` that the application serves beside.

    Every answer under the prefix carries the protocol version, also those that other parts of
    the application make. RxonErrors become answers here; all other exceptions pass through to
    the application's middleware.
    """
    binding = _Binding(gateway_of, transports)
    workers = f"{PATH_PREFIX}/workers"
    tasks = f"{PATH_PREFIX}/tasks"
    app.router.add_post(f"{workers}/register", _answering_errors(binding.register))
    app.router.add_get(
        f"{workers}/{{worker_id}}/tasks/next", _answering_errors(binding.poll), allow_head=False
    )
    app.router.add_patch(f"{workers}/{{worker_id}}", _answering_errors(binding.heartbeat))
    app.router.add_post(f"{tasks}/result", _answering_errors(binding.report_one))
    app.router.add_post(f"{tasks}/results", _answering_errors(binding.report_many))
    app.router.add_post(f"{PATH_PREFIX}/events", _answering_errors(binding.emit))
    app.on_response_prepare.append(_stamp_version)


def error_response(error: RxonError) -> web.Response:
    """The answer that tells a worker about ``error``; 429 and 503 say when to come back."""
    field = error.field if isinstance(error, ProtocolError) else None
    body = encode(_ErrorBody(error.message, error.code, field))
    response = web.Response(body=body, status=error.status, content_type=_JSON)
    if isinstance(error, RateLimitError | UnavailableError):
        response.headers[hdrs.RETRY_AFTER] = str(max(1, math.ceil(error.retry_after)))
    return response


class _Binding:
    def __init__(self, gateway_of: GatewayOf, transports: Sequence[str]) -> None:
        self._gateway_of = gateway_of
        self._transports = tuple(transports)

    async def register(self, request: web.Request) -> web.Response:
        registration = decode(Registration, await _body(request))
        worker_id = validate_identifier(registration.worker_id, "worker_id")
        credentials = _credentials(request, worker_id)
        answer = await self._gateway_of(request).register(credentials, registration)
        return _json(msgspec.structs.replace(answer, transports=self._transports))

    async def poll(self, request: web.Request) -> web.Response:
        worker_id = validate_identifier(request.match_info["worker_id"], "worker_id")
        credentials = _credentials(request, worker_id)
        wanted, batch = _poll_request(request)
        offers = await self._gateway_of(request).poll(credentials, worker_id, wanted)
        if not offers:
            return web.Response(status=204)
        return _json(TaskBatch(tuple(offers)) if batch else offers[0])

    async def heartbeat(self, request: web.Request) -> web.Response:
        worker_id = validate_identifier(request.match_info["worker_id"], "worker_id")
        credentials = _credentials(request, worker_id)
        body = await _body(request)
        beat = decode(Heartbeat, body) if body.strip() else None
        answer = await self._gateway_of(request).heartbeat(credentials, worker_id, beat)
        if beat is None:
            answer = HeartbeatAnswer("ttl_refreshed", cancel_task_ids=answer.cancel_task_ids)
        return _json(answer)

    async def report_one(self, request: web.Request) -> web.Response:
        result = decode(TaskResult, await _body(request))
        credentials = _credentials(request, result.worker_id)
        (answer,) = await self._gateway_of(request).report(credentials, (result,))
        return _refusal(answer) if answer.status == AnswerStatus.REFUSED else _json(answer)

    async def report_many(self, request: web.Request) -> web.Response:
        results = decode(ResultBatch, await _body(request)).results
        credentials = _credentials(request, results[0].worker_id if results else None)
        if len(results) > MAX_BATCH:
            raise ProtocolError(f"At most {MAX_BATCH} results at once", details={"field": "results"})
        return _json(ResultAnswers(tuple(await self._gateway_of(request).report(credentials, results))))

    async def emit(self, request: web.Request) -> web.Response:
        event = decode(WorkerEvent, await _body(request))
        credentials = _credentials(request, validate_identifier(event.worker_id, "worker_id"))
        return _json(await self._gateway_of(request).emit(credentials, event))


def _answering_errors(handler: Handler) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except RxonError as error:
            return error_response(error)

    return answer


async def _stamp_version(request: web.Request, response: web.StreamResponse) -> None:
    if request.path.startswith(PATH_PREFIX):
        response.headers[VERSION_HEADER] = PROTOCOL_VERSION


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise TooLargeError(error.text) from None
    except web.RequestPayloadError:
        raise ProtocolError("The body is not encoded as its headers say") from None


def _credentials(request: web.Request, worker_id: str | None) -> Credentials:
    token = request.headers.get(WORKER_TOKEN_HEADER)
    if not token:
        raise AuthError(f"Missing {WORKER_TOKEN_HEADER} header")
    named = request.headers.get(WORKER_ID_HEADER)
    return Credentials(token, validate_identifier(named, WORKER_ID_HEADER) if named else worker_id)


def _poll_request(request: web.Request) -> tuple[PollRequest, bool]:
    """What is asked for, and whether the answer is to be a batch."""
    query = request.query
    skills = query.get("available_skills")
    limit = query.get("limit")
    wanted = PollRequest(
        timeout=_seconds(query.get("timeout")),
        available_skills=None if skills is None else frozenset(_names(skills)),
        hot_skills=_names(query.get("hot_skills", "")),
        limit=1 if limit is None else _count(limit),
    )
    return wanted, limit is not None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ProtocolError("timeout must be seconds, 0 or more", details={"field": "timeout"})
    return seconds


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 5 and 1 <= int(text) <= MAX_BATCH):
        raise ProtocolError(f"limit must be 1 to {MAX_BATCH}", details={"field": "limit"})
    return int(text)


def _refusal(answer: ResultAnswer) -> web.Response:
    code = answer.code or StaleLeaseError.code
    body = _ErrorBody(answer.message or code, code, status=AnswerStatus.REFUSED.value)
    return _json(body, _STATUS_OF_CODE.get(code, StaleLeaseError.status))


def _json(message: msgspec.Struct, status: int = 200) -> web.Response:
    return web.Response(body=encode(message), status=status, content_type=_JSON)
