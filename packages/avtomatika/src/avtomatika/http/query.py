"""Values behind the question mark, checked one by one."""

import re
from datetime import datetime
from typing import Final

from aiohttp import web

from avtomatika.errors import InvalidInput
from avtomatika.http.bodies import label_pair
from avtomatika.kernel.model import Status
from avtomatika.kernel.time import Instant, seconds

MAX_PAGE: Final = 1_000
MAX_FILTERS: Final = 8
LAST_MOMENT: Final = 10**12

_WAIT: Final = re.compile(r'(?i:wait)\s*=\s*"?([0-9]{1,9})"?')
_NUMBER: Final = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def number(request: web.Request, name: str, default: float, most: float) -> float:
    """Seconds from 0 to *most*. Raises InvalidInput."""
    text = request.query.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= most:
        raise InvalidInput(f"{name} must be a number of seconds from 0 to {most:g}.", field=name)
    return value


def preferred_wait(request: web.Request, most: float) -> int | None:
    """The seconds, *most* at the most, for which the caller prefers to wait (`Prefer: wait=N`, RFC 7240).

    None when it does not say so: a preference that makes no sense is none.
    """
    said = request.headers.getall("Prefer", ())
    for preference in ",".join(said).split(",") if said else ():
        found = _WAIT.fullmatch(preference.partition(";")[0].strip())
        if found is not None:
            return min(int(found[1]), int(most))
    return None


def whole(request: web.Request, name: str, default: int, least: int, most: int) -> int:
    """A whole number from *least* to *most*. Raises InvalidInput."""
    text = request.query.get(name)
    if text is None:
        return default
    plain = text.isascii() and text.isdecimal() and len(text) <= 15
    if not (plain and least <= int(text) <= most):
        raise InvalidInput(f"{name} must be a whole number from {least} to {most}.", field=name)
    return int(text)


def limit(request: web.Request) -> int:
    """How many entries a page has at most. Raises InvalidInput."""
    return whole(request, "limit", 100, 1, MAX_PAGE)


def status(request: web.Request) -> Status | None:
    """A status of jobs. Raises InvalidInput."""
    text = request.query.get("status")
    if text is None:
        return None
    if text not in tuple(Status):
        raise InvalidInput(f"status must be one of {', '.join(Status)}.", field="status")
    return Status(text)


def flag(request: web.Request, name: str, default: bool) -> bool:
    """True or false. Raises InvalidInput."""
    text = request.query.get(name)
    if text is None:
        return default
    if text.lower() not in ("true", "false", "1", "0"):
        raise InvalidInput(f"{name} must be true or false.", field=name)
    return text.lower() in ("true", "1")


def labels(request: web.Request) -> tuple[tuple[str, str], ...]:
    """The labels that jobs must have: `label=name:value`, any number of times. Raises InvalidInput."""
    given = request.query.getall("label", [])
    if len(given) > MAX_FILTERS:
        raise InvalidInput(f"There may be {MAX_FILTERS} labels in a query.", field="label")
    pairs = [text.partition(":") for text in given]
    if not all(separator for _, separator, _ in pairs):
        raise InvalidInput("label must be name:value.", field="label")
    return tuple(label_pair(name, value, "label") for name, _, value in pairs)


def moment(request: web.Request, name: str) -> Instant | None:
    """A moment: seconds since the epoch, or ISO 8601 with a zone. Raises InvalidInput."""
    text = request.query.get(name)
    if text is None:
        return None
    try:
        since_epoch = float(text) if _is_number(text) else max(0.0, _parsed(text).timestamp())
    except ValueError:
        since_epoch = -1.0
    if not 0 <= since_epoch < LAST_MOMENT:
        message = f"{name} must be seconds since the epoch, or a time like 2026-11-22T10:00:00Z."
        raise InvalidInput(message, field=name)
    return Instant(seconds(since_epoch))


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _parsed(text: str) -> datetime:
    # A plus in a query is a space, unless the client encodes it.
    found = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    if found.tzinfo is None:
        raise ValueError("no zone")
    return found
