"""Programs whose handlers run in processes, started in every way that users start them."""

import asyncio
import signal
from pathlib import Path

import pytest

from rxon.testing.gateway import MemoryGateway
from tests.integration.worker.conftest import json_of
from tests.integration.worker.test_programs import Program, program

__all__ = ["program"]  # the fixture

CRUNCHER = """
import os, time
from avtomatika_worker import Worker

worker = Worker()

@worker.skill(process=True)
def crunch(params, send_progress):
    send_progress(os.getpid())
    if "pid" in params:
        with open(params["pid"], "w") as file:
            file.write(str(os.getpid()))
        time.sleep(3600)
    return {"sum": sum(params["of"])}

if __name__ == "__main__":
    worker.run()
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def process_of(file: Path) -> int:
    while not (file.exists() and file.read_text("utf-8")):
        await asyncio.sleep(0.01)
    return int(file.read_text("utf-8"))


@pytest.mark.parametrize("command", [(), ("-m", "avtomatika_worker", "run", "app:worker")])
async def test_a_handler_runs_in_a_process_of_the_program(
    program: Program, gateway: MemoryGateway, tmp_path: Path, command: tuple[str, ...]
) -> None:
    file = tmp_path / "pid"
    async with program(CRUNCHER, *command, WORKER_SHUTDOWN_TIMEOUT="0.1") as process:
        result = await gateway.result_of(await gateway.offer("crunch", {"of": [1, 2]}))
        assert json_of(result.data) == {"sum": 3}
        assert json_of(gateway.events[0].payload)["progress"] > 1
        await gateway.offer("crunch", {"pid": str(file)})
        pid = await process_of(file)
        process.terminate()
        assert await process.wait() == 0
        assert not is_running(pid)
    assert len(gateway.registrations) == 1


async def test_processes_end_with_a_worker_that_is_killed(
    program: Program, gateway: MemoryGateway, tmp_path: Path
) -> None:
    file = tmp_path / "pid"
    async with program(CRUNCHER) as process:
        await gateway.offer("crunch", {"pid": str(file)})
        pid = await process_of(file)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        while is_running(pid):
            await asyncio.sleep(0.01)
