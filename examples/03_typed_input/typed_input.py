"""Classes say what goes in and what comes out, for the job and for the task."""

import asyncio
from dataclasses import dataclass

from avtomatika import ActionFactory, Blueprint
from avtomatika_worker import Worker
from embedded import Json, Refused, serving

shop = Blueprint("shop", api_version="v1", api_endpoint="/orders")


@dataclass
class Item:
    """One position of an order."""

    name: str
    cents: int

    def __post_init__(self) -> None:
        if self.cents < 0:
            raise ValueError("a price is never negative")


@dataclass
class Order:
    """What a client sends."""

    customer: str
    items: list[Item]


@dataclass
class Receipt:
    """What a client gets."""

    customer: str
    total: int


@shop.handler(is_start=True)
async def start(initial_data: Order, actions: ActionFactory) -> None:
    """The annotation is the contract: requests that break it are refused, and no job is made."""
    prices = [item.cents for item in initial_data.items]
    actions.dispatch_task("add_up", {"prices": prices}, transitions={"success": "done"})


@shop.handler(is_end=True)
async def done(initial_data: Order, total: int) -> Receipt:
    """So is this one: a result that breaks it is not delivered."""
    return Receipt(initial_data.customer, total)


worker = Worker()


@dataclass
class Prices:
    """The parameters of the task."""

    prices: list[int]


@worker.skill
async def add_up(params: Prices) -> dict[str, int]:
    """A task with other parameters fails as INVALID_INPUT_ERROR, and the skill is not called."""
    return {"total": sum(params.prices)}


async def main() -> None:
    """One order is right, the others are not."""
    pen: Json = {"name": "pen", "cents": 250}
    orders: list[Json] = [
        {"customer": "Ada", "items": [pen, {**pen, "name": "ink"}]},
        {"customer": "Ben", "items": [pen, {"name": "ink"}]},
        {"customer": "Cy", "items": [{**pen, "cents": -1}]},
    ]
    async with serving(shop, worker) as client:
        for order in orders:
            try:
                print("done:   ", (await client.run("/v1/orders", **order))["result"])
            except Refused as refused:
                print("refused:", refused.error["field"], "-", refused.error["code"])


if __name__ == "__main__":
    asyncio.run(main())
