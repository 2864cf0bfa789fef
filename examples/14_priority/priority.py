"""Many jobs at once, and one worker that does the most urgent first."""

import asyncio

from avtomatika import ActionFactory, Blueprint
from avtomatika_worker import Worker
from embedded import Json, serving, working

letters = Blueprint("letters", api_version="v1", api_endpoint="/letters")


@letters.handler(is_start=True)
async def start(to: str, actions: ActionFactory) -> None:
    """A task has the priority of its job, and its own on top of it."""
    extra = 0.5 if to == "the king" else 0.0
    actions.dispatch_task("write_letter", {"to": to}, transitions={"success": "done"}, priority=extra)


@letters.handler(is_end=True)
async def done() -> None:
    """The end."""


worker = Worker(max_concurrent_tasks=1)


@worker.skill
async def write_letter(to: str) -> None:
    """One letter at a time."""
    print("a letter to", to)


async def main() -> None:
    """The jobs wait until there is a worker, and then it chooses."""
    urgency = {"my aunt": 0, "the bank": 1, "the king": 1, "the fire brigade": 10, "the newspaper": -1}
    jobs: list[Json] = [
        {"initial_data": {"to": to}, "priority": priority, "labels": {"about": "the fire"}}
        for to, priority in urgency.items()
    ]
    async with serving(letters) as client:
        made = (await client.post("/v1/letters/batch", {"jobs": jobs}))["job_ids"]
        for job in made:
            await client.until(job, "waiting_for_worker")
        async with working(worker, client):
            for job in made:
                await client.end_of(job)
        written = await client.get("/v1/jobs?status=finished&label=about:the%20fire")
        print("written:", len(written["jobs"]))


if __name__ == "__main__":
    asyncio.run(main())
