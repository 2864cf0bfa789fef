"""A worker under fire. Everything between it and the orchestrators is written down by it."""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from avtomatika_worker import Worker
from avtomatika_worker.config import WorkerConfig
from avtomatika_worker.conversation.orchestrators import Orchestrator, transport_to
from avtomatika_worker.errors import PermanentError, TransientError
from avtomatika_worker.watching.relay import Relay
from rxon.messages import Heartbeat, HeartbeatAnswer, ResultAnswer, TaskOffer, TaskResult, WorkerCommand
from rxon.transport import PollRequest, WorkerTransport
from tests.chaos.lines import Beat, Began, Ended, Journal, Offer, Report, Withdrawn, now
from tests.chaos.programs.lifeline import die_with_parent
from tests.chaos.sums import FAILURES, SLOW_SECONDS, pause, value

NAME = os.environ["WORKER_ID"]
NODES: dict[str, str] = dict(pair.split("=") for pair in os.environ["CHAOS_NODES"].split(","))
"""Which orchestrator is behind which port."""

journal = Journal(Path(os.environ["CHAOS_JOURNAL"]))
config = WorkerConfig()


class Recorded(Relay):
    """Writes down what goes to and fro."""

    def __init__(self, way: WorkerTransport, node: str) -> None:
        super().__init__(way)
        self._node = node

    async def poll(self, request: PollRequest) -> Sequence[TaskOffer]:
        began = now()
        offers = await super().poll(request)
        for offer in offers:
            journal.add(
                Offer(
                    t=now(),
                    began=began,
                    worker=NAME,
                    node=self._node,
                    job=offer.job_id,
                    task=offer.task_id,
                    token=offer.lease_token or "",
                )
            )
        return offers

    async def heartbeat(self, beat: Heartbeat | None) -> HeartbeatAnswer:
        began = now()
        answer = await super().heartbeat(beat)
        held = () if beat is None else beat.current_tasks or ()
        if held:
            lost = answer.cancel_task_ids or ()
            journal.add(Beat(t=now(), began=began, worker=NAME, node=self._node, held=held, lost=lost))
        return answer

    async def report(self, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        began = now()
        try:
            answers = await super().report(results)
        except BaseException:
            self._reported(began, results, ())
            raise
        self._reported(began, results, answers)
        return answers

    def _reported(self, began: float, results: Sequence[TaskResult], answers: Sequence[ResultAnswer]) -> None:
        for place, result in enumerate(results):
            answer = answers[place] if place < len(answers) else None
            journal.add(
                Report(
                    t=now(),
                    began=began,
                    worker=NAME,
                    node=self._node,
                    task=result.task_id,
                    token=result.lease_token or "",
                    verdict="" if answer is None else str(answer.status),
                    duplicate=answer is not None and answer.duplicate,
                    why="" if answer is None else str(answer.code or answer.reason or ""),
                )
            )

    def listen(
        self,
        cancelled: Callable[[Sequence[str]], None],
        changed: Callable[[], None],
        told: Callable[[Sequence[WorkerCommand]], None],
    ) -> None:
        def withdrawn(tasks: Sequence[str]) -> None:
            journal.add(Withdrawn(t=now(), worker=NAME, tasks=tuple(tasks)))
            cancelled(tasks)

        super().listen(withdrawn, changed, told)


def connect(orchestrator: Orchestrator) -> WorkerTransport:
    node = NODES[str(urlsplit(orchestrator.url).port)]
    return Recorded(transport_to(orchestrator, config, None), node)


worker = Worker(worker_type="fired-at", config=config, connect=connect)


async def work(task_id: str, seconds: float) -> None:
    """Time passes, and it is written down."""
    journal.add(Began(t=now(), worker=NAME, task=task_id))
    await asyncio.sleep(seconds)
    journal.add(Ended(t=now(), worker=NAME, task=task_id))


@worker.skill("step")
async def step(params: dict[str, int], task_id: str) -> dict[str, int]:
    n, number = params["n"], params["step"]
    await work(task_id, pause(n, number))
    return {"value": value(n, number, params["before"])}


@worker.skill("slow")
async def slow(params: dict[str, int], task_id: str) -> dict[str, int]:
    await work(task_id, SLOW_SECONDS)
    return {"value": value(params["n"], params["step"])}


@worker.skill("flaky")
async def flaky(params: dict[str, int], task_id: str) -> dict[str, int]:
    await work(task_id, pause(params["n"], 1))
    attempt = int(task_id.rsplit("-", 2)[1])
    if attempt <= FAILURES:
        raise TransientError(f"attempt {attempt}")
    return {"value": value(params["n"], params["step"])}


@worker.skill("doomed")
async def doomed(params: dict[str, int], task_id: str) -> dict[str, int]:
    await work(task_id, pause(params["n"], 1))
    raise PermanentError("as always")


if __name__ == "__main__":
    die_with_parent()
    uvloop.install()
    worker.run()
