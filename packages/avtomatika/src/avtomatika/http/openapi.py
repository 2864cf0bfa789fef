"""The OpenAPI 3.1 document of the routes: every parameter, every body, every answer with its headers."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from avtomatika.http.operation import JSON, Answer, Operation, Route, Schema, Security, codes
from avtomatika.http.problems import STATUS, ProblemBody
from avtomatika.http.views import JobAccepted

REFERENCE: Final = "#/components/schemas/{name}"
ABOUT: Final = """\
Jobs of this orchestrator, for its clients. A client names itself by its token, in one of three headers.

The paths with `v1` that are no blueprint's own are also there without a version, and under every version
that a blueprint names. What answers GET answers HEAD. A path that leads nowhere is answered with 404
`not_found`, a method that a path does not have with 405 `method_not_allowed` and the header `Allow`.

Every error has one shape, `ProblemBody`, and its id in the header `X-Request-ID`. The endpoints for workers
(`/_worker`, the protocol RXON) are not part of this document; the reference describes them.
"""

_SECURITY: Final[Mapping[str, Any]] = {
    "clientToken": {"type": "apiKey", "in": "header", "name": "X-Client-Token"},
    "avtomatikaToken": {"type": "apiKey", "in": "header", "name": "X-Avtomatika-Token"},
    "bearer": {"type": "http", "scheme": "bearer"},
}
_REQUEST_ID: Final = {
    "description": "The id under which the error can be found in the log, where it was logged.",
    "schema": {"type": "string"},
}
_RETRY_AFTER: Final = {
    "description": "Seconds after which to try again.",
    "schema": {"type": "integer", "minimum": 0},
}
_ALLOW: Final = {"description": "The methods that the path has.", "schema": {"type": "string"}}
_CHALLENGE: Final = {"description": "How a client can name itself.", "schema": {"type": "string"}}
_HEADERS_OF: Final[Mapping[int, tuple[str, ...]]] = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}


def document(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """The document of the listed routes, as JSON values."""
    listed = [route for route in routes if route.listed]
    known = _Schemas(route.operation for route in listed)
    paths = defaultdict[str, dict[str, Any]](dict)
    for route in listed:
        paths[route.path][route.operation.method.lower()] = _operation(route.operation, known)
    links = _links(listed)
    for response in _creations(paths.values(), known):
        response["links"] = {name: {"$ref": f"#/components/links/{name}"} for name in links}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Avtomatika", "version": version, "description": ABOUT},
        "tags": [{"name": tag} for tag in dict.fromkeys(route.operation.tag for route in listed)],
        "paths": paths,
        "components": {
            "securitySchemes": _SECURITY,
            "schemas": _components(listed) | known.components,
            "headers": {
                "X-Request-ID": _REQUEST_ID,
                "Retry-After": _RETRY_AFTER,
                "Allow": _ALLOW,
                "WWW-Authenticate": _CHALLENGE,
            },
            "links": links,
            "responses": {
                "NotFound": _problem(404, ["not_found"], known),
                "MethodNotAllowed": _problem(405, ["method_not_allowed"], known),
            },
        },
    }


def _components(routes: Iterable[Route]) -> dict[str, Any]:
    """The schemas that operations bring with them."""
    return {name: schema for route in routes for name, schema in route.operation.components.items()}


def _links(routes: Iterable[Route]) -> dict[str, Any]:
    """What can be asked of a job by the id that its creation is answered with."""
    asked = (each.operation for each in routes if "{job_id}" in each.path)
    id_of = {"job_id": "$response.body#/job_id"}
    return {operation.id: {"operationId": operation.id, "parameters": id_of} for operation in asked}


def _creations(items: Iterable[Mapping[str, Any]], known: "_Schemas") -> Iterator[dict[str, Any]]:
    """The answers that name a new job."""
    created = {JSON: {"schema": known(JobAccepted)}}
    for item in items:
        for operation in item.values():
            yield from (each for each in operation["responses"].values() if each.get("content") == created)


class _Schemas:
    """The schemas of all structs that the operations name, each once."""

    def __init__(self, operations: Iterable[Operation[Any]]) -> None:
        named = [schema for operation in operations for schema in _schemas_of(operation)]
        structs = list(
            dict.fromkeys([ProblemBody, JobAccepted, *(each for each in named if isinstance(each, type))])
        )
        found, self.components = msgspec.json.schema_components(structs, ref_template=REFERENCE)
        self._of = dict(zip(structs, found, strict=True))

    def __call__(self, schema: Schema) -> Mapping[str, Any]:
        if isinstance(schema, tuple):
            return {"anyOf": [self(each) for each in schema]}
        return self._of[schema] if isinstance(schema, type) else schema


def _schemas_of(operation: Operation[Any]) -> Sequence[type | Mapping[str, Any]]:
    bodies = [each.schema for each in (operation.body, *operation.answers) if each is not None]
    return [part for schema in bodies if schema is not None for part in _parts(schema)]


def _parts(schema: Schema) -> tuple[type | Mapping[str, Any], ...]:
    return schema if isinstance(schema, tuple) else (schema,)


def _operation(operation: Operation[Any], known: _Schemas) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": _responses(operation, known),
        "security": [{name: []} for name in _SECURITY] if operation.security is not Security.ANYBODY else [],
    }
    if operation.description:
        made["description"] = operation.description
    if operation.parameters:
        made["parameters"] = [
            {"name": p.name, "in": p.place.value, "required": p.required, "description": p.description}
            | {"schema": p.schema}
            for p in operation.parameters
        ]
    if operation.body is not None:
        content = {operation.body.content_type: {"schema": known(operation.body.schema)}}
        about = {"description": operation.body.description, "required": operation.body.required}
        made["requestBody"] = {**about, "content": content}
    return made


def _responses(operation: Operation[Any], known: _Schemas) -> dict[str, Any]:
    by_status = defaultdict[int, list[str]](list)
    for code in dict.fromkeys(codes(operation)):
        by_status[STATUS[code]].append(code)
    found = {status: _problem(status, names, known) for status, names in by_status.items()}
    found |= {answer.status: _answer(answer, known) for answer in operation.answers}
    return {str(status): found[status] for status in sorted(found)}


def _answer(answer: Answer, known: _Schemas) -> dict[str, Any]:
    media = {} if answer.schema is None else {"schema": known(answer.schema)}
    return {"description": answer.description, "content": dict.fromkeys(answer.content_types, media)}


def _problem(status: int, names: Sequence[str], known: _Schemas) -> dict[str, Any]:
    """The answer for errors with these codes, which share a status."""
    narrowed = {"properties": {"error": {"properties": {"code": {"enum": list(names)}}}}}
    headers = ("X-Request-ID", *_HEADERS_OF.get(status, ()))
    return {
        "description": ", ".join(f"`{name}`" for name in names),
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {JSON: {"schema": {"allOf": [known(ProblemBody), narrowed]}}},
    }
