"""An order waits for its payment, which somebody else tells of. Without it the order is given up."""

import asyncio

from avtomatika import ActionFactory, Blueprint
from embedded import Refused, serving

orders = Blueprint("orders", api_version="v1", api_endpoint="/orders")


@orders.handler(is_start=True)
async def wait(patience: float, actions: ActionFactory) -> None:
    """An event that came before the job waited for it counts too."""
    actions.wait_for_event("paid", {"success": "ship", "timeout": "give_up"}, timeout_seconds=patience)


@orders.handler(is_end=True)
async def ship(by: str) -> str:
    """What was sent along with the event is in the data of the job."""
    return f"shipped, paid by {by}"


@orders.handler(is_end=True, outcome="failed")
async def give_up() -> str:
    """Nobody paid in time."""
    return "given up"


async def main() -> None:
    """One order is paid; the other has little patience."""
    async with serving(orders) as client:
        patient = await client.create("/v1/orders", patience=60)
        hasty = await client.create("/v1/orders", patience=0.05)

        await client.until(patient, "waiting_for_event")
        waiting = (await client.get(f"/v1/jobs/{patient}"))["waiting"]
        print("waits for:", waiting["reason"], waiting["event"])

        await client.post(f"/v1/jobs/{patient}/events/greeting")  # of no interest, and kept
        await client.post(f"/v1/jobs/{patient}/events/paid", {"by": "card"})
        print("paid: ", (await client.end_of(patient))["result"])
        print("hasty:", (await client.end_of(hasty))["result"])

        try:
            await client.post(f"/v1/jobs/{hasty}/events/paid", {"by": "cheque"})
        except Refused as refused:
            print("too late:", refused.error["code"])


if __name__ == "__main__":
    asyncio.run(main())
