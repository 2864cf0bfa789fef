"""A model is built in three parts at once. Without one of them the others are of no use."""

import asyncio

from avtomatika import ActionFactory, Blueprint
from avtomatika_worker import Worker
from avtomatika_worker.types import InvalidInputError
from embedded import serving

models = Blueprint("models", api_version="v1", api_endpoint="/models")


@models.handler(is_start=True)
async def build(parts: list[str], actions: ActionFactory) -> None:
    """`on_failure="fail"` is the default: the first part that fails for good ends the wait."""
    tasks = [{"type": "print_part", "params": {"part": part}} for part in parts]
    actions.dispatch_parallel(tasks, aggregate_into="assemble", transitions={"failure": "scrapped"})


@models.aggregator
async def assemble(actions: ActionFactory) -> None:
    """Runs when all parts are there, and so not in this story."""
    actions.go_to("shipped")


@models.handler(is_end=True)
async def shipped() -> str:
    """The end that this job does not reach."""
    return "shipped"


@models.handler(is_end=True, outcome="failed")
async def scrapped() -> str:
    """Where the failure leads. Without a transition for it the job would fail at once."""
    return "scrapped"


worker = Worker()
all_have_begun = asyncio.Barrier(3)
stopped: asyncio.Queue[str] = asyncio.Queue()


@worker.skill
async def print_part(part: str) -> None:
    """Takes an hour, unless it fails or nobody wants the part any more."""
    await all_have_begun.wait()
    if part == "wing":
        raise InvalidInputError("A wing does not fit on the printer.")
    try:
        await asyncio.sleep(3_600)
    except asyncio.CancelledError:
        stopped.put_nowait(part)
        raise


async def main() -> None:
    """The job ends long before its longest task would."""
    async with serving(models, worker) as client:
        job = await client.run("/v1/models", parts=["body", "wing", "tail"])
        print(job["status"], "-", job["result"])
        print("why:", job["error"]["code"], "-", job["error"]["message"])
        print("stopped meanwhile:", *sorted([await stopped.get(), await stopped.get()]))


if __name__ == "__main__":
    asyncio.run(main())
