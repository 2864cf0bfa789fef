"""Why a task waits, as callers see it: counts for everybody, names of workers for operators only."""

import msgspec

from avtomatika.commands.explain import Explanation


class WorkerOfTask(msgspec.Struct, frozen=True):
    """A worker with regard to a task: what it lacks, or nothing."""

    worker_id: str
    reasons: list[str]
    load: int
    reputation: float
    cost: float
    hot: bool
    parked: bool


class TaskExplanation(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How a task stands: `queued`, `later` (from `available_at` on) or `taken`.

    Of the `workers` that are present, `fit` may have the task; of these `saturated` have their hands full and
    `parked` wait for a task. `reasons` counts what the others lack. Operators see who is meant.
    """

    task_id: str
    job_id: str
    skill: str
    strategy: str
    state: str
    workers: int
    fit: int
    saturated: int
    parked: int
    reasons: dict[str, int]
    available_at: int | None = None
    taken_by: str | None = None
    details: list[WorkerOfTask] | None = None


def explanation_view(found: Explanation, names: bool) -> TaskExplanation:
    """The view of the explanation, with or without names of workers."""
    details = [
        WorkerOfTask(
            worker_id=each.worker_id,
            reasons=list(each.reasons),
            load=each.load,
            reputation=each.reputation,
            cost=each.cost,
            hot=each.hot,
            parked=each.parked,
        )
        for each in found.workers
    ]
    return TaskExplanation(
        task_id=found.task,
        job_id=found.job,
        skill=found.skill,
        strategy=found.strategy,
        state=found.state,
        workers=found.present,
        fit=found.fit,
        saturated=found.saturated,
        parked=found.parked,
        reasons=dict(found.reasons),
        available_at=found.due,
        taken_by=found.holder if names else None,
        details=details if names else None,
    )
