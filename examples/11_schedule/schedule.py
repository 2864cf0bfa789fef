"""Jobs that nobody asks for: the node makes them when `schedules.toml` says that they are due."""

import asyncio
from pathlib import Path
from typing import Any

from avtomatika import Blueprint
from embedded import serving

SCHEDULES = Path(__file__).with_name("schedules.toml")

finished: asyncio.Queue[str] = asyncio.Queue()
report = Blueprint("report", data_stores={"finished": finished})  # an object that handlers share


@report.handler(is_start=True, is_end=True)
async def start(of: str, job_id: str, data_stores: Any) -> str:
    """`of` is from the schedule."""
    await data_stores.finished.put(job_id)
    return f"The report of {of} is written."


async def main() -> None:
    """The first job of the schedule `hourly` is due at once. That of `nightly` waits for the night."""
    async with serving(report, SCHEDULES_CONFIG_PATH=str(SCHEDULES)) as client:
        job = await client.end_of(await finished.get())
        print(job["result"])
        print("made by:", job["source"])
        print("labels:", job["labels"])


if __name__ == "__main__":
    asyncio.run(main())
