"""A person decides whether an expense is paid."""

import asyncio

from avtomatika import ActionFactory, Blueprint
from embedded import Client, Refused, serving

expenses = Blueprint("expenses", api_version="v1", api_endpoint="/expenses")

REASON = {
    "type": "object",
    "properties": {"reason": {"type": "string", "minLength": 1}},
    "required": ["reason"],
}


@expenses.handler(is_start=True)
async def ask(who: str, cents: int, actions: ActionFactory) -> None:
    """Only the decisions that are listed can be taken, and only with data that suit the schema."""
    actions.await_human_approval(
        integration="accounting",
        message=f"May {who} spend {cents} cents?",
        transitions={"approved": "paid", "rejected": "refused", "timeout": "refused"},
        timeout=3 * 86_400,
        data_schema=REASON,
    )


@expenses.handler(is_end=True)
async def paid(cents: int, reason: str) -> str:
    """What came with the decision is in the data of the job."""
    return f"{cents} cents are paid: {reason}"


@expenses.handler(is_end=True, outcome="failed")
async def refused(reason: str = "nobody had time") -> str:
    """Where a rejection leads, and a question that nobody answers within three days."""
    return f"nothing is paid: {reason}"


async def decide(client: Client, job: str, decision: str, **data: str) -> None:
    """What an inbox does when somebody presses a button."""
    try:
        await client.post(f"/v1/jobs/{job}/approval", {"decision": decision, "data": data})
        print(f"{decision}:", (await client.end_of(job))["result"])
    except Refused as refusal:
        print(f"{decision}: no, {refusal.error['code']}")


async def main() -> None:
    """A lamp is approved, a yacht is not."""
    async with serving(expenses) as client:
        lamp = await client.create("/v1/expenses", who="Ada", cents=3_000)
        await client.until(lamp, "waiting_for_human")
        yacht = await client.create("/v1/expenses", who="Ben", cents=900_000_000)
        await client.until(yacht, "waiting_for_human")

        # The inbox: what waits for a person, with all that is needed to show it as a form.
        for question in reversed((await client.get("/v1/approvals"))["approvals"]):
            print(f"[{question['integration']}] {question['message']} {' / '.join(question['decisions'])}")

        await decide(client, lamp, "postponed", reason="later")  # nobody offered that
        await decide(client, lamp, "approved")  # the reason is missing
        await decide(client, lamp, "approved", reason="it was dark")
        await decide(client, lamp, "rejected", reason="too late")  # the first decision counts
        await decide(client, yacht, "rejected", reason="it is a yacht")


if __name__ == "__main__":
    asyncio.run(main())
