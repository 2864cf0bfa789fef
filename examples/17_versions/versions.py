"""Two versions of a process side by side: a job stays on the one that started it."""

import asyncio

from avtomatika import ActionFactory, Blueprint
from embedded import serving

first = Blueprint("review", api_version="v1", api_endpoint="/reviews", version="1")
second = Blueprint("review", api_version="v2", api_endpoint="/reviews", version="2")


@first.handler("start", is_start=True)
async def start_first(actions: ActionFactory) -> None:
    """Jobs of version 1 may wait here for weeks, and then need the state `approved`."""
    actions.wait_for_event("looked", "approved")


@first.handler(is_end=True)
async def approved(document: str) -> str:
    """There is no such state in version 2."""
    return f"{document} is approved as in version 1"


@second.handler("start", is_start=True)
async def start_second(actions: ActionFactory) -> None:
    """In version 2 two people have to look."""
    actions.wait_for_event("looked", "second_look")


@second.handler
async def second_look(actions: ActionFactory) -> None:
    """The second of them."""
    actions.wait_for_event("looked", "released")


@second.handler(is_end=True)
async def released(document: str) -> str:
    """The end in version 2."""
    return f"{document} is released as in version 2"


async def main() -> None:
    """Clients of /v1 get version 1, those of /v2 version 2. Everything else they share."""
    async with serving(first, second) as client:
        old = await client.create("/v1/reviews", document="A")
        new = await client.create("/v2/reviews", document="B")
        for job in (old, new):
            await client.post(f"/v1/jobs/{job}/events/looked")
        await client.post(f"/v1/jobs/{new}/events/looked")

        for job in (old, new):
            done = await client.end_of(job)
            version = (await client.get(f"/v1/jobs/{job}?fields=blueprint_version"))["blueprint_version"]
            print(f"version {version}: {done['status']} in '{done['current_state']}', {done['result']}")


if __name__ == "__main__":
    asyncio.run(main())
