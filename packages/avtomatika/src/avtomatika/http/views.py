"""What a client sees of a job."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Raw

from avtomatika.blueprints.encoding import decoded
from avtomatika.errors import InvalidInput
from avtomatika.http.waiting import WaitingView, waiting_view
from avtomatika.kernel.model import NULL, AwaitingChild, Done, Failure, Gathering, Job, Status, Waiting
from avtomatika.kernel.notices import failure_of
from avtomatika.kernel.rules.task import members_of
from avtomatika.ports.store import Page


class ErrorView(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why the job failed, or what last went wrong while it goes on; details are those of the worker."""

    code: str
    message: str
    task_id: str | None = None
    details: Raw | msgspec.UnsetType = msgspec.UNSET


class ProgressView(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a fan-out is, or what the worker of a single task told last, as it told it."""

    done: int | None = None
    total: int | None = None
    value: Raw | msgspec.UnsetType = msgspec.UNSET
    message: str | None = None


class JobView(msgspec.Struct, frozen=True, omit_defaults=True):
    """The compact view. Times are milliseconds since the epoch."""

    id: str
    job_id: str
    status: Status
    blueprint_name: str
    current_state: str
    created_at: int
    updated_at: int
    version: int
    result: Raw | msgspec.UnsetType = msgspec.UNSET
    error: ErrorView | None = None
    progress: ProgressView | None = None
    waiting: WaitingView | None = None
    child_job_id: str | None = None
    parent_job_id: str | None = None
    labels: dict[str, str] = {}
    priority: float | None = None
    source: str = ""


class DetailedJobView(JobView, frozen=True, omit_defaults=True, kw_only=True):
    """The compact view and all the data of the job."""

    initial_data: dict[str, Raw]
    state_history: dict[str, Raw]
    blueprint_version: str
    transition_count: int
    webhook_url: str | None = None


class JobList(msgspec.Struct, frozen=True):
    """A page of jobs, newest first. `next` is what `after` takes for the page that follows."""

    jobs: list[JobView]
    next: str | None


class JobAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """That the job is durable."""

    status: Literal["accepted"] = "accepted"
    job_id: str


class BatchAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """That the jobs are durable. The ids are in the order of the requests."""

    status: Literal["accepted"] = "accepted"
    job_ids: list[str]


class BatchOver(msgspec.Struct, frozen=True, kw_only=True):
    """The jobs, which are over, in the order of the requests."""

    jobs: list[JobView]


class CancellationAccepted(msgspec.Struct, frozen=True):
    """That the job is cancelled."""

    status: Literal["cancellation_request_accepted"] = "cancellation_request_accepted"


class EventAccepted(msgspec.Struct, frozen=True):
    """That the job has the event."""

    status: Literal["event_accepted"] = "event_accepted"


def job_view(job: Job, *, detailed: bool = False, held: str | None = None) -> JobView:
    """The view of one job. *held* tells why this node would not run its handler, if it would not."""
    failure = failure_of(job) if job.over else job.failure
    shared: dict[str, Any] = {
        "id": job.id,
        "job_id": job.id,
        "status": job.status,
        "blueprint_name": job.blueprint,
        "current_state": job.state,
        "created_at": job.created,
        "updated_at": job.updated,
        "version": job.version,
        "result": job.phase.result if isinstance(job.phase, Done) else msgspec.UNSET,
        "error": None if failure is None else _error(failure),
        "progress": _progress(job),
        "waiting": waiting_view(job, held),
        "child_job_id": job.phase.child if isinstance(job.phase, AwaitingChild) else None,
        "parent_job_id": None if job.parent is None else job.parent.job,
        "labels": job.labels,
        "priority": job.priority or None,
        "source": job.source,
    }
    if not detailed:
        return JobView(**shared)
    return DetailedJobView(
        **shared,
        initial_data=dict(job.input),
        state_history=dict(job.history),
        blueprint_version=job.edition,
        transition_count=job.steps,
        webhook_url=job.webhook_url,
    )


def some_fields(view: JobView, fields: Sequence[str]) -> dict[str, Any]:
    """Only the named fields of the view, and its id. Raises InvalidInput for a field that no view has."""
    known = {*JobView.__struct_fields__, *DetailedJobView.__struct_fields__}
    unknown = sorted(set(fields) - known)
    if unknown:
        raise InvalidInput(f"A job has no field '{unknown[0]}'.", field="fields")
    wanted = ("id", *fields)
    values = {name: getattr(view, name, None) for name in wanted}
    return {name: value for name, value in values.items() if value is not msgspec.UNSET}


def job_list(page: Page, held: Callable[[Job], str | None]) -> JobList:
    """The view of a page."""
    return JobList([job_view(job, held=held(job)) for job in page.jobs], page.next)


def _error(failure: Failure) -> ErrorView:
    details = msgspec.UNSET if failure.details == NULL else failure.details
    return ErrorView(failure.code, failure.message, failure.task, details)


def _progress(job: Job) -> ProgressView | None:
    phase = job.phase
    if isinstance(phase, Gathering):
        return ProgressView(phase.width - phase.left, phase.width)
    if not isinstance(phase, Waiting) or phase.task.progress == NULL:
        return None
    told = members_of(phase.task.progress)
    view = ProgressView(value=_number(told.get("progress", NULL)), message=_text(told.get("message", NULL)))
    return None if view == ProgressView() else view


def _number(raw: Raw) -> Raw | msgspec.UnsetType:
    value = decoded(raw)
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return raw if numeric else msgspec.UNSET


def _text(raw: Raw) -> str | None:
    value = decoded(raw)
    return value if isinstance(value, str) and value else None
