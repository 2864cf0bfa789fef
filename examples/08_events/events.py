"""A worker tells how far it is and what it finds. The first find is enough to move the job on."""

import asyncio
from collections.abc import Awaitable, Callable

from avtomatika import ActionFactory, Blueprint
from avtomatika_worker import Worker
from embedded import serving

search = Blueprint("search", api_version="v1", api_endpoint="/search")


@search.handler(is_start=True)
async def begin(pages: list[str], actions: ActionFactory) -> None:
    """The first event `found` ends the task: it is withdrawn, and the job enters that state."""
    actions.send_event("begun", {"pages": len(pages)})
    actions.dispatch_task(
        "scan", {"pages": pages}, {"success": "nothing"}, event_transitions={"found": "invoice"}
    )


@search.handler(is_end=True)
async def invoice(page: int) -> str:
    """What the event says is laid over the data of the job."""
    return f"an invoice on page {page}"


@search.handler(is_end=True)
async def nothing() -> str:
    """The task ended by itself."""
    return "no invoice"


worker = Worker()

Tell = Callable[..., Awaitable[None]]


@worker.skill
async def scan(pages: list[str], send_progress: Tell, send_event: Tell) -> None:
    """What is told is sent in the background: all events, and of progress the newest."""
    for number, page in enumerate(pages, 1):
        if page == "an archive":
            await asyncio.sleep(3_600)  # to read all of it; the worker stops when the task is withdrawn
        if "invoice" in page:
            await send_event("found", {"page": number})
        else:
            await send_progress(number / len(pages), f"page {number} is read")


async def main() -> None:
    """Follows two jobs: server-sent events tell what happens, as it happens."""
    async with serving(search, worker) as client:
        for pages in (["a letter"], ["an invoice", "an archive"]):
            job = await client.create("/v1/search", pages=pages)
            async for kind, news in client.follow(job):
                match kind:
                    case "event" | "worker_event":
                        print(f"{kind} '{news['name']}': {news['payload']}")
                    case "progress":
                        print(f"progress: {news['payload']['progress']:.0%}, {news['payload']['message']}")
                    case "end":
                        print(f"end: {news['status']}, {news['result']}")


if __name__ == "__main__":
    asyncio.run(main())
