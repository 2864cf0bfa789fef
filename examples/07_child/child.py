"""A booking lets a job of another blueprint take the payment, and goes on however that ended."""

import asyncio

from avtomatika import ActionFactory, Blueprint
from embedded import Json, serving

bookings = Blueprint("bookings", api_version="v1", api_endpoint="/bookings")
payments = Blueprint("payments")  # without an endpoint: other blueprints run it, clients do not


@bookings.handler(is_start=True)
async def pay(card: str, actions: ActionFactory) -> None:
    """The child gets its own input, its own history, and the priority of its parent."""
    actions.run_blueprint(
        "payments",
        {"card": card, "cents": 12_000},
        transitions={"success": "booked", "failure": "released"},
    )


def what_came_of_it(state_history: Json) -> Json:
    """The only child of the job, as it ended: outcome, final_state, error_message and result."""
    (child,) = (value for key, value in state_history.items() if key.startswith("sub_job_"))
    ended: Json = child
    return ended


@bookings.handler(is_end=True)
async def booked(state_history: Json) -> str:
    """The child has finished."""
    return f"booked, receipt {what_came_of_it(state_history)['result']['receipt']}"


@bookings.handler(is_end=True, outcome="failed")
async def released(state_history: Json) -> str:
    """The child has failed, or is in quarantine; no seat is kept."""
    return f"released: {what_came_of_it(state_history)['error_message']}"


@payments.handler(is_start=True, is_end=True)
async def charge(card: str, cents: int, actions: ActionFactory) -> Json | None:
    """A state may be start and end in one."""
    if card == "stolen":
        actions.fail("The bank keeps the card.", code="CARD_KEPT")
        return None
    return {"receipt": f"{card}/{cents}"}


async def main() -> None:
    """Two bookings. Their payments can be read like all jobs."""
    async with serving(bookings, payments) as client:
        for card in ("gold", "stolen"):
            job = await client.run("/v1/bookings", card=card)
            print(f"{card}: {job['status']}, {job['result']}")

        for child in reversed((await client.get("/v1/jobs?blueprint=payments"))["jobs"]):
            parent = await client.get(f"/v1/jobs/{child['parent_job_id']}")
            print(f"a {child['status']} payment of a {parent['status']} booking")


if __name__ == "__main__":
    asyncio.run(main())
