"""Orders take different ways: by what the client sent, by who asks, and by what a worker found."""

import asyncio

from avtomatika import ActionFactory, Blueprint, JobContext
from avtomatika_worker import Worker
from embedded import Json, serving

orders = Blueprint("orders", api_version="v1", api_endpoint="/orders")


def is_gift(context: JobContext) -> bool:
    """A condition may be a function."""
    return bool(context.initial_data.get("gift"))


@orders.handler("sort", is_start=True).when("context.initial_data.total == 0")
async def nothing_to_pay(actions: ActionFactory) -> None:
    """Of the handlers of a state, the first whose condition holds is called."""
    actions.go_to("packed")


@orders.handler("sort").when(is_gift)
async def gift(actions: ActionFactory) -> None:
    """Two conditions may hold; then it is the order in this file that counts."""
    actions.go_to("wrapped")


@orders.handler("sort")
async def otherwise(total: int, actions: ActionFactory) -> None:
    """The worker chooses the way by the status of its result, which may be one of its own."""
    actions.dispatch_task(
        "check_payment", {"total": total}, transitions={"success": "packed", "suspicious": "held"}
    )


@orders.handler(is_end=True)
async def packed() -> str:
    """One end."""
    return "packed"


@orders.handler(is_end=True)
async def wrapped() -> str:
    """Another end."""
    return "wrapped as a gift"


@orders.handler(is_end=True, outcome="failed")
async def held(reason: str) -> str:
    """An end may be a failure."""
    return f"held: {reason}"


worker = Worker()


@worker.skill
async def check_payment(total: int) -> Json:
    """A status of our own, with the data that go with it."""
    if total > 1_000:
        return {"status": "suspicious", "data": {"reason": f"{total} is a lot"}}
    return {"status": "success"}


async def main() -> None:
    """Four orders."""
    async with serving(orders, worker) as client:
        sent: list[Json] = [{"total": 0}, {"total": 30, "gift": True}, {"total": 30}, {"total": 9_000}]
        for order in sent:
            job = await client.run("/v1/orders", **order)
            print(order, "->", f"{job['status']}, {job['result']}")


if __name__ == "__main__":
    asyncio.run(main())
