"""Tasks of cancelled jobs end at once in workers of ours, whatever their handlers run in."""

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.http.blueprints import flow
from tests.integration.http.conftest import Start
from tests.integration.http.test_sdk_commands import WAYS, worker_of, working

WITHIN = {"stream": 0.5, "heartbeat": 2.0}
"""Seconds until the handler has ended; over a stream it is 0.2 on a machine that has nothing else to do."""


@pytest.fixture
def storage() -> str:
    return "memory://"


def compute(params: dict[str, Any]) -> None:
    Path(params["file"]).write_text(str(os.getpid()), "utf-8")
    while True:
        pass


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("way", WITHIN)
@pytest.mark.parametrize("kind", ["coroutine", "thread", "process"])
async def test_the_handler_of_a_cancelled_job_is_stopped(
    start: Start, tmp_path: Path, kind: str, way: str
) -> None:
    node = await start(flow())
    worker = worker_of(node, tmp_path, **WAYS[way])
    file = tmp_path / "pid"
    began, ended = threading.Event(), threading.Event()

    async def coroutine() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    def thread(is_cancelled: Any) -> None:
        began.set()
        while not is_cancelled():
            time.sleep(0.001)
        ended.set()

    handler = {"coroutine": coroutine, "thread": thread, "process": compute}[kind]
    worker.skill("work", process=kind == "process")(handler)

    def has_begun() -> bool:
        return began.is_set() or (file.exists() and bool(file.read_text("utf-8")))

    def has_ended() -> bool:
        return ended.is_set() or (kind == "process" and not is_running(int(file.read_text("utf-8"))))

    async with working(worker):
        job = await node.create({"file": str(file)})
        while not has_begun():
            await asyncio.sleep(0.01)
        at = time.monotonic()
        await node.post(f"/api/v1/jobs/{job}/cancel")
        while not has_ended():
            await asyncio.sleep(0.005)
        assert time.monotonic() - at < WITHIN[way]
        assert (await node.ended(job))["status"] == "cancelled"
