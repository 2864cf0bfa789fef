"""Our worker signs where that is demanded, over HTTP and over the stream, and not where it is not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from avtomatika_worker import Worker, WorkerConfig
from tests.integration.generations.processes import single
from tests.integration.http.conftest import WORKER_TOKEN, Orchestrator, Start

OWN = "the-own-token-of-cam-01"


@asynccontextmanager
async def working(node: Orchestrator, **settings: str) -> AsyncIterator[Worker]:
    """A worker that greets, and tells what it does."""
    known = {"WORKER_ID": "cam-01", "WORKER_TOKEN": WORKER_TOKEN, "ORCHESTRATOR_URL": node.url}
    more = {"WORKER_PORT": "0", "HEARTBEAT_INTERVAL": "0.1", "REGISTRATION_RETRY_INITIAL_DELAY": "0.05"}
    worker = Worker(config=WorkerConfig(known | more | settings))

    @worker.skill("greet")
    async def greet(name: str, send_event: Any) -> dict[str, str]:
        await send_event("seen", {"name": name})
        await asyncio.sleep(0.3)  # as long as some heartbeats take, which have to be signed too
        return {"text": f"Hello, {name}!"}

    running = asyncio.create_task(worker.main())
    try:
        yield worker
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def greeted(node: Orchestrator) -> None:
    job = await node.create({"skill": "greet", "params": {"name": "Ada"}}, "/api/v1/jobs/single")
    assert (await node.ended(job, wait=10))["result"] == {"text": "Hello, Ada!"}
    _, history = await node.get(f"/api/v1/jobs/{job}/history")
    told = [fact["data"]["payload"] for fact in history["events"] if fact["event_type"] == "task_signalled"]
    assert told == [{"name": "Ada"}]


@pytest.mark.parametrize("transport", ["stream", "poll"])
@pytest.mark.parametrize("own", [True, False])
async def test_it_signs_everything_where_signatures_are_required(
    start: Start, tmp_path: Path, transport: str, own: bool
) -> None:
    (tmp_path / "workers.toml").write_text(f'[cam-01]\ntoken = "{OWN}"\n' if own else "")
    node = await start(single(), WORKER_SIGNATURES="required", WORKERS_CONFIG_PATH=tmp_path / "workers.toml")
    token = {"WORKER_INDIVIDUAL_TOKEN": OWN} if own else {}
    async with working(node, WORKER_TRANSPORT=transport, **token):
        for _ in range(2):
            await greeted(node)


@pytest.mark.parametrize("transport", ["stream", "poll"])
async def test_it_begins_to_sign_when_a_node_begins_to_demand_it(
    start: Start, unused_tcp_port: int, transport: str
) -> None:
    first = await start(single(), API_PORT=unused_tcp_port)
    async with working(first, WORKER_TRANSPORT=transport):
        await greeted(first)
        await first.engine.stop()
        second = await start(single(), API_PORT=unused_tcp_port, WORKER_SIGNATURES="required")
        await greeted(second)
