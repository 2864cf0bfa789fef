"""Bodies of requests: JSON that is taken in exactly as it came, or refused."""

import re
from collections.abc import Iterable, Mapping, Sized
from typing import Any, Final, TypeVar, cast

import msgspec
from aiohttp import web
from msgspec import Raw

from avtomatika.blueprints.encoding import decoded
from avtomatika.commands.submit import Request
from avtomatika.errors import InvalidInput, InvalidJson, TooLarge
from avtomatika.http.repeats import refuse_repeats
from avtomatika.kernel.model import NULL, Data
from avtomatika.kernel.time import Span, seconds

MAX_DEPTH: Final = 64
MAX_SECONDS: Final = 10**10
MAX_TRACE: Final = 512
KEY_HEADER: Final = "Idempotency-Key"

MAX_BATCH: Final = 1_000
MAX_BATCH_KEY: Final = 250
MAX_LABELS: Final = 32
MAX_LABEL: Final = 255
MAX_PRIORITY: Final = 1_000_000

S = TypeVar("S", bound=msgspec.Struct)

ENVELOPE: Final = frozenset({"initial_data", "webhook_url", "dispatch_timeout", "result_timeout"})
_BESIDE: Final = frozenset({"labels", "priority"})
_FIELD: Final = re.compile(r"`\$\.([^`]+)`|field `([^`]+)`")
_LISTED: Final = msgspec.json.Decoder(dict[str, list[Raw]])
_SPACE: Final = b" \t\r\n"
_MEMBERS: Final = msgspec.json.Decoder(dict[str, Raw])


async def read_request(request: web.Request) -> Request:
    """The request for a job that the body is: an envelope, or the input itself (feature B1).

    Raises InvalidJson, InvalidInput that names the field, TooLarge.
    """
    body = (await read_body(request)).strip(_SPACE) or b"{}"
    return _request(body, _decoded(body), _tracing(request), request.headers.get(KEY_HEADER))


async def read_batch(request: web.Request) -> list[Request]:
    """The requests that the body lists under `jobs`. Each has a key of its own if the whole has one.

    Raises as `read_request`; the field begins with the place, like `jobs[3].priority`.
    """
    body = (await read_body(request)).strip(_SPACE)
    value = _decoded(body)
    listed: Sized = value["jobs"] if isinstance(value.get("jobs"), list) else ()
    if set(value) != {"jobs"} or not 0 < len(listed) <= MAX_BATCH:
        raise InvalidInput(f'The body is {{"jobs": […]}} with 1 to {MAX_BATCH} requests.', field="jobs")
    key, tracing = request.headers.get(KEY_HEADER), _tracing(request)
    if key is not None and not 0 < len(key) <= MAX_BATCH_KEY:
        message = f"The {KEY_HEADER} of a batch has 1 to {MAX_BATCH_KEY} characters."
        raise InvalidInput(message, field=KEY_HEADER)
    raws = _LISTED.decode(body)["jobs"]
    keys = (None if key is None else f"{key}/{place}" for place in range(len(raws)))
    return [
        _listed(place, raw, tracing, own) for place, (raw, own) in enumerate(zip(raws, keys, strict=True))
    ]


def _listed(place: int, raw: Raw, tracing: dict[str, str], key: str | None) -> Request:
    value = decoded(raw)
    try:
        if not isinstance(value, dict):
            raise InvalidInput("A request in a batch is a JSON object.", field="")
        return _request(bytes(raw), cast("dict[str, Any]", value), tracing, key)
    except InvalidInput as error:
        field = f".{error.field}" if error.field else ""
        raise InvalidInput(error.message, field=f"jobs[{place}]{field}") from error


def _request(body: bytes, value: dict[str, Any], tracing: dict[str, str], key: str | None) -> Request:
    members = _MEMBERS.decode(body)
    envelope = not ENVELOPE.isdisjoint(members)
    given: Mapping[str, Any] = value if envelope else {}
    refuse_repeats(body, members, "" if envelope else "initial_data")
    unknown = sorted(set(members) - ENVELOPE - _BESIDE) if envelope else []
    if unknown:
        raise InvalidInput(f"The request has no field '{unknown[0]}'.", field=unknown[0])
    return Request(
        input=_input(members, given) if envelope else members,
        body=msgspec.json.encode(value, order="sorted"),
        webhook_url=_text(given, "webhook_url"),
        dispatch_timeout=_span(given, "dispatch_timeout"),
        result_timeout=_span(given, "result_timeout"),
        labels=_labels(given.get("labels")),
        priority=_priority(given.get("priority")),
        tracing=tracing,
        key=key,
    )


async def read_as(request: web.Request, wanted: type[S]) -> S:
    """The body as a struct. An empty body is an empty object. Raises InvalidJson, InvalidInput, TooLarge."""
    body = (await read_body(request)).strip(_SPACE) or b"{}"
    _decoded(body)
    try:
        return msgspec.json.decode(body, type=wanted)
    except msgspec.ValidationError as error:
        text = str(error)
        named = _FIELD.search(text)
        field = "body" if named is None else named.group(1) or named.group(2)
        raise InvalidInput(f"{text}.", field=field) from error


async def read_payload(request: web.Request) -> Raw:
    """The JSON object that the body is, as it came; null for an empty body. Raises as `read_request`."""
    body = (await read_body(request)).strip(_SPACE)
    if not body:
        return NULL
    _decoded(body)
    return Raw(body)


async def read_body(request: web.Request) -> bytes:
    """The whole body. Raises TooLarge, InvalidJson."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise TooLarge(error.text or "") from error
    except web.RequestPayloadError as error:
        raise InvalidJson("The body is not encoded as its headers say.") from error


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        value = decoded(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidJson(f"The body is not JSON: {error}") from error
    except RecursionError:
        raise InvalidJson("The body is nested too deeply.") from None
    if not isinstance(value, dict):
        raise InvalidInput("The body must be a JSON object.", field="body")
    members = cast("dict[str, Any]", value)
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _depth(members) > MAX_DEPTH:
        raise InvalidInput(f"The body is nested more than {MAX_DEPTH} levels deep.", field="body")
    return members


def _depth(value: "dict[str, Any]") -> int:
    """How deeply *value* is nested, found level by level so that no depth can exhaust the stack."""
    depth = 0
    level: list[Iterable[Any]] = [value.values()]
    while level:
        depth += 1
        level = [_children(child) for items in level for child in items if isinstance(child, dict | list)]
    return depth


def _children(value: Any) -> Iterable[Any]:
    return cast("dict[str, Any]", value).values() if isinstance(value, dict) else value


def _input(members: Mapping[str, Raw], given: Mapping[str, Any]) -> Data:
    data = given.get("initial_data", {})
    if not isinstance(data, dict):
        raise InvalidInput("initial_data must be a JSON object.", field="initial_data")
    if "initial_data" not in members:
        return {}
    inner = _MEMBERS.decode(members["initial_data"])
    refuse_repeats(bytes(members["initial_data"]), inner, "initial_data")
    return inner


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise InvalidInput(f"{name} must be a text.", field=name)
    return value


def _span(given: Mapping[str, Any], name: str) -> Span | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < MAX_SECONDS:
        raise InvalidInput(f"{name} must be a positive number of seconds.", field=name)
    return max(Span(1), seconds(value))


def _labels(given: Any) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, dict) or len(cast("dict[str, Any]", given)) > MAX_LABELS:
        raise InvalidInput(f"labels must be an object with at most {MAX_LABELS} members.", field="labels")
    labels = cast("dict[str, Any]", given)
    return dict(label_pair(name, value, f"labels.{name}") for name, value in labels.items())


def label_pair(name: str, value: Any, field: str) -> tuple[str, str]:
    """The name and the value of a label. Raises InvalidInput."""
    if not isinstance(value, str) or not 0 < len(name) <= MAX_LABEL or len(value) > MAX_LABEL:
        message = f"A label has a name and a text, each of at most {MAX_LABEL} characters."
        raise InvalidInput(message, field=field)
    if ":" in name:
        raise InvalidInput("The name of a label has no colon.", field=field)
    return name, value


def _priority(given: Any) -> float:
    if given is None:
        return 0.0
    if isinstance(given, bool) or not isinstance(given, int | float) or not abs(given) <= MAX_PRIORITY:
        message = f"priority must be a number from -{MAX_PRIORITY} to {MAX_PRIORITY}."
        raise InvalidInput(message, field="priority")
    return float(given)


def _tracing(request: web.Request) -> dict[str, str]:
    # Of all headers only the trace context is kept: the others hold the client's credentials.
    found = ((name, request.headers.get(name, "")) for name in ("traceparent", "tracestate"))
    return {name: value for name, value in found if 0 < len(value) <= MAX_TRACE and value.isascii()}
