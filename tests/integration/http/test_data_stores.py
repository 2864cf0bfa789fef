"""Named data stores of blueprints, in both forms of handlers, over the storages there are."""

import asyncio
from typing import Any

from avtomatika import Blueprint
from tests.integration.http.conftest import Start, on_every_store


def counting() -> Blueprint:
    flow = Blueprint(
        "flow",
        api_version="v1",
        api_endpoint="/jobs/flow",
        data_stores={"counters": {"jobs": 10}, "five": 5},
    )

    @flow.handler("start", is_start=True)
    async def start(data_stores: Any, actions: Any) -> None:
        await data_stores.counters.incr("jobs")
        actions.go_to("end")

    @flow.handler("end", is_end=True)
    def end(data_stores: Any) -> list[Any]:
        return [data_stores.counters.incr("ended"), data_stores["five"]]

    return flow


@on_every_store
async def test_jobs_count_together_and_nodes_after_one_another(start: Start, storage: str) -> None:
    node = await start(counting())
    jobs = await asyncio.gather(*(node.create() for _ in range(20)))
    results = [(await node.ended(job))["result"] for job in jobs]
    assert sorted(results) == [[n, 5] for n in range(1, 21)]
    if storage.startswith("memory"):
        return
    await node.engine.stop()
    node = await start(counting())
    assert (await node.ended(await node.create()))["result"] == [21, 5]


async def test_a_mistake_with_a_store_puts_the_job_aside(start: Start) -> None:
    flow = Blueprint(
        "flow", api_version="v1", api_endpoint="/jobs/flow", data_stores={"words": {"k": "text"}}
    )

    @flow.handler("start", is_start=True, is_end=True)
    async def only(data_stores: Any) -> int:
        number: int = await data_stores.words.incr("k")
        return number

    node = await start(flow)
    job = await node.ended(await node.create())
    assert (job["status"], job["error"]["code"]) == ("quarantined", "BLUEPRINT_ERROR")
    assert "'k' cannot be counted up" in job["error"]["message"]
