"""The table of the API, continued: following jobs, approvals, and the verbs of operators."""

from typing import Any, Final

from avtomatika.errors import AlreadyOver, Conflict, InvalidInput, NotFound, Unauthorized
from avtomatika.http.approval_api import ApprovalApi, ApprovalList, ApprovalReceived, DecisionBody
from avtomatika.http.explaining import TaskExplanation
from avtomatika.http.follow_api import LAST_SEEN, LAST_VERSION, FollowApi, History
from avtomatika.http.operation import (
    BAD_BODY,
    READS,
    WRITES,
    Answer,
    Body,
    Operation,
    Security,
    in_header,
    in_path,
    in_query,
)
from avtomatika.http.operations import BLUEPRINTS, FILTERS, JOB_ID, JOBS, PAGE
from avtomatika.http.operator_api import (
    BlueprintPaused,
    OperatorApi,
    Requeued,
    Rewound,
    WebhookQueued,
)
from avtomatika.http.overview_api import BlueprintList, Dashboard, OverviewApi, ScheduleList, WorkerList
from avtomatika.http.query import MAX_PAGE
from avtomatika.http.views import JobAccepted
from avtomatika.http.worker_api import CommandSent, WorkerApi, WorkersReloaded

APPROVAL: Final = "Approvals"
OPERATION: Final = "Operation"
VERB: Final = (NotFound, AlreadyOver, Conflict, *WRITES)

PLACE: Final = {
    "type": "object",
    "properties": {"version": {"type": ["integer", "null"]}, "state": {"type": ["string", "null"]}},
    "additionalProperties": False,
    "oneOf": [
        {"required": ["version"], "properties": {"version": {"type": "integer"}, "state": {"type": "null"}}},
        {"required": ["state"], "properties": {"state": {"type": "string"}, "version": {"type": "null"}}},
    ],
}

FOLLOWING: Final[tuple[Operation[FollowApi], ...]] = (
    Operation(
        id="readHistory",
        method="GET",
        path="/jobs/{job_id}/history",
        call=FollowApi.history,
        summary="What happened to a job",
        tag=JOBS,
        parameters=(
            JOB_ID,
            in_query("limit", "How many at most.", type="integer", minimum=1, maximum=MAX_PAGE, default=100),
            in_query(
                "after", "The `next` of the page before.", type="integer", minimum=0, maximum=LAST_VERSION
            ),
        ),
        answers=(Answer(History, "The facts of the job, oldest first."),),
        errors=(InvalidInput, NotFound, *READS),
    ),
    Operation(
        id="followJob",
        method="GET",
        path="/jobs/{job_id}/events",
        call=FollowApi.stream,
        summary="Follow a job",
        description="Server-sent events: `state`, `progress`, `worker_event`, `event` and `end`.",
        tag=JOBS,
        parameters=(
            JOB_ID,
            in_header(LAST_SEEN, "The id of the last piece of news that was heard.", pattern="^[0-9]{0,12}$"),
            in_query(
                "last_event_id", "The same, for clients that cannot send headers.", pattern="^[0-9]{0,12}$"
            ),
        ),
        answers=(
            Answer(None, "The news of the job.", content_types=("text/event-stream",)),
            Answer(None, "The job is over, and all of it was heard.", 204, content_types=()),
        ),
        errors=(InvalidInput, NotFound, *READS),
    ),
)

APPROVALS: Final[tuple[Operation[ApprovalApi], ...]] = (
    Operation(
        id="listApprovals",
        method="GET",
        path="/approvals",
        call=ApprovalApi.inbox,
        summary="The questions that wait for a person",
        tag=APPROVAL,
        parameters=(FILTERS[0], FILTERS[1], *PAGE),
        answers=(Answer(ApprovalList, "A page of questions."),),
        errors=(InvalidInput, *READS),
    ),
    Operation(
        id="decide",
        method="POST",
        path="/jobs/{job_id}/approval",
        call=ApprovalApi.decide,
        summary="Decide what a job asks",
        tag=APPROVAL,
        parameters=(JOB_ID,),
        body=Body(DecisionBody, "The decision and the data that go with it.", True),
        answers=(Answer(ApprovalReceived, "The job has moved on."),),
        errors=(*BAD_BODY, *VERB),
    ),
)

LINKS: Final[tuple[Operation[ApprovalApi], ...]] = (
    Operation(
        id="decideByLink",
        method="POST",
        path="/_public/webhooks/approval/{job_id}",
        call=ApprovalApi.decide_by_link,
        summary="Decide what a job asks, with the secret of its link",
        description="The secret comes with the webhook `approval_requested`. A client may send its token.",
        tag=APPROVAL,
        security=Security.ANYBODY,
        parameters=(JOB_ID, in_query("token", "The secret of the approval link.")),
        body=Body(DecisionBody, "The decision and the data that go with it.", True),
        answers=(Answer(ApprovalReceived, "The job has moved on."),),
        errors=(Unauthorized, *BAD_BODY, *VERB),
    ),
)


def _verb(
    name: str, call: Any, summary: str, answer: Answer, *, place: bool = False
) -> Operation[OperatorApi]:
    return Operation(
        id=f"{name.replace('/', '_')}Job",
        method="POST",
        path=f"/jobs/{{job_id}}/{name}",
        call=call,
        summary=summary,
        tag=OPERATION,
        parameters=(JOB_ID,),
        body=Body(PLACE, "Either a version of the job, or a state.", True) if place else None,
        answers=(answer,),
        errors=(*(BAD_BODY if place else ()), *VERB),
    )


def _switch(name: str, call: Any, summary: str) -> Operation[OperatorApi]:
    return Operation(
        id=f"{name}Blueprint",
        method="POST",
        path=f"/blueprints/{{name}}/{name}",
        call=call,
        summary=summary,
        tag=OPERATION,
        security=Security.OPERATOR,
        parameters=(in_path("name", "The name of the blueprint."),),
        answers=(Answer(BlueprintPaused, "Whether it is paused now."),),
        errors=(NotFound, *WRITES),
    )


OVERVIEW: Final[tuple[Operation[OverviewApi], ...]] = (
    Operation(
        id="listBlueprints",
        method="GET",
        path="/blueprints",
        call=OverviewApi.blueprints,
        summary="The blueprints of this node",
        tag=BLUEPRINTS,
        answers=(Answer(BlueprintList, "The blueprints, and the versions that jobs wait for in vain here."),),
        errors=READS,
    ),
    Operation(
        id="listWorkers",
        method="GET",
        path="/workers",
        call=OverviewApi.workers,
        summary="The workers that are present",
        tag=OPERATION,
        security=Security.OPERATOR,
        answers=(Answer(WorkerList, "The workers."),),
        errors=READS,
    ),
    Operation(
        id="explainTask",
        method="GET",
        path="/tasks/{task_id}/explain",
        call=OverviewApi.explain,
        summary="Why a task waits",
        description="The id is in `waiting` of the job. Operators see the names of workers as well.",
        tag=OPERATION,
        parameters=(in_path("task_id", "The id of a task of an unfinished job."),),
        answers=(Answer(TaskExplanation, "How many workers may have the task, and what the others lack."),),
        errors=(NotFound, *READS),
    ),
    Operation(
        id="readCatalog",
        method="GET",
        path="/workers/catalog",
        call=OverviewApi.catalog,
        summary="The skills that workers offer",
        tag=BLUEPRINTS,
        answers=(Answer({"type": "object"}, "The skills by name."),),
        errors=READS,
    ),
    Operation(
        id="readDashboard",
        method="GET",
        path="/dashboard",
        call=OverviewApi.dashboard,
        summary="How many jobs stand where",
        tag=JOBS,
        answers=(Answer(Dashboard, "The numbers."),),
        errors=READS,
    ),
    Operation(
        id="listSchedules",
        method="GET",
        path="/schedules",
        call=OverviewApi.schedules,
        summary="The schedules of this node",
        tag=OPERATION,
        security=Security.OPERATOR,
        answers=(Answer(ScheduleList, "The schedules."),),
        errors=READS,
    ),
)

OPERATOR: Final[tuple[Operation[OperatorApi], ...]] = (
    _verb("requeue", OperatorApi.requeue, "Run the handler again", Answer(Requeued, "It is due.", 202)),
    _verb(
        "rewind",
        OperatorApi.rewind,
        "Go on from an earlier place",
        Answer(Rewound, "The job goes on from there.", 202),
        place=True,
    ),
    _verb(
        "fork",
        OperatorApi.fork,
        "Start a new job from an earlier place",
        Answer(JobAccepted, "The new job is durable.", 202),
        place=True,
    ),
    _verb(
        "webhook/resend",
        OperatorApi.resend_webhook,
        "Send the webhook of the end, or of an open question that nobody took, again",
        Answer(WebhookQueued, "It is on its way.", 202),
    ),
    _switch("pause", OperatorApi.pause, "Begin no handler of a blueprint"),
    _switch("resume", OperatorApi.resume, "Begin handlers of a blueprint again"),
)

WORKERS: Final[tuple[Operation[WorkerApi], ...]] = (
    Operation(
        id="commandWorker",
        method="POST",
        path="/workers/{worker_id}/commands/{name}",
        call=WorkerApi.command,
        summary="Tell a worker something",
        description="The body, an object, goes to the worker as the parameters of the command.",
        tag=OPERATION,
        security=Security.OPERATOR,
        parameters=(
            in_path("worker_id", "The id of the worker."),
            in_path("name", "A command of the worker's own.", maxLength=255),
        ),
        body=Body({"type": "object"}, "The parameters of the command."),
        answers=(Answer(CommandSent, "It is on its way.", 202),),
        errors=(*BAD_BODY, NotFound, *READS),
    ),
    Operation(
        id="reloadWorkers",
        method="POST",
        path="/admin/reload-workers",
        call=WorkerApi.reload,
        summary="Read the tokens of workers again",
        tag=OPERATION,
        security=Security.OPERATOR,
        answers=(Answer(WorkersReloaded, "They are those of the file."),),
        errors=(Conflict,),
    ),
)
