"""A job goes back to an earlier state, with its data of then; another one branches off from there."""

import asyncio

from avtomatika import ActionFactory, Blueprint
from avtomatika_worker import Worker
from embedded import Json, Refused, serving

poems = Blueprint("poems", api_version="v1", api_endpoint="/poems")


@poems.handler(is_start=True)
async def outline(about: str, state_history: Json, actions: ActionFactory) -> None:
    """What is in the history when the job leaves this state is kept with it."""
    state_history["rule"] = f"two lines about {about}"
    actions.go_to("write")


@poems.handler
async def write(rule: str, actions: ActionFactory) -> None:
    """The state that the job goes back to."""
    actions.dispatch_task("write_poem", {"rule": rule}, transitions={"success": "read"})


@poems.handler
async def read(actions: ActionFactory) -> None:
    """Somebody reads it."""
    actions.wait_for_event("liked", "done")


@poems.handler(is_end=True)
async def done(poem: str) -> str:
    """The end."""
    return poem


worker = Worker()
drafts = iter(("Roses are red", "The sea is wide", "Two roads diverged"))


@worker.skill
async def write_poem(rule: str) -> dict[str, str]:
    """Never the same twice."""
    return {"poem": f"{next(drafts)} ({rule})"}


async def main() -> None:
    """The second draft is liked. The third is a job of its own."""
    async with serving(poems, worker) as client:
        job = await client.create("/v1/poems", about="love")
        await client.until(job, "waiting_for_event")
        await client.post(f"/v1/jobs/{job}/rewind", {"state": "write"})
        await client.post(f"/v1/jobs/{job}/events/liked")
        print("rewound:", (await client.end_of(job))["result"])

        for event in (await client.get(f"/v1/jobs/{job}/history"))["events"]:
            if event["state"] != event["previous_state"]:
                print(f"  {event['previous_state'] or ''} -> {event['state']}")

        try:
            await client.post(f"/v1/jobs/{job}/rewind", {"state": "write"})
        except Refused as refused:
            print("once it is finished:", refused.error["code"])

        fork = (await client.post(f"/v1/jobs/{job}/fork", {"state": "write"}))["job_id"]
        await client.post(f"/v1/jobs/{fork}/events/liked")
        print("forked: ", (await client.end_of(fork))["result"])
        print("and the first one:", (await client.end_of(job))["result"])


if __name__ == "__main__":
    asyncio.run(main())
