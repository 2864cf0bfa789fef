"""What a request of a worker says, whoever reads it."""

import math
from typing import Final

from aiohttp import web

from rxon.errors import AuthError, ProtocolError, TooLargeError
from rxon.generations import Generation, of_version
from rxon.http.certificate import certified_names
from rxon.identifiers import validate_identifier
from rxon.messages import MAX_BATCH
from rxon.transport import Credentials, PollRequest
from rxon.vocabulary import VERSION_HEADER, WORKER_ID_HEADER, WORKER_TOKEN_HEADER

__all__ = ["body_of", "credentials_of", "poll_request_of", "version_of", "worker_in_path"]

_MOST_DIGITS: Final = 5


async def body_of(request: web.Request) -> bytes:
    """The body. Raises TooLargeError, and ProtocolError when it is not encoded as its headers say."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise TooLargeError(error.text) from None
    except web.RequestPayloadError:
        raise ProtocolError("The body is not encoded as its headers say") from None


def version_of(request: web.Request) -> str | None:
    """The version of the protocol that the worker says it speaks."""
    return request.headers.get(VERSION_HEADER)


def worker_in_path(request: web.Request) -> str:
    """The worker that the path names. Raises ProtocolError."""
    return validate_identifier(request.match_info["worker_id"], "worker_id")


def credentials_of(
    request: web.Request,
    worker_id: str | None,
    body: bytes | None = None,
    generation: Generation | None = None,
) -> Credentials:
    """The token, the worker that the header names, else ``worker_id``, and those of the certificate.

    Raises AuthError without token and certificate, ProtocolError.
    """
    token = request.headers.get(WORKER_TOKEN_HEADER, "")
    certified = certified_names(request)
    if not token and not certified:
        raise AuthError(f"Missing {WORKER_TOKEN_HEADER} header")
    named = request.headers.get(WORKER_ID_HEADER)
    spoken = generation or of_version(version_of(request)) or Generation.OURS
    caller = validate_identifier(named, WORKER_ID_HEADER) if named else worker_id
    return Credentials(token, caller, body, spoken, certified)


def poll_request_of(request: web.Request) -> tuple[PollRequest, bool]:
    """What is asked for, and whether the answer is to be a batch. Raises ProtocolError."""
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
    plain = text.isascii() and text.isdecimal() and len(text) < _MOST_DIGITS
    if not (plain and 1 <= int(text) <= MAX_BATCH):
        raise ProtocolError(f"limit must be 1 to {MAX_BATCH}", details={"field": "limit"})
    return int(text)
