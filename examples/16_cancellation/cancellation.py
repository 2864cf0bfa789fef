"""A client cancels a job, and whoever works for it stops."""

import asyncio
import time
from collections.abc import Callable
from queue import SimpleQueue

from avtomatika import ActionFactory, Blueprint
from avtomatika_worker import Worker
from embedded import Refused, serving

films = Blueprint("films", api_version="v1", api_endpoint="/films")


@films.handler(is_start=True)
async def start(actions: ActionFactory) -> None:
    """Two tasks that would take very long."""
    actions.dispatch_parallel([{"type": "download"}, {"type": "render"}], aggregate_into="join")


@films.aggregator
async def join(actions: ActionFactory) -> None:
    """This job does not get here."""
    actions.finish("a film")


worker = Worker()
stopped = SimpleQueue[str]()


@worker.skill
async def download(send_event: Callable[[str], object]) -> None:
    """A coroutine is cancelled."""
    send_event("begun")
    try:
        await asyncio.sleep(3_600)
    finally:
        stopped.put("download")


@worker.skill
def render(send_event: Callable[[str], object], is_cancelled: Callable[[], bool]) -> None:
    """A thread cannot be interrupted: between two frames it asks whether it is still wanted."""
    send_event("begun")
    while not is_cancelled():
        time.sleep(0.01)
    stopped.put("render")


async def main() -> None:
    """Cancels the job as soon as both tasks have begun."""
    async with serving(films, worker) as client:
        job = await client.create("/v1/films")
        begun = 0
        async for kind, news in client.follow(job):
            if kind == "worker_event":
                begun += 1
                print(begun, "begun")
                if begun == 2:
                    await client.post(f"/v1/jobs/{job}/cancel")
            elif kind == "end":
                print("the job is", news["status"])

        # The orchestrator is done with it; the worker hears of it with its next heartbeat.
        heard = sorted([await asyncio.to_thread(stopped.get) for _ in range(2)])
        print("stopped:", *heard)

        try:
            await client.post(f"/v1/jobs/{job}/cancel")
        except Refused as refused:
            print("once more:", refused.error["code"])


if __name__ == "__main__":
    asyncio.run(main())
