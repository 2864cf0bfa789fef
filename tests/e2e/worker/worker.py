"""A worker that does to itself what its tasks say. It notes what happens to them in a file."""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from typing import Any

from avtomatika_worker import Worker
from avtomatika_worker.config import WorkerConfig
from avtomatika_worker.conversation.orchestrators import Orchestrator, transport_to
from avtomatika_worker.watching.relay import Relay
from rxon.messages import ResultAnswer, TaskResult
from rxon.transport import WorkerTransport

NAME = os.environ["WORKER_ID"]
effects = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
config = WorkerConfig()
doomed: dict[str, str] = {}


def note(what: str, key: Any) -> None:
    os.write(effects, f"{what} {key} {NAME} {time.time():.6f}\n".encode())


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Dying(Relay):
    """Kills the process before or after a result is sent: in any case before it is acknowledged."""

    async def report(self, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        when = {doomed.get(result.task_id) for result in results}
        if "before" in when:
            die()
        answers = await super().report(results)
        if "after" in when:
            die()
        return answers


def connect(orchestrator: Orchestrator) -> WorkerTransport:
    return Dying(transport_to(orchestrator, config, None))


worker = Worker(worker_type="tried", config=config, connect=connect)


@worker.skill(os.environ.get("SKILL", "step"))
async def step(params: dict[str, Any], task_id: str) -> dict[str, str]:
    note("begun", params["key"])
    try:
        if "block" in params:
            time.sleep(params["block"])
        await asyncio.sleep(params.get("sleep", 0))
    except asyncio.CancelledError:
        note("cancelled", params["key"])
        raise
    if "die" in params:
        doomed[task_id] = params["die"]
    note("ended", params["key"])
    return {"by": NAME}


if __name__ == "__main__":
    worker.run()
