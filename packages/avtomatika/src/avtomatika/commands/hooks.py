"""Functions of the program around the engine that hear of jobs (feature C5).

They are told by the node that committed, after the commit, once; a node that dies in between tells nobody.
Who must not miss anything has webhooks, or follows the job.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from avtomatika import observe
from avtomatika.blueprints.encoding import decoded
from avtomatika.kernel.events import TaskSignalled
from avtomatika.kernel.model import Data, Done, Job
from avtomatika.kernel.notices import failure_of
from avtomatika.ports.spawn import Spawn
from avtomatika.ports.store import Commit

JobHook = Callable[[str, str, Mapping[str, Any]], Awaitable[None]]
"""Called with the id of a job that is over, its status, and the job as a mapping."""

WorkerHook = Callable[[str, Mapping[str, Any]], Awaitable[None]]
"""Called with the id of a worker and the event that it sent."""


class Hooks:
    """Tells the functions in the two lists, which may still grow."""

    def __init__(self, finished: Sequence[JobHook], told: Sequence[WorkerHook]) -> None:
        self._finished, self._told = finished, told

    def witness(self, spawn: Spawn) -> Callable[[Commit], None]:
        """What sees the commits of a node and runs the hooks beside its work."""

        def see(commit: Commit) -> None:
            for fact in commit.facts:
                if self._told and isinstance(fact.event, TaskSignalled):
                    event = fact.event
                    for hook in self._told:
                        spawn(_guarded(hook(event.worker, _told(fact.job, event))), name="hook")
            if self._finished and commit.job is not None and commit.job.over:
                job = commit.job
                for finished in self._finished:
                    spawn(_guarded(finished(job.id, job.status.value, job_state(job))), name="hook")

        return see


async def _guarded(called: Awaitable[None]) -> None:
    try:
        await called
    except Exception as error:  # noqa: BLE001 - the user's own code must not harm the node
        observe.failure("hook.failed", error)


def job_state(job: Job) -> dict[str, Any]:
    """The job, which is over, as a mapping of plain values."""
    failure = failure_of(job)
    return {
        "id": job.id,
        "blueprint_name": job.blueprint,
        "blueprint_version": job.edition,
        "status": job.status.value,
        "current_state": job.state,
        "initial_data": _plain(job.input),
        "state_history": _plain(job.history),
        "result": decoded(job.phase.result) if isinstance(job.phase, Done) else None,
        "error_message": None if failure is None else failure.message,
        "error_code": None if failure is None else failure.code,
        "labels": dict(job.labels),
        "source": job.source,
        "parent_job_id": None if job.parent is None else job.parent.job,
    }


def _plain(data: Data) -> dict[str, Any]:
    return {name: decoded(value) for name, value in data.items()}


def _told(job: str, event: TaskSignalled) -> dict[str, Any]:
    return {
        "job_id": job,
        "task_id": event.task,
        "event_type": event.name,
        "payload": decoded(event.payload),
        "origin_worker_id": event.origin or event.worker,
    }
