"""An order becomes an invoice in two tasks, one after the other."""

import asyncio

from avtomatika import ActionFactory, Blueprint
from avtomatika_worker import Worker
from embedded import serving

invoices = Blueprint("invoices", api_version="v1", api_endpoint="/invoices")


@invoices.handler(is_start=True)
async def price(items: dict[str, int], actions: ActionFactory) -> None:
    """`items` is from the request, because nothing else of the job has that name."""
    actions.dispatch_task("price_items", {"items": items}, transitions={"success": "write"})


@invoices.handler
async def write(customer: str, total: int, actions: ActionFactory) -> None:
    """`total` is from the worker."""
    params = {"customer": customer, "total": total}
    actions.dispatch_task("write_invoice", params, transitions={"success": "done"})


@invoices.handler(is_end=True)
async def done(text: str) -> str:
    """What the end state returns is the result of the job."""
    return text


worker = Worker()


@worker.skill
async def price_items(items: dict[str, int]) -> dict[str, int]:
    """What a skill returns is laid over the data of the job."""
    return {"total": sum(items.values())}


@worker.skill
async def write_invoice(customer: str, total: int) -> dict[str, str]:
    """The parameters of the task are given by name."""
    return {"text": f"Invoice for {customer}: {total} cents"}


async def main() -> None:
    """A client creates a job, waits for its end, and reads what happened to it."""
    async with serving(invoices, worker) as client:
        job = await client.run("/v1/invoices", customer="Ada", items={"gear": 750, "card": 200})
        print(job["status"], "-", job["result"])

        for event in (await client.get(f"/v1/jobs/{job['id']}/history"))["events"]:
            print(f"{event['version']}. {event['state']}: {event['status']}")


if __name__ == "__main__":
    asyncio.run(main())
