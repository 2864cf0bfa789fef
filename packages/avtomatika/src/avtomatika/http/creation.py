"""The operations that create jobs: two for every blueprint with an endpoint."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aiohttp import web

from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.commands.submit import MAX_KEY
from avtomatika.errors import ContractViolation, KeyReused
from avtomatika.http.bodies import KEY_HEADER, MAX_BATCH, MAX_LABEL, MAX_LABELS, MAX_PRIORITY, MAX_SECONDS
from avtomatika.http.client_api import ClientApi
from avtomatika.http.operation import BAD_BODY, OBJECT, WRITES, Answer, Body, Operation, in_header
from avtomatika.http.views import BatchAccepted, JobAccepted

CREATION: Final = "Create jobs"
PARAMETERS: Final = (
    in_header(
        KEY_HEADER,
        "Makes the request safe to repeat for a day: an equal request with an equal key gives the same job.",
        minLength=1,
        maxLength=MAX_KEY,
        pattern="^[ -~]+$",
    ),
    in_header("traceparent", "The trace that the job belongs to; goes to the workers."),
    in_header("tracestate", "Goes with `traceparent`."),
)
"""What every creation of a job takes beside its body."""


def creations(blueprint: Blueprint) -> Iterator[Operation[ClientApi]]:
    """The operations that create jobs of the blueprint, which has an endpoint: one, or many at once."""

    async def create(api: ClientApi, request: web.Request) -> web.StreamResponse:
        return await api.create(request, blueprint)

    async def create_batch(api: ClientApi, request: web.Request) -> web.StreamResponse:
        return await api.create_batch(request, blueprint)

    endpoint, wanted = blueprint.api_endpoint or "", (_envelope(OBJECT), OBJECT)
    yield Operation(
        id=f"create_{blueprint.name}",
        method="POST",
        path=endpoint,
        call=create,
        summary=f"Create a job of {blueprint.name}",
        description="A body with a member of the envelope is one; any other is the input of the job itself.",
        tag=CREATION,
        parameters=PARAMETERS,
        body=Body(wanted, "The input of the job, in an envelope or as it is."),
        answers=(Answer(JobAccepted, "The job is durable.", 202),),
        errors=(*BAD_BODY, ContractViolation, KeyReused, *WRITES),
    )
    yield Operation(
        id=f"create_batch_{blueprint.name}",
        method="POST",
        path=f"{endpoint}/batch",
        call=create_batch,
        summary=f"Create many jobs of {blueprint.name}",
        description="Nothing is accepted when anything is wrong with one of them. "
        "With a key, the repetition after a failure gives the jobs that were accepted, and accepts the rest.",
        tag=CREATION,
        parameters=PARAMETERS,
        body=Body(_batch({"anyOf": [*wanted]}), "The jobs, each as in a request of its own."),
        answers=(Answer(BatchAccepted, "All jobs are durable.", 202),),
        errors=(*BAD_BODY, ContractViolation, KeyReused, *WRITES),
    )


def _batch(each: Mapping[str, Any]) -> Mapping[str, Any]:
    jobs = {"type": "array", "items": each, "minItems": 1, "maxItems": MAX_BATCH}
    members = {"jobs": jobs}
    return {"type": "object", "properties": members, "required": ["jobs"], "additionalProperties": False}


def _envelope(given: Mapping[str, Any]) -> Mapping[str, Any]:
    limit = {"type": ["number", "null"], "exclusiveMinimum": 0, "exclusiveMaximum": MAX_SECONDS}
    members = {
        "initial_data": given,
        "webhook_url": {"type": ["string", "null"], "minLength": 1},
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
    wanted = [{"required": [name]} for name in members]
    return {
        "type": "object",
        "properties": {**members, **beside},
        "additionalProperties": False,
        "anyOf": wanted,
    }
