"""The table of the API: every route that is there, and all that is said of it.

To add a route, write the handler as a method of the API object that it belongs to (`ClientApi`,
`BlueprintApi`, `PublicApi`, …) and add one `Operation` to the tuple of that object here. Routes of all
versions, the OpenAPI document, the page of docs and the page `docs/reference/http.md` follow from it
(`python docs/generate.py` writes the last one). The table goes on in `desk_operations.py`. For a new API
object add a tuple and one line in `routes.py`, which binds a tuple to the object. Answers that are JSON are
structs, so that their schema is known. `errors` names what the handler raises; what everything can answer
is in `ALWAYS`. Generated requests find out what was forgotten: tests/integration/http/test_openapi.py.
"""

from typing import Final

from avtomatika.errors import AlreadyOver, Conflict, InvalidInput, NotFound
from avtomatika.http.blueprint_api import CONTENT_TYPES, BlueprintApi
from avtomatika.http.client_api import MAX_NAME, MAX_WAIT, ClientApi
from avtomatika.http.docs_api import FILES, DocsApi
from avtomatika.http.operation import (
    BAD_BODY,
    OBJECT,
    READS,
    WRITES,
    Answer,
    Body,
    Operation,
    Parameter,
    Place,
    Security,
    in_path,
    in_query,
)
from avtomatika.http.public_api import NotReadyView, PublicApi, ReadyView, StatusView
from avtomatika.http.query import LAST_MOMENT, MAX_PAGE
from avtomatika.http.views import (
    CancellationAccepted,
    DetailedJobView,
    EventAccepted,
    JobList,
    JobView,
)
from avtomatika.kernel.model import Status

JOBS: Final = "Jobs"
BLUEPRINTS: Final = "Blueprints"
NODE: Final = "Node"

JOB_ID: Final = in_path("job_id", "The id of the job.")
MOMENT: Final = {
    "description": "Seconds since the epoch, or a time with a zone.",
    "anyOf": [
        {"type": "number", "minimum": 0, "exclusiveMaximum": LAST_MOMENT},
        {"type": "string", "format": "date-time"},
    ],
}
FILTERS: Final = (
    in_query("blueprint", "Only jobs of the blueprint with this name."),
    in_query(
        "label",
        "Only jobs with this label, as name:value. May be given several times.",
        pattern=r"^[^:]{1,255}:[\s\S]{0,255}$",
    ),
    Parameter("since", Place.QUERY, MOMENT, "Only jobs created then or later."),
    Parameter("before", Place.QUERY, MOMENT, "Only jobs created earlier than that."),
)
PAGE: Final = (
    in_query("limit", "How many at most.", type="integer", minimum=1, maximum=MAX_PAGE, default=100),
    in_query("after", "The `next` of the page before.", pattern=r"^[0-9]{1,18}~[!-~]{1,255}$"),
)

_NAMES: Final = "|".join(DetailedJobView.__struct_fields__)
SOME_FIELDS: Final = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}

CLIENT: Final[tuple[Operation[ClientApi], ...]] = (
    Operation(
        id="listJobs",
        method="GET",
        path="/jobs",
        call=ClientApi.list,
        summary="List jobs, newest first",
        description="Pages are by key: jobs that are added meanwhile do not shift them.",
        tag=JOBS,
        parameters=(
            in_query("status", "Only jobs with this status.", enum=[status.value for status in Status]),
            *FILTERS,
            *PAGE,
        ),
        answers=(Answer(JobList, "A page of the jobs that the caller sees."),),
        errors=(InvalidInput, *READS),
    ),
    Operation(
        id="listQuarantinedJobs",
        method="GET",
        path="/jobs/quarantined",
        call=ClientApi.quarantined,
        summary="List the jobs in quarantine",
        tag=JOBS,
        parameters=(*FILTERS, *PAGE),
        answers=(Answer(JobList, "A page of jobs that need a person to look at them."),),
        errors=(InvalidInput, *READS),
    ),
    Operation(
        id="readJob",
        method="GET",
        path="/jobs/{job_id}",
        call=ClientApi.read,
        summary="Read a job, or wait for its end",
        tag=JOBS,
        parameters=(
            JOB_ID,
            in_query(
                "wait", "Seconds to wait for the end of the job.", type="number", minimum=0, maximum=MAX_WAIT
            ),
            in_query("detailed", "Adds the data of the job.", type="boolean"),
            in_query(
                "fields",
                "Names of members, separated by commas: only those, and `id`.",
                pattern=f"^({_NAMES})?(,({_NAMES})?)*$",
            ),
        ),
        answers=(Answer((JobView, DetailedJobView, SOME_FIELDS), "The job as last committed."),),
        errors=(InvalidInput, NotFound, *READS),
    ),
    Operation(
        id="cancelJob",
        method="POST",
        path="/jobs/{job_id}/cancel",
        call=ClientApi.cancel,
        summary="Cancel a job",
        tag=JOBS,
        parameters=(JOB_ID,),
        answers=(Answer(CancellationAccepted, "Nothing of the job will be committed any more."),),
        errors=(NotFound, AlreadyOver, Conflict, *WRITES),
    ),
    Operation(
        id="sendEvent",
        method="POST",
        path="/jobs/{job_id}/events/{name}",
        call=ClientApi.send_event,
        summary="Send a job an event",
        description="A job that waits for an event of that name moves on; any other keeps it until it waits.",
        tag=JOBS,
        parameters=(JOB_ID, in_path("name", "The name of the event.", maxLength=MAX_NAME)),
        body=Body(OBJECT, "What the event says; laid over the state history."),
        answers=(Answer(EventAccepted, "The job has the event.", 202),),
        errors=(*BAD_BODY, NotFound, AlreadyOver, Conflict, *WRITES),
    ),
)

KNOWN_BLUEPRINTS: Final[tuple[Operation[BlueprintApi], ...]] = (
    Operation(
        id="drawBlueprint",
        method="GET",
        path="/blueprints/{name}/graph",
        call=BlueprintApi.graph,
        summary="The graph of a blueprint",
        tag=BLUEPRINTS,
        parameters=(
            in_path("name", "The name of the blueprint."),
            in_query("format", "How it is drawn.", enum=[*CONTENT_TYPES], default="dot"),
        ),
        answers=(Answer(None, "The graph.", content_types=tuple(CONTENT_TYPES.values())),),
        errors=(InvalidInput, NotFound),
    ),
)

PUBLIC: Final[tuple[Operation[PublicApi], ...]] = (
    Operation(
        id="status",
        method="GET",
        path="/_public/status",
        call=PublicApi.status,
        summary="That the process lives, and what its store promises",
        tag=NODE,
        security=Security.ANYBODY,
        answers=(Answer(StatusView, "It lives."),),
    ),
    Operation(
        id="readMetrics",
        method="GET",
        path="/_public/metrics",
        call=PublicApi.metrics,
        summary="Metrics for Prometheus",
        description="What they mean is on the page on telemetry of the reference.",
        tag=NODE,
        security=Security.ANYBODY,
        answers=(Answer(None, "The metrics of the process.", content_types=("text/plain",)),),
    ),
    Operation(
        id="ready",
        method="GET",
        path="/_public/ready",
        call=PublicApi.ready,
        summary="Whether requests are taken",
        tag=NODE,
        security=Security.ANYBODY,
        answers=(
            Answer(ReadyView, "Requests are taken."),
            Answer(NotReadyView, "The node starts or drains.", 503),
        ),
    ),
)

DOCS: Final[tuple[Operation[DocsApi], ...]] = (
    Operation(
        id="readDocument",
        method="GET",
        path="/_public/openapi.json",
        call=DocsApi.document,
        summary="This document",
        tag=NODE,
        security=Security.ANYBODY,
        answers=(Answer(OBJECT, "The API as OpenAPI 3.1."),),
    ),
    Operation(
        id="readDocs",
        method="GET",
        path="/_public/docs",
        call=DocsApi.page,
        summary="The API as a page that can send requests",
        tag=NODE,
        security=Security.ANYBODY,
        answers=(Answer(None, "The page.", content_types=("text/html",)),),
    ),
    Operation(
        id="readDocsFile",
        method="GET",
        path="/_public/docs/{file}",
        call=DocsApi.file,
        summary="What the page of the docs loads",
        tag=NODE,
        security=Security.ANYBODY,
        parameters=(in_path("file", "The name of the file.", enum=[*FILES]),),
        answers=(Answer(None, "The file.", content_types=tuple(FILES.values())),),
        errors=(NotFound,),
    ),
)
