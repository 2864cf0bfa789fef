"""`avtomatika-worker check` and `run --reload`, as programs."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rxon.testing.gateway import MemoryGateway
from tests.integration.worker.conftest import Server, json_of

Program = Callable[..., Any]

SKILLS = '''
from dataclasses import dataclass
from typing import Literal
from pydantic import BaseModel, Field
from avtomatika_worker import Worker

worker = Worker(worker_type="media", task_type_limits={"video": 1})

@dataclass
class Resize:
    width: int
    mode: Literal["fit", "fill"] = "fit"

class Blur(BaseModel):
    radius: int = Field(gt=0, description="In pixels")
    tags: list[str] = []

@worker.task("resize", task_type="video")
async def resize(params: Resize, **kwargs):
    """Resizes a picture.

    It may be smaller then."""

@worker.skill(timeout=30)
def blur(params: Blur): ...

@worker.skill
async def greet(name: str, times: int = 1, *, task_id: str): ...

@worker.skill
async def free(params: dict): ...

@worker.skill(input_schema={"properties": {"n": {"type": "number"}}})
async def declared(params): ...
'''

LISTED = """
Worker 'w1' of type media: 5 skills, 10 tasks at once

  resize (type video, at most 1 at once)
    Resizes a picture.
    width  integer, required
    mode   "fill" or "fit", default "fit"

  blur (up to 30 seconds, in a thread)
    radius  integer, required, more than 0, In pixels
    tags    array of string, default []

  greet
    name   string, required
    times  integer, default 1

  free
    any parameters

  declared
    n  number

Orchestrators
  {url}  priority 10, weight 1: reachable, token accepted

Nothing is wrong.
"""

SAYS = """
import os
from avtomatika_worker import Worker

worker = Worker()

@worker.skill
def say(params):
    if params.get("began"):
        open(params["began"], "w").close()
        while not os.path.exists(params["go_on"]):
            os.sched_yield()
    return {"version": VERSION}
"""


@pytest.fixture
def command(server: Server, tmp_path: Path) -> Program:
    """Runs the command line in a folder with ``app.py``, with the settings of the server."""

    @asynccontextmanager
    async def run(text: str, *arguments: str, **environ: str) -> AsyncIterator[Process]:
        (tmp_path / "app.py").write_text(text)
        settings = {
            "WORKER_ID": "w1",
            "WORKER_TOKEN": "token",
            "ORCHESTRATOR_URL": server.url,
            "TASK_FILES_DIR": str(tmp_path / "payloads"),
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "avtomatika_worker", *arguments),
            cwd=tmp_path,
            env={**os.environ, **settings, **environ},
            stdout=PIPE,
            stderr=PIPE,
        )
        try:
            async with asyncio.timeout(30):
                yield process
        finally:
            if process.returncode is None:
                process.terminate()
                await process.communicate()

    return run


async def outcome(process: Process) -> tuple[int | None, str, str]:
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


# ---------------------------------------------------------------- check


async def test_skills_parameters_limits_and_orchestrators_are_listed(
    command: Program, server: Server, gateway: MemoryGateway
) -> None:
    async with command(SKILLS, "check", "app:worker", "--connect") as process:
        code, out, err = await outcome(process)
    assert (code, out, err) == (0, LISTED.lstrip("\n").replace("{url}", server.url), "")
    assert gateway.registrations == []


async def test_orchestrators_are_asked_only_on_request(command: Program, server: Server) -> None:
    async with command(SKILLS, "check", "app:worker") as process:
        code, out, _ = await outcome(process)
    assert code == 0
    assert f"  {server.url}  priority 10, weight 1\n" in out
    assert server.paths == []


PLAIN = "from avtomatika_worker import Worker\nworker = Worker()\nworker.skill('work')(lambda: None)\n"
NOT_A_SKILL = 'from avtomatika_worker import Worker\nworker = Worker(task_type_limits={"odd": 1})\n'


@pytest.mark.parametrize(
    ("text", "environ", "said"),
    [
        (NOT_A_SKILL, {}, "The worker has no skills, so it gets no tasks: decorate a function"),
        (NOT_A_SKILL, {}, "There is a limit for the type 'odd', which no skill has; the types are: none"),
        (PLAIN, {"WORKER_TOKEN": "wrong"}, "does not accept the token"),
        (PLAIN, {"WORKER_TOKEN": ""}, "There is no token for"),
        (PLAIN, {"ORCHESTRATOR_URL": "http://127.0.0.1:9"}, "cannot be reached"),
        (PLAIN, {"ORCHESTRATOR_URL": "localhost"}, "is no address of an orchestrator"),
        (PLAIN, {"LOG_LEVEL": "loud"}, "LOG_LEVEL must be a level such as DEBUG"),
        (PLAIN, {"TLS_CA_PATH": "absent.pem"}, "TLS_CA_PATH"),
        (PLAIN, {"WORKER_SKILLS_DIR": "."}, "app.py cannot be loaded (SkillError: "),
    ],
)
async def test_problems_are_printed_and_the_exit_code_is_1(
    command: Program, text: str, environ: dict[str, str], said: str, tmp_path: Path
) -> None:
    if "WORKER_SKILLS_DIR" in environ:
        (tmp_path / "more").mkdir()
        (tmp_path / "more" / "broken.py").write_text("import nothing_there")
        environ, said = {"WORKER_SKILLS_DIR": "more"}, "broken.py cannot be loaded (ModuleNotFoundError"
    async with command(text, "check", "app:worker", "--connect", **environ) as process:
        code, out, _ = await outcome(process)
    assert code == 1
    assert said in out.partition("\nProblems\n")[2]


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        (PLAIN, ["app:workr"], "did you mean app:worker?"),
        (PLAIN, ["absent:worker"], "there is no absent.py in "),
        (PLAIN, ["app"], "is not of the form module:attribute, such as app:worker for app.py"),
        (PLAIN, ["app:Worker"], "'app:Worker' is a type, not a Worker"),
        ("import nothing_there", ["app:worker"], "'nothing_there' (app.py, line 1); is it installed?"),
        ("\n\n1 / 0", ["app:worker"], "ZeroDivisionError: division by zero (app.py, line 3)"),
        (PLAIN, [], "the following arguments are required"),
    ],
)
async def test_what_is_no_worker_is_said_and_the_exit_code_is_2(
    command: Program, text: str, arguments: list[str], said: str
) -> None:
    async with command(text, "check", *arguments) as process:
        code, _, err = await outcome(process)
    assert code == 2
    assert said in err


async def test_settings_that_cannot_be_read_are_named(command: Program) -> None:
    async with command(PLAIN, "check", "app:worker", WORKER_PORT="port") as process:
        code, _, err = await outcome(process)
    assert code == 2
    assert "WORKER_PORT must be a whole number" in err


# ---------------------------------------------------------------- run --reload


def version(n: int, tmp_path: Path) -> str:
    """The program, which the worker runs from now on if it looks."""
    text = SAYS.replace("VERSION", str(n))
    (tmp_path / "app.py").write_text(text)
    return text


async def says(gateway: MemoryGateway) -> int:
    """Which version answers."""
    data = (await gateway.result_of(await gateway.offer("say"))).data
    return int(json_of(data)["version"])


async def heard(process: Process, word: str) -> None:
    """A line of standard error has the word."""
    assert process.stderr is not None
    while word not in (line := (await process.stderr.readline()).decode()):
        assert line, f"nothing was said of {word!r}"


async def test_a_change_starts_the_worker_again_after_its_tasks_had_their_time(
    command: Program, gateway: MemoryGateway, tmp_path: Path
) -> None:
    began, go_on = tmp_path / "began", tmp_path / "go_on"
    async with command(version(1, tmp_path), "run", "app:worker", "--reload") as process:
        assert await says(gateway) == 1
        slow = await gateway.offer("say", {"began": str(began), "go_on": str(go_on)})
        while not began.exists():
            await asyncio.sleep(0.005)
        version(2, tmp_path)
        await gateway.seen(lambda: any(beat and beat.status == "draining" for beat in gateway.beats))
        go_on.touch()
        assert json_of((await gateway.result_of(slow)).data) == {"version": 1}
        assert await says(gateway) == 2
        process.terminate()
        code, _, err = await outcome(process)
    assert code == 0
    assert "app.py changed: starting the worker again" in err
    assert len(gateway.registrations) == 2


async def test_a_broken_program_is_waited_for_until_it_is_repaired(
    command: Program, gateway: MemoryGateway, tmp_path: Path
) -> None:
    async with command("import nothing_there", "run", "app:worker", "--reload") as process:
        await heard(process, "'nothing_there' (app.py, line 1)")
        await heard(process, "ended with exit code 1; it starts again after a change")
        version(3, tmp_path)
        assert await says(gateway) == 3
        process.send_signal(signal.SIGINT)
        assert (await outcome(process))[0] == 0


async def test_files_that_are_no_python_change_nothing(
    command: Program, gateway: MemoryGateway, tmp_path: Path
) -> None:
    async with command(version(1, tmp_path), "run", "app:worker", "--reload") as process:
        assert await says(gateway) == 1
        (tmp_path / "notes.txt").write_text("new")
        (tmp_path / "other.py").write_text("")
        await heard(process, "other.py changed: starting the worker again")
        await gateway.seen(lambda: len(gateway.registrations) == 2)
        assert await says(gateway) == 1
        process.terminate()
        _, _, err = await outcome(process)
    assert "notes.txt" not in err


async def test_a_second_signal_ends_a_worker_that_is_busy(
    command: Program, gateway: MemoryGateway, tmp_path: Path
) -> None:
    began = tmp_path / "began"
    program = version(1, tmp_path)
    async with command(program, "run", "app:worker", "--reload", WORKER_SHUTDOWN_TIMEOUT="3600") as process:
        await gateway.offer("say", {"began": str(began), "go_on": str(tmp_path / "never")})
        while not began.exists():
            await asyncio.sleep(0.005)
        process.terminate()
        await gateway.seen(lambda: any(beat and beat.status == "draining" for beat in gateway.beats))
        process.terminate()
        code, _, _ = await outcome(process)
    assert code == 128 + signal.SIGTERM


async def test_reloading_without_the_extra_says_what_to_install(command: Program, tmp_path: Path) -> None:
    (tmp_path / "watchfiles.py").write_text("raise ImportError")
    path = os.pathsep.join([str(tmp_path), *(path for path in sys.path if path)])
    async with command(PLAIN, "run", "app:worker", "--reload", PYTHONPATH=path) as process:
        code, _, err = await outcome(process)
    assert code == 1
    assert "pip install 'avtomatika-worker[dev]'" in err
