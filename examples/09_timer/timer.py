"""A job rests: for a while, or until a moment. Nothing runs for it meanwhile, and a restart is no matter."""

import asyncio
from datetime import UTC, datetime, timedelta

from avtomatika import ActionFactory, Blueprint
from embedded import Json, serving

deliveries = Blueprint("deliveries", api_version="v1", api_endpoint="/deliveries")

NEEDED = 3


@deliveries.handler(is_start=True)
async def look(state_history: Json, actions: ActionFactory) -> None:
    """Looks again and again, with a pause in between: `sleep` without `then` enters the same state again."""
    state_history["looked"] = state_history.get("looked", 0) + 1
    if state_history["looked"] < NEEDED:
        actions.send_event("not_yet", {"looked": state_history["looked"]})
        actions.sleep(0.05)
    else:
        actions.send_event("delivered", {"looked": state_history["looked"]})
        actions.go_to("rest")


@deliveries.handler
async def rest(actions: ActionFactory) -> None:
    """A moment may be days away."""
    actions.sleep_until(datetime.now(UTC) + timedelta(seconds=0.05), then="ask")


@deliveries.handler(is_end=True)
async def ask(looked: int) -> str:
    """The end of the story."""
    return f"looked {looked} times, then asked how it was"


async def main() -> None:
    """Follows the job from its beginning to its end."""
    async with serving(deliveries) as client:
        job = await client.create("/v1/deliveries")
        async for kind, news in client.follow(job):
            if kind == "event":
                print(f"{news['name']}: looked {news['payload']['looked']}x")
            elif kind == "state" and news["status"] == "sleeping":
                print(f"sleeping in '{news['state']}'")
            elif kind == "end":
                print(f"{news['status']}: {news['result']}")


if __name__ == "__main__":
    asyncio.run(main())
