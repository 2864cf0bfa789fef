"""What is known of a route before any request: the values that the routes and the document come from."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

import msgspec
from aiohttp import web

from avtomatika.errors import (
    AvtomatikaError,
    InvalidInput,
    InvalidJson,
    StorageBroken,
    StorageFull,
    TooLarge,
    Unavailable,
)

A = TypeVar("A")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Schema = type | Mapping[str, Any] | tuple[type | Mapping[str, Any], ...]
Code = str | type[AvtomatikaError]

JSON: Final = "application/json"
OBJECT: Final[Mapping[str, Any]] = {"type": "object"}

BAD_BODY: Final[tuple[Code, ...]] = (InvalidInput, InvalidJson, TooLarge)
"""What an operation with a body answers."""

READS: Final[tuple[Code, ...]] = (Unavailable, StorageBroken)
"""What an operation that reads the store answers."""

WRITES: Final[tuple[Code, ...]] = (*READS, StorageFull)
"""What an operation that commits answers."""


class Security(StrEnum):
    """Who may call."""

    ANYBODY = "anybody"
    CLIENT = "client"
    OPERATOR = "operator"


class Place(StrEnum):
    """Where a parameter is."""

    PATH = "path"
    QUERY = "query"
    HEADER = "header"


class Parameter(msgspec.Struct, frozen=True):
    """A value beside the body. Those in the path are always required."""

    name: str
    place: Place
    schema: Mapping[str, Any]
    description: str
    required: bool = False


class Body(msgspec.Struct, frozen=True):
    """The body of a request. A *schema* that is a tuple stands for any of several."""

    schema: Schema
    description: str
    required: bool = False
    content_type: str = JSON


class Answer(msgspec.Struct, frozen=True):
    """An answer that is no error. Without *schema* it has no body that could be described as JSON."""

    schema: Schema | None
    description: str
    status: int = 200
    content_types: tuple[str, ...] = (JSON,)


class Operation(msgspec.Struct, Generic[A], frozen=True, kw_only=True):
    """One route of the API object A: how it is called, and all that it can answer.

    `path` of an operation for clients begins behind prefix and version. `errors` are those beyond `ALWAYS`.
    `components` are schemas that the others refer to by `#/components/schemas/…`.
    """

    id: str
    method: str
    path: str
    call: Callable[[A, web.Request], Awaitable[web.StreamResponse]]
    summary: str
    tag: str
    answers: tuple[Answer, ...]
    description: str = ""
    security: Security = Security.CLIENT
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    errors: tuple[Code, ...] = ()
    components: Mapping[str, Any] = {}


class Route(msgspec.Struct, frozen=True):
    """An operation at its full path, with the handler that answers. `listed` routes are in the document."""

    path: str
    operation: Operation[Any]
    handler: Handler
    listed: bool = True


ALWAYS: Final[Mapping[Security, tuple[Code, ...]]] = {
    Security.ANYBODY: ("invalid_request", "internal_error"),
    Security.CLIENT: ("invalid_request", "unauthorized", "internal_error"),
    Security.OPERATOR: ("invalid_request", "unauthorized", "forbidden", "internal_error"),
}
"""What every operation can answer."""


def in_path(name: str, description: str, **schema: Any) -> Parameter:
    """A text in the path."""
    return Parameter(name, Place.PATH, {"type": "string", "minLength": 1, **schema}, description, True)


def in_query(name: str, description: str, **schema: Any) -> Parameter:
    """A value behind the question mark, which may be left out; a text unless *schema* says otherwise."""
    return Parameter(name, Place.QUERY, {"type": "string", **schema}, description)


def in_header(name: str, description: str, **schema: Any) -> Parameter:
    """A header, which may be left out."""
    return Parameter(name, Place.HEADER, {"type": "string", **schema}, description)


def codes(operation: Operation[Any]) -> Iterable[str]:
    """The code of every error that the operation can answer."""
    for code in (*ALWAYS[operation.security], *operation.errors):
        yield code if isinstance(code, str) else code.code
