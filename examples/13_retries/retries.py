"""What goes wrong is tried again, or leads elsewhere, or waits for somebody to mend it."""

import asyncio
from collections import Counter

from avtomatika import ActionFactory, Blueprint
from avtomatika_worker import Worker
from avtomatika_worker.types import PermanentError, TransientError
from embedded import serving

pictures = Blueprint("pictures", api_version="v1", api_endpoint="/pictures")
prints = Blueprint("prints", api_version="v1", api_endpoint="/prints")


@pictures.handler(is_start=True)
async def fetch(url: str, actions: ActionFactory) -> None:
    """`retry` is how often a transient failure is tried again. Then, or at once, `failure` is followed."""
    actions.dispatch_task(
        "download", {"url": url}, transitions={"success": "shown", "failure": "replaced"}, retry=2
    )


@pictures.handler(is_end=True)
async def shown(size: int) -> str:
    """The end that everybody hopes for."""
    return f"a picture of {size} bytes"


@pictures.handler(is_end=True)
async def replaced() -> str:
    """A failure need not be one of the job."""
    return "a grey box"


@prints.handler(is_start=True)
async def order(actions: ActionFactory) -> None:
    """No way for a failure: one that is final puts the job into quarantine."""
    actions.dispatch_task("print_picture", transitions={"success": "printed"})


@prints.handler(is_end=True)
async def printed() -> str:
    """The end."""
    return "printed"


worker = Worker()
attempts: Counter[str] = Counter()
cartridges: list[str] = []


@worker.skill
async def download(url: str) -> dict[str, int]:
    """What is raised says whether another attempt makes sense."""
    attempts[url] += 1
    if url == "gone":
        raise PermanentError("There is no such picture.")
    if url == "down" or attempts[url] < 3:
        raise TransientError("The server does not answer.")
    return {"size": 4_711}


@worker.skill
async def print_picture() -> None:
    """Needs ink."""
    if not cartridges:
        raise PermanentError("There is no ink.")


async def main() -> None:
    """Three pictures, and a print that is taken up again once there is ink."""
    async with serving(pictures, prints, worker) as client:
        for url in ("slow", "down", "gone"):
            job = await client.run("/v1/pictures", url=url)
            print(f"{url}: {job['result']} after {attempts[url]} attempts")

        job = await client.run("/v1/prints")
        print(f"print: {job['status']}, {job['error']['code']}, {job['error']['message']}")
        cartridges.append("black")
        await client.post(f"/v1/jobs/{job['id']}/requeue")
        print("print:", (await client.end_of(job["id"]))["result"])


if __name__ == "__main__":
    asyncio.run(main())
