"""Errors as HTTP answers. The one place where codes meet statuses."""

from collections.abc import Mapping
from typing import Final

import msgspec
from aiohttp import web

from avtomatika.errors import AvtomatikaError

STATUS: Final[Mapping[str, int]] = {
    "invalid_input": 400,
    "invalid_json": 400,
    "invalid_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "already_over": 409,
    "integrity_failed": 409,
    "stale_lease": 409,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "contract_violation": 422,
    "idempotency_key_reused": 422,
    "overloaded": 429,
    "internal_error": 500,
    "unavailable": 503,
    "storage_full": 503,
    "storage_broken": 503,
}

REQUEST_ID: Final = "X-Request-ID"
RETRY_AFTER: Final = 1
WORKER_PREFIX: Final = "/_worker/"

_OF_HTTP: Final = {404: "not_found", 405: "method_not_allowed", 413: "payload_too_large"}


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong, for a client: a stable code, a sentence, and the field or header it is about."""

    code: str
    message: str
    request_id: str
    field: str | None = None


class ProblemBody(msgspec.Struct, frozen=True):
    """The body of every error of the client API."""

    error: Problem


class WorkerProblemBody(msgspec.Struct, frozen=True):
    """The body of every error of the worker API: earlier generations read `error` as text."""

    error: str
    code: str


def of_error(error: AvtomatikaError, request: web.Request, request_id: str) -> web.Response:
    """The answer for an error that was foreseen."""
    return _answer(request, error.code, error.message, request_id, error.field)


def of_http(error: web.HTTPException, request: web.Request, request_id: str) -> web.Response:
    """The answer for an error that the web framework found."""
    code = _OF_HTTP.get(error.status, "invalid_input")
    answer = _answer(request, code, error.reason, request_id, None)
    allowed = error.headers.get("Allow")
    if allowed is not None:
        answer.headers["Allow"] = allowed
    return answer


def internal(request: web.Request, request_id: str) -> web.Response:
    """The answer for an error that nobody foresaw; what it was is on the log under the request id."""
    message = "Something went wrong here; it was logged under the request id."
    return _answer(request, "internal_error", message, request_id, None)


def malformed(request_id: str) -> web.Response:
    """The answer to bytes that are no HTTP request, or one that is beyond the limits of any."""
    message = "This is no HTTP request, or its first line or one of its headers is too long."
    body = msgspec.json.encode(ProblemBody(Problem("invalid_request", message, request_id)))
    headers = {REQUEST_ID: request_id}
    status = STATUS["invalid_request"]
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def _answer(
    request: web.Request, code: str, message: str, request_id: str, field: str | None
) -> web.Response:
    body: msgspec.Struct = ProblemBody(Problem(code, message, request_id, field))
    if request.path.startswith(WORKER_PREFIX):
        body = WorkerProblemBody(message, code)
    status = STATUS.get(code, 400)
    answer = web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")
    answer.headers[REQUEST_ID] = request_id
    if status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    if status in (429, 503):
        answer.headers["Retry-After"] = str(RETRY_AFTER)
    return answer
