"""Workers as programs of their own: the published quick starts, signals, and the command line."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import unused_port

from rxon.testing.gateway import MemoryGateway
from tests.integration.worker.conftest import Server, json_of

RESIZER = """
import asyncio
import logging
from avtomatika_worker import Worker

logging.basicConfig(level=logging.INFO)
worker = Worker(worker_type="image-processing")

@worker.task("resize_image")
async def resize(params: dict, **kwargs):
    print(kwargs.get("task_id"), kwargs.get("job_id"))
    await asyncio.sleep(0.01)
    return {"status": "success", "data": {"resized_path": f"/out/{params.get('filename')}"}}

if __name__ == "__main__":
    worker.run_with_health_check()
"""

CONFIGURED = """
from avtomatika_worker import Worker
from avtomatika_worker.config import WorkerConfig
from avtomatika_worker.typing import PERMANENT_ERROR

mine = WorkerConfig()
mine.WORKER_ID = "from-code"
mine.ORCHESTRATOR_URL = "{url}"
mine.WORKER_TOKEN = "token"
mine.MAX_CONCURRENT_TASKS = 5
worker = Worker(worker_type="special-cpu-worker", config=mine)

@worker.task("do_work")
async def do_work(params: dict, **kwargs):
    if params:
        error = {{"code": PERMANENT_ERROR, "message": "Corrupted input file"}}
        return {{"status": "failure", "error": error}}
    return {{"status": "success"}}

if __name__ == "__main__":
    worker.run_with_health_check()
"""

GREETER = """
from avtomatika_worker import TaskFiles, Worker

worker = Worker()

@worker.skill("hello_world")
async def greet(params: dict, files: TaskFiles):
    '''Says hello.'''
    return {"message": f"Hello, {params.get('name', 'World')}!"}

@worker.on_command("reboot")
async def reboot(command):
    print("rebooting")

if __name__ == "__main__":
    worker.run()
"""

SLOW = """
import os, time
from avtomatika_worker import Worker

worker = Worker()

@worker.skill
def slow(params):
    open(params["began"], "w").close()
    while not os.path.exists(params["go_on"]):
        time.sleep(0.001)
    return {"done": True}

@worker.skill
def stuck(params):
    open(params["began"], "w").close()
    time.sleep(3600)

if __name__ == "__main__":
    worker.run()
"""

Program = Callable[..., Any]


@pytest.fixture
def program(server: Server, tmp_path: Path) -> Program:
    """Runs a text as a program, with the settings of the server in its environment."""

    @asynccontextmanager
    async def run(text: str, *arguments: str, **environ: str) -> AsyncIterator[Process]:
        (tmp_path / "app.py").write_text(text)
        settings = {
            "WORKER_ID": "w1",
            "WORKER_TOKEN": "token",
            "ORCHESTRATOR_URL": server.url,
            "TASK_FILES_DIR": str(tmp_path / "payloads"),
            "WORKER_PORT": "0",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        command = arguments or ("app.py",)
        env = {**os.environ, **settings, **environ}
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, cwd=tmp_path, env=env, stdout=PIPE, stderr=PIPE
        )
        try:
            async with asyncio.timeout(30):
                yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    return run


async def test_the_first_quick_start_works(program: Program, gateway: MemoryGateway) -> None:
    port = unused_port()
    async with program(RESIZER, WORKER_PORT=str(port)) as process:
        result = await gateway.result_of(await gateway.offer("resize_image", {"filename": "cat.png"}))
        assert json_of(result.data) == {"resized_path": "/out/cat.png"}
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/ready") as response:
            assert response.status == 200
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
        output, log = await process.communicate()
    assert b"task-1 job-1" in output
    assert b"Registered with" in log
    assert gateway.registrations[0].worker_type == "image-processing"


async def test_settings_made_in_code_work(program: Program, gateway: MemoryGateway, server: Server) -> None:
    async with program(
        CONFIGURED.format(url=server.url), ORCHESTRATOR_URL="http://127.0.0.1:9", WORKER_TOKEN=""
    ):
        done = await gateway.result_of(await gateway.offer("do_work"))
        failed = await gateway.result_of(await gateway.offer("do_work", {"file": "bad"}))
    assert (done.status, done.worker_id, json_of(done.data)) == ("success", "from-code", {})
    assert failed.error is not None
    assert (failed.status, failed.error.code) == ("failure", "PERMANENT_ERROR")
    assert gateway.polls[0].limit == 5


async def test_the_second_quick_start_works(program: Program, gateway: MemoryGateway) -> None:
    async with program(GREETER) as process:
        result = await gateway.result_of(await gateway.offer("hello_world", {"name": "Ann"}))
        assert json_of(result.data) == {"message": "Hello, Ann!"}
        process.terminate()
        assert await process.wait() == 0


async def test_a_terminated_worker_finishes_and_delivers_first(
    program: Program, gateway: MemoryGateway, tmp_path: Path
) -> None:
    began, go_on = tmp_path / "began", tmp_path / "go_on"
    async with program(SLOW) as process:
        task_id = await gateway.offer("slow", {"began": str(began), "go_on": str(go_on)})
        await appears(began)
        process.terminate()
        await gateway.seen(lambda: any(beat and beat.status == "draining" for beat in gateway.beats))
        unserved = await gateway.offer("slow")
        go_on.touch()
        assert json_of((await gateway.result_of(task_id)).data) == {"done": True}
        assert await process.wait() == 0
    assert [result.task_id for result in gateway.results] == [task_id]
    assert unserved not in [result.task_id for result in gateway.results]
    assert gateway.beats[-1] is not None
    assert gateway.beats[-1].status == "offline"


async def test_a_thread_that_never_returns_does_not_keep_the_worker(
    program: Program, gateway: MemoryGateway, tmp_path: Path
) -> None:
    began = tmp_path / "began"
    async with program(SLOW, WORKER_SHUTDOWN_TIMEOUT="0.1") as process:
        await gateway.offer("stuck", {"began": str(began)})
        await appears(began)
        process.terminate()
        assert await process.wait() == 0


async def test_a_second_signal_ends_the_worker_at_once(
    program: Program, gateway: MemoryGateway, tmp_path: Path
) -> None:
    began = tmp_path / "began"
    async with program(SLOW, WORKER_SHUTDOWN_TIMEOUT="3600") as process:
        await gateway.offer("stuck", {"began": str(began)})
        await appears(began)
        process.terminate()
        await gateway.seen(lambda: any(beat and beat.status == "draining" for beat in gateway.beats))
        process.terminate()
        assert await process.wait() == 128 + signal.SIGTERM


async def test_the_command_line_runs_a_worker(program: Program, gateway: MemoryGateway) -> None:
    async with program(GREETER, "-m", "avtomatika_worker", "run", "app:worker", "--health-check") as process:
        await gateway.result_of(await gateway.offer("hello_world"))
        process.terminate()
        assert await process.wait() == 0


@pytest.mark.parametrize(
    ("text", "app", "environ", "said"),
    [
        (GREETER, "app", {}, "'app' is not of the form module:attribute"),
        (GREETER, "absent:worker", {}, "cannot import 'absent'"),
        ("raise RuntimeError('broken')", "app:worker", {}, "RuntimeError: broken"),
        (GREETER, "app:missing", {}, "no attribute 'missing'"),
        ("worker = 7", "app:worker", {}, "is a int, not a Worker"),
        (GREETER, "app:worker", {"WORKER_TOKEN": ""}, "WORKER_TOKEN"),
        (GREETER, "app:worker", {"WORKER_PORT": "port"}, "WORKER_PORT"),
        (GREETER, "app:worker", {"LOG_LEVEL": "loud"}, "LOG_LEVEL"),
    ],
)
async def test_a_worker_that_cannot_start_says_why_in_one_line(
    program: Program, text: str, app: str, environ: dict[str, str], said: str
) -> None:
    async with program(text, "-m", "avtomatika_worker", "run", app, **environ) as process:
        _, log = await process.communicate()
        assert process.returncode == 1
    (line,) = log.decode().splitlines()
    assert line.startswith("avtomatika-worker: ")
    assert said in line


async def test_a_taken_health_port_is_a_clear_error(program: Program, server: Server) -> None:
    run = ("-m", "avtomatika_worker", "run", "app:worker", "--health-check")
    async with program(GREETER, *run, WORKER_PORT=str(server.port)) as process:
        _, log = await process.communicate()
        assert process.returncode == 1
    assert f"WORKER_PORT {server.port}".encode() in log.splitlines()[-1]


async def appears(path: Path) -> None:
    while not path.exists():
        await asyncio.sleep(0.005)
