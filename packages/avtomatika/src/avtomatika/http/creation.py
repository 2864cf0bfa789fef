"""The operations that create jobs: two for every blueprint with an endpoint."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeGuard, cast

from aiohttp import web

from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.commands.submit import MAX_KEY
from avtomatika.errors import ContractViolation, KeyReused, Overloaded
from avtomatika.http.bodies import (
    ENVELOPE,
    KEY_HEADER,
    MAX_BATCH,
    MAX_BATCH_KEY,
    MAX_LABEL,
    MAX_LABELS,
    MAX_PRIORITY,
    MAX_SECONDS,
)
from avtomatika.http.client_api import ClientApi
from avtomatika.http.operation import BAD_BODY, OBJECT, WRITES, Answer, Body, Operation, Parameter, in_header
from avtomatika.http.views import BatchAccepted, BatchOver, DetailedJobView, JobAccepted, JobView

CREATION: Final = "Create jobs"
TRACE: Final = (
    in_header("traceparent", "The trace that the job belongs to; goes to the workers."),
    in_header("tracestate", "Goes with `traceparent`."),
)
PREFER: Final = in_header("Prefer", "`wait=N` waits up to N seconds for the end (RFC 7240).")
ENVELOPED: Final = [{"required": [name]} for name in sorted(ENVELOPE)]
"""A body is an envelope when one of these holds."""


def _key(longest: int) -> Parameter:
    said = (
        "Makes the request safe to repeat for a day: an equal request with an equal key gives the same job."
    )
    return in_header(KEY_HEADER, said, minLength=1, maxLength=longest, pattern="^[!-~]([ -~]*[!-~])?$")


def creations(blueprint: Blueprint, newest: bool) -> Iterator[Operation[ClientApi]]:
    """The operations that create jobs of the blueprint, which has an endpoint: one, or many at once.

    One that is not the *newest* of its name is called by its version too.
    """

    async def _create(api: ClientApi, request: web.Request) -> web.StreamResponse:
        return await api.create(request, blueprint)

    async def _create_batch(api: ClientApi, request: web.Request) -> web.StreamResponse:
        return await api.create_batch(request, blueprint)

    called = blueprint.name if newest else f"{blueprint.name}_{blueprint.edition}"
    title = blueprint.name if newest else f"{blueprint.name}, version {blueprint.edition}"
    components, given = _input(blueprint, called)
    endpoint = blueprint.api_endpoint or ""
    wanted = (_envelope(given), {**given, "not": {"anyOf": ENVELOPED}})
    yield Operation(
        id=f"create_{called}",
        method="POST",
        path=endpoint,
        call=_create,
        summary=f"Create a job of {title}",
        description="A body with a member of the envelope is one; any other is the input of the job itself.",
        tag=CREATION,
        parameters=(_key(MAX_KEY), PREFER, *TRACE),
        body=Body(wanted, "The input of the job, in an envelope or as it is."),
        answers=(
            Answer(JobAccepted, "The job is durable.", 202),
            Answer((JobView, DetailedJobView), "The job is over, while the caller preferred to wait."),
        ),
        errors=(*BAD_BODY, ContractViolation, KeyReused, Overloaded, *WRITES),
        components=components,
    )
    yield Operation(
        id=f"create_batch_{called}",
        method="POST",
        path=f"{endpoint}/batch",
        call=_create_batch,
        summary=f"Create many jobs of {title}",
        description="Nothing is accepted when anything is wrong with one of them. "
        "With a key, the repetition after a failure gives the jobs that were accepted, and accepts the rest.",
        tag=CREATION,
        parameters=(_key(MAX_BATCH_KEY), PREFER, *TRACE),
        body=Body(_batch({"anyOf": [*wanted]}), "The jobs, each as in a request of its own.", True),
        answers=(
            Answer(BatchAccepted, "All jobs are durable.", 202),
            Answer(BatchOver, "All jobs are over, while the caller preferred to wait."),
        ),
        errors=(*BAD_BODY, ContractViolation, KeyReused, Overloaded, *WRITES),
        components=components,
    )


def _input(blueprint: Blueprint, called: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The components of the document that the input of the blueprint needs, and the schema of the input."""
    schema = blueprint.input_schema
    if schema is None:
        return {}, OBJECT
    name = f"Input_{re.sub('[^A-Za-z0-9._-]', lambda found: f'_{ord(found[0]):x}_', called)}"
    place = f"#/components/schemas/{name}"
    return {name: _moved(schema, place)}, {"$ref": place}


def _moved(schema: Any, place: str) -> Any:
    """The schema with its references to itself leading to where it is now."""
    match schema:
        case dict():
            members = cast("Mapping[str, Any]", schema)
            moved = {key: _moved(part, place) for key, part in members.items()}
            target = moved.get("$ref")
            return moved | ({"$ref": place + target[1:]} if _is_within(target) else {})
        case list():
            return [_moved(part, place) for part in cast("Sequence[Any]", schema)]
        case _:
            return schema


def _is_within(target: object) -> TypeGuard[str]:
    return isinstance(target, str) and target.startswith("#")


def _batch(each: Mapping[str, Any]) -> Mapping[str, Any]:
    jobs = {"type": "array", "items": each, "minItems": 1, "maxItems": MAX_BATCH}
    members = {"jobs": jobs}
    return {"type": "object", "properties": members, "required": ["jobs"], "additionalProperties": False}


def _envelope(given: Mapping[str, Any]) -> Mapping[str, Any]:
    limit = {"type": ["number", "null"], "exclusiveMinimum": 0, "exclusiveMaximum": MAX_SECONDS}
    members = {
        "initial_data": given,
        "webhook_url": {"type": ["string", "null"], "format": "uri"},
        "dispatch_timeout": limit,
        "result_timeout": limit,
    }
    beside = {
        "labels": {
            "type": ["object", "null"],
            "maxProperties": MAX_LABELS,
            "propertyNames": {"pattern": "^[^:]+$", "maxLength": MAX_LABEL},
            "additionalProperties": {"type": "string", "maxLength": MAX_LABEL},
        },
        "priority": {"type": ["number", "null"], "minimum": -MAX_PRIORITY, "maximum": MAX_PRIORITY},
    }
    return {
        "type": "object",
        "properties": {**members, **beside},
        "additionalProperties": False,
        "anyOf": ENVELOPED,
    }
