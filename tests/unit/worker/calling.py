"""Calls a handler as a worker does, without an orchestrator."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from avtomatika_worker.running.capacity import Capacity
from avtomatika_worker.running.runner import Execution, Runner
from avtomatika_worker.skills.hot_cache import HotCache
from avtomatika_worker.skills.outcome import Outcome
from avtomatika_worker.skills.skills import Catalog, SkillBlueprint
from rxon.messages import TaskError, TaskOffer


class Called(NamedTuple):
    status: str
    data: Any
    error: TaskError | None
    outcome: Outcome | None


def offer(params: Any = None, skill: str = "work", task_id: str = "task-1", **fields: Any) -> TaskOffer:
    raw = msgspec.Raw(msgspec.json.encode({} if params is None else params))
    return TaskOffer(job_id="job-1", task_id=task_id, type=skill, params=raw, **fields)


class Bench:
    """A runner whose outcomes are kept."""

    def __init__(self, skills: SkillBlueprint, files_root: Path = Path("unused"), **limits: Any) -> None:
        self.hot_cache = HotCache()
        self.outcomes: dict[str, Outcome | None] = {}
        self.group = asyncio.TaskGroup()
        capacity = Capacity(limits.pop("limit", 10), **limits)
        catalog = Catalog(skills)
        self.runner = Runner(catalog, capacity, self.hot_cache, files_root, self.group.create_task)

    def submit(self, task: TaskOffer) -> Execution:
        execution = self.runner.submit(task, self._keep)
        assert execution is not None
        return execution

    async def run(self, *tasks: TaskOffer) -> list[Outcome | None]:
        async with asyncio.timeout(10), self.group:
            for task in tasks:
                self.submit(task)
        return [self.outcomes[task.task_id] for task in tasks]

    def _keep(self, execution: Execution, outcome: Outcome | None) -> None:
        assert execution.offer.task_id not in self.outcomes, "delivered twice"
        self.outcomes[execution.offer.task_id] = outcome


async def call(
    handler: Callable[..., Any], params: Any = None, files_root: Path = Path("unused"), **fields: Any
) -> Called:
    """What becomes of a task with ``params`` when ``handler`` is its skill."""
    skills = SkillBlueprint()
    skills.skill("work")(handler)
    (outcome,) = await Bench(skills, files_root).run(offer(params, **fields))
    assert outcome is not None
    data = None if outcome.data is None else msgspec.json.decode(outcome.data)
    return Called(outcome.status, data, outcome.error, outcome)
