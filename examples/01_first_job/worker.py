"""Prices items and writes invoices."""

from dataclasses import dataclass
from typing import Any

from avtomatika_worker import Worker

worker = Worker(worker_type="office")


@dataclass
class Item:
    """One position of an order; `cents` is the price of a piece."""

    name: str
    count: int
    cents: int


@dataclass
class PriceParams:
    """What the task `price_items` is given."""

    items: list[Item]


@worker.skill
async def price_items(params: PriceParams) -> dict[str, Any]:
    """The total and a line for each item, or a status of our own when there are none."""
    if not params.items:
        return {"status": "nothing_to_do", "data": {"reason": "The order has no items."}}
    lines = [f"{item.count} x {item.name}: {item.count * item.cents}" for item in params.items]
    return {"total": sum(item.count * item.cents for item in params.items), "lines": lines}


@worker.skill
async def write_invoice(customer: str, total: int, lines: list[str]) -> dict[str, str]:
    """The text of the invoice."""
    return {"text": "\n".join([f"Invoice for {customer}", *lines, f"Total: {total} cents"])}


if __name__ == "__main__":
    worker.run()
