"""A worker that notes every start of a task in a file: twice is allowed, and counted."""

import asyncio
import os
from typing import Any

from avtomatika_worker import Worker

worker = Worker(worker_type="rolled")
effects = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


@worker.skill("step")
async def step(params: dict[str, Any], task_id: str) -> dict[str, int]:
    os.write(effects, f"{params['job']} {params['step']} {task_id}\n".encode())
    await asyncio.sleep(params["seconds"])
    return {"done": params["step"]}


if __name__ == "__main__":
    worker.run()
