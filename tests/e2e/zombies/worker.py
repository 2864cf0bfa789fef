"""A worker that stands still in a task that says so, and notes what it is answered to its results."""

import asyncio
from collections.abc import Sequence
from typing import Any

from avtomatika_worker import Worker
from avtomatika_worker.config import WorkerConfig
from avtomatika_worker.conversation.orchestrators import Orchestrator, transport_to
from avtomatika_worker.watching.relay import Relay
from rxon.messages import ResultAnswer, TaskResult
from rxon.transport import WorkerTransport
from tests.e2e.zombies.notes import Notes

notes = Notes()
config = WorkerConfig()


class Noted(Relay):
    """Notes what results are sent, and what becomes of them."""

    async def report(self, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        for result in results:
            notes.add("reports", task=result.task_id)
        answers = await super().report(results)
        for result, answer in zip(results, answers, strict=True):
            notes.add(
                "answered",
                task=result.task_id,
                status=str(answer.status),
                code=answer.code or "",
                duplicate=answer.duplicate,
            )
        return answers


def connect(orchestrator: Orchestrator) -> WorkerTransport:
    return Noted(transport_to(orchestrator, config, None))


worker = Worker(worker_type="zombie", config=config, connect=connect)


@worker.skill("step")
async def step(params: dict[str, Any], task_id: str) -> dict[str, str]:
    notes.add("begins", task=task_id)
    await asyncio.sleep(0.05)
    if params["stop"] == "in a task":
        notes.stand_still(task_id, params["key"])
    notes.add("ends", task=task_id)
    return {"value": f"of {params['key']}"}


if __name__ == "__main__":
    worker.run()
