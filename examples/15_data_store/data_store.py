"""What jobs share: invoices get numbers, without a gap and none of them twice."""

import asyncio
from typing import Any

from avtomatika import ActionFactory, Blueprint
from embedded import Json, serving

invoices = Blueprint(
    "invoices",
    api_version="v1",
    api_endpoint="/invoices",
    # A dict is a named store, and these are its first values. The storage of the node keeps it.
    data_stores={"numbers": {"last": 1000}, "customers": {}},
)


@invoices.handler(is_start=True)
async def number(customer: str, data_stores: Any, state_history: Json, actions: ActionFactory) -> None:
    """A coroutine awaits the methods of a store. `incr` loses no increment, however many come at once."""
    state_history["number"] = await data_stores.numbers.incr("last")
    await data_stores.customers.set(customer, {"greeting": f"Dear {customer}"})
    actions.go_to("write")


@invoices.handler(is_end=True)
def write(customer: str, number: int, data_stores: Any) -> Json:
    """A handler that is no coroutine runs in a thread, and calls them as they are."""
    greeting = data_stores.customers.get(customer)["greeting"]
    return {"text": f"{greeting}, this is invoice {number}", "customers": data_stores.customers.items()}


async def main() -> None:
    """Twenty jobs at once, then one more."""
    async with serving(invoices) as client:
        jobs = [client.run("/v1/invoices", customer=name) for name in ("Ada", "Ben", "Cy", "Dee") * 5]
        texts = [job["result"]["text"] for job in await asyncio.gather(*jobs)]
        numbers = sorted(int(text.rpartition(" ")[2]) for text in texts)
        print("numbers:", numbers[0], "to", numbers[-1], "- each once:", len(set(numbers)) == len(numbers))

        last = (await client.run("/v1/invoices", customer="Eve"))["result"]
        print(last["text"])
        print("customers:", *sorted(last["customers"]))


if __name__ == "__main__":
    asyncio.run(main())
