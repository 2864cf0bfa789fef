"""Answers to workers: JSON, compressed when that is worth it, with errors in the shape that all know."""

import math
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from aiohttp import hdrs, web

from rxon.codec import encode
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
from rxon.generations.dialect import Said
from rxon.messages import ResultAnswer
from rxon.vocabulary import PATH_PREFIX, PROTOCOL_VERSION, VERSION_HEADER, AnswerStatus

__all__ = ["answering_errors", "error_response", "json_response", "refusal", "said", "stamp_version"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

WORTH_COMPRESSING: Final = 500

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
    server_time: int | None = None


def json_response(message: msgspec.Struct, status: int = 200) -> web.Response:
    """The message as an answer."""
    return said(Said(encode(message), status))


def said(answer: Said) -> web.Response:
    """The answer."""
    return web.Response(body=answer.body, status=answer.status, content_type=_JSON)


def error_response(error: RxonError) -> web.Response:
    """The answer that tells a worker about ``error``; 429 and 503 say when to come back."""
    field = error.field if isinstance(error, ProtocolError) else None
    now = (error.details or {}).get("server_time")
    response = json_response(_ErrorBody(error.message, error.code, field, server_time=now), error.status)
    if isinstance(error, RateLimitError | UnavailableError):
        response.headers[hdrs.RETRY_AFTER] = str(max(1, math.ceil(error.retry_after)))
    return response


def refusal(answer: ResultAnswer) -> web.Response:
    """The answer to a result that was refused."""
    code = answer.code or StaleLeaseError.code
    body = _ErrorBody(answer.message or code, code, status=AnswerStatus.REFUSED.value)
    return json_response(body, _STATUS_OF_CODE.get(code, StaleLeaseError.status))


def answering_errors(handler: Handler) -> Handler:
    """The handler, whose RxonErrors are answers, and whose long answers are compressed for who takes it."""

    async def answer(request: web.Request) -> web.StreamResponse:
        """What the handler answers, or the error that it raises."""
        try:
            response = await handler(request)
        except RxonError as error:
            response = error_response(error)
        if isinstance(response, web.Response) and (response.content_length or 0) >= WORTH_COMPRESSING:
            response.headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
            if _takes_gzip(request):
                response.enable_compression(web.ContentCoding.gzip)
        return response

    return answer


def _takes_gzip(request: web.Request) -> bool:
    offered = request.headers.get(hdrs.ACCEPT_ENCODING, "").lower().replace(" ", "").split(",")
    return any(each == "gzip" or (each.startswith("gzip;") and each != "gzip;q=0") for each in offered)


async def stamp_version(request: web.Request, response: web.StreamResponse) -> None:
    """The answer to a worker carries the protocol version, whoever made it."""
    if request.path.startswith(PATH_PREFIX):
        response.headers[VERSION_HEADER] = PROTOCOL_VERSION
