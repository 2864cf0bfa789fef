"""What operators tell workers of ours, at a real node, however the worker listens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from avtomatika_worker import Worker, WorkerConfig
from avtomatika_worker.skills.commands import Command
from tests.integration.http.blueprints import flow
from tests.integration.http.conftest import OPERATOR_TOKEN, WORKER_TOKEN, Orchestrator, Start

WAYS = {
    "stream": {"WORKER_TRANSPORT": "stream"},
    "heartbeat": {"WORKER_TRANSPORT": "poll", "HEARTBEAT_INTERVAL": "0.2"},
    "socket": {"WORKER_TRANSPORT": "poll", "HEARTBEAT_INTERVAL": "60", "WORKER_ENABLE_WEBSOCKETS": "true"},
}


def worker_of(node: Orchestrator, folder: Path, **settings: str) -> Worker:
    environ = {
        "WORKER_ID": "w1",
        "WORKER_TOKEN": WORKER_TOKEN,
        "ORCHESTRATOR_URL": node.url,
        "TASK_FILES_DIR": str(folder / "payloads"),
        "WORKER_SKILLS_DIR": str(folder / "skills"),
        "WORKER_SHUTDOWN_TIMEOUT": "2",
    }
    return Worker(config=WorkerConfig(environ | settings))


@asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[None]:
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        main = group.create_task(worker.main())
        try:
            yield
        finally:
            worker.stop()
            await asyncio.wait([main])


async def told(node: Orchestrator, name: str, params: Any = None) -> str:
    """The answer to the command, once the worker is known."""
    async with asyncio.timeout(10):
        while True:
            status, answer = await node.post(
                f"/api/v1/workers/w1/commands/{name}", params, token=OPERATOR_TOKEN
            )
            if status != 404:
                assert status == 202, answer
                return str(answer["status"])
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("way", WAYS)
async def test_a_command_is_run_once(start: Start, tmp_path: Path, way: str) -> None:
    node = await start(flow())
    worker = worker_of(node, tmp_path, **WAYS[way])
    worker.skill("work")(lambda: None)
    seen: asyncio.Queue[Command] = asyncio.Queue()

    @worker.on_command("reload_model")
    async def reload_model(command: Command) -> None:
        await seen.put(command)

    @worker.on_command("reboot")
    def reboot(command: Command) -> None:
        raise RuntimeError("cannot reboot")

    async with working(worker):
        for number in range(3):
            await told(node, "reboot")
            await told(node, "unheard_of")
            await told(node, "reload_model", {"name": "yolo", "n": number})
        found = [await seen.get() for _ in range(3)]
        job = await node.create()
        assert (await node.ended(job))["status"] == "finished"
    assert sorted(command.params["n"] for command in found) == [0, 1, 2]
    assert len({command.id for command in found}) == 3
    assert found[0].command == "reload_model"
    assert seen.empty()


@pytest.mark.parametrize("way", ["stream", "socket"])
async def test_who_listens_hears_at_once(start: Start, tmp_path: Path, way: str) -> None:
    node = await start(flow())
    worker = worker_of(node, tmp_path, **(WAYS[way] | {"HEARTBEAT_INTERVAL": "60"}))
    worker.skill("work")(lambda: None)
    heard = asyncio.Event()
    worker.on_command("ping")(lambda command: loop.call_soon_threadsafe(heard.set))
    loop = asyncio.get_running_loop()
    async with working(worker):
        async with asyncio.timeout(10):
            while await told(node, "ping") != "sent":
                await asyncio.sleep(0.02)
            await heard.wait()
