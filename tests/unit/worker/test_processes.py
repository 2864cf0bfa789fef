"""Handlers in processes of their own: what they can do, and what becomes of those that end badly."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from avtomatika_worker import SkillBlueprint, TaskFiles
from avtomatika_worker.errors import PermanentError, SkillError
from avtomatika_worker.running import processes
from avtomatika_worker.running.processes import GRACE
from avtomatika_worker.running.runner import Execution
from avtomatika_worker.skills.outcome import Outcome
from avtomatika_worker.skills.teller import Told
from tests.unit.worker.calling import Bench, offer


class OutOfPaper(PermanentError):
    """An error of the user's own."""

    code = "OUT_OF_PAPER"


@dataclass
class Size:
    width: int


def where() -> Any:
    return {"pid": os.getpid()}


def fail(params: dict[str, Any]) -> Any:
    raise {"paper": OutOfPaper("no A4", details={"tray": 1}), "value": ValueError("bad value")}[params["how"]]


def crash(params: dict[str, Any]) -> None:
    if params["how"] == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    os._exit(7)


def typed(params: Size, task_id: str, priority: float, **kwargs: Any) -> Any:
    return {"width": params.width, "task": task_id, "priority": priority, "names": sorted(kwargs)}


async def coroutine(params: dict[str, Any], files: TaskFiles) -> Any:
    await files.write("a.txt", "text")
    return {"n": params["n"], "file": await files.path_to("a.txt")}


def tells(send_progress: Any, send_event: Any, add_to_hot_cache: Any, remove_from_hot_cache: Any) -> Any:
    add_to_hot_cache("small")
    add_to_hot_cache("large")
    remove_from_hot_cache("small")
    send_progress(0.5, "half")
    send_event("page", {"n": 1})
    return Size(3)


def spin(params: dict[str, Any]) -> None:
    """Holds the interpreter, hears no signal that Python could handle, and has a child of its own."""
    signal.signal(signal.SIGTERM, lambda *_: Path(params["file"] + ".asked").touch())
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(params["file"]).write_text(f"{os.getpid()} {child.pid}")
    while True:
        pass


def nap(params: dict[str, Any]) -> None:
    Path(params["file"]).write_text(str(os.getpid()))
    time.sleep(600)


def unwritable() -> Any:
    return object()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    skills = SkillBlueprint()
    for handler in (where, fail, crash, typed, coroutine, tells, nap, unwritable):
        skills.skill(handler.__name__, process=True)(handler)
    skills.skill("spin", process=True)(spin)
    skills.skill("hurry", process=True, timeout=2.0)(spin)
    bench = Bench(skills, tmp_path)
    yield bench
    bench.runner.close()


async def outcome(bench: Bench, skill: str, params: Any = None, **fields: Any) -> Outcome:
    bench.outcomes.clear()
    bench.group = asyncio.TaskGroup()
    bench.runner._spawn = bench.group.create_task
    async with asyncio.timeout(20), bench.group:
        bench.submit(offer(params, skill=skill, **fields))
    (found,) = bench.outcomes.values()
    assert found is not None
    return found


def data(found: Outcome) -> Any:
    assert found.status == "success", found.error
    assert found.data is not None
    return msgspec.json.decode(found.data)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def eventually(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not what():
            await asyncio.sleep(0.01)


async def test_a_process_is_another_one_and_is_used_again(bench: Bench) -> None:
    first, second = data(await outcome(bench, "where")), data(await outcome(bench, "where"))
    assert first == second != {"pid": os.getpid()}
    bench.runner.close()
    await eventually(lambda: not alive(first["pid"]))


async def test_arguments_are_those_of_any_handler(bench: Bench) -> None:
    found = data(await outcome(bench, "typed", {"width": 3.0, "more": 1}, priority=2.0))
    assert (found["width"], found["task"], found["priority"]) == (3, "task-1", 2.0)
    assert {"job_id", "is_cancelled", "send_progress"} <= set(found["names"])
    wrong = await outcome(bench, "typed", {"width": "x"})
    assert wrong.error is not None
    assert wrong.error.code == "INVALID_INPUT_ERROR"
    assert "width" in wrong.error.message


async def test_coroutines_and_files_work_there_too(bench: Bench, tmp_path: Path) -> None:
    found = data(await outcome(bench, "coroutine", {"n": 2}))
    assert (found["n"], Path(found["file"]).read_text("utf-8")) == (2, "text")
    assert tmp_path in Path(found["file"]).parents


async def test_what_it_tells_and_loads_reaches_the_worker_before_its_result(bench: Bench) -> None:
    told: list[Told | None] = []

    def deliver(execution: Execution, found: Outcome | None) -> None:
        told.append(None)
        assert found is not None
        assert data(found) == {"width": 3}

    async with asyncio.timeout(20), bench.group:
        bench.runner.submit(offer(skill="tells"), deliver, told.append)
    names = [None if each is None else each.name for each in told]
    assert names == ["progress", "page", None]
    assert bench.hot_cache.models == {"large"}


async def test_errors_keep_their_codes_and_say_where_they_came_from(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    own = (await outcome(bench, "fail", {"how": "paper"})).error
    assert own is not None
    assert (own.code, own.message, own.details) == ("OUT_OF_PAPER", "no A4", {"tray": 1})
    other = (await outcome(bench, "fail", {"how": "value"})).error
    assert other is not None
    assert (other.code, other.message) == ("TRANSIENT_ERROR", "bad value")
    assert "in fail" in caplog.text
    result = (await outcome(bench, "unwritable")).error
    assert result is not None
    assert (result.code, "cannot be written as JSON" in result.message) == ("PERMANENT_ERROR", True)


@pytest.mark.parametrize(("how", "said"), [("segfault", "was ended by SIGSEGV"), ("exit", "exit code 7")])
async def test_a_handler_that_crashes_fails_its_own_task_and_no_other(
    bench: Bench, how: str, said: str, tmp_path: Path
) -> None:
    beside = tmp_path / "beside"
    async with asyncio.timeout(20), bench.group:
        other = bench.submit(offer({"file": str(beside)}, skill="spin", task_id="other"))
        await eventually(beside.exists)
        bench.submit(offer({"how": how}, skill="crash"))
        bench.submit(offer(skill="where", task_id="third"))
        await eventually(lambda: len(bench.outcomes) == 2)
        assert alive(int(beside.read_text().split()[0]))
        bench.runner.stop(other)
    crashed, third = bench.outcomes["task-1"], bench.outcomes["third"]
    assert crashed is not None
    assert crashed.error is not None
    assert third is not None
    assert crashed.error.code == "TRANSIENT_ERROR"
    assert said in crashed.error.message
    assert data(third)["pid"] > 0
    assert data(await outcome(bench, "where"))["pid"] > 0


@pytest.mark.parametrize("how", ["cancelled", "too slow"])
async def test_cancellation_and_timeout_end_the_work_with_all_that_it_started(
    bench: Bench, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GRACE", 0.3)
    file = tmp_path / "pids"
    data(await outcome(bench, "where"))  # a process is there: its start is not what is measured
    bench.outcomes.clear()
    bench.group = asyncio.TaskGroup()
    bench.runner._spawn = bench.group.create_task
    began = time.monotonic()
    async with asyncio.timeout(20), bench.group:
        execution = bench.submit(offer({"file": str(file)}, skill="spin" if how == "cancelled" else "hurry"))
        await eventually(lambda: file.exists() and len(file.read_text().split()) == 2)
        pids = [int(pid) for pid in file.read_text().split()]
        if how == "cancelled":
            bench.runner.stop(execution)
    await eventually(lambda: not any(alive(pid) for pid in pids))
    assert time.monotonic() - began < 15
    assert Path(f"{file}.asked").exists()
    found = bench.outcomes["task-1"]
    if how == "cancelled":
        assert found is None
    else:
        assert found is not None
        assert found.error is not None
        assert found.error.code == "TIMEOUT_ERROR"
    await eventually(lambda: bench.runner.running == 0)
    assert bench.runner.openings().limit == 10


async def test_a_handler_that_does_not_mind_is_gone_before_the_time_of_those_that_do(
    bench: Bench, tmp_path: Path
) -> None:
    file = tmp_path / "pid"
    async with asyncio.timeout(20), bench.group:
        execution = bench.submit(offer({"file": str(file)}, skill="nap"))
        await eventually(lambda: file.exists() and bool(file.read_text()))
        began = time.monotonic()
        bench.runner.stop(execution)
        await eventually(lambda: not alive(int(file.read_text())) and bench.runner.running == 0)
        assert time.monotonic() - began < GRACE / 2


def test_only_functions_that_can_be_imported_run_in_processes() -> None:
    skills = SkillBlueprint()

    def local() -> None:
        """Nobody else can import it."""

    for handler in (local, lambda: None, Bench(skills).run):
        with pytest.raises(SkillError, match="cannot run in a process"):
            skills.skill("x", process=True)(handler)


PROGRAM = """
import asyncio, os, sys, time
from avtomatika_worker import Worker
from avtomatika_worker.running.processes import HandlerProcesses, ProcessCall
from rxon.messages import TaskOffer

worker = Worker()

@worker.skill(process=True)
def work(send_progress):
    send_progress(os.getpid())
    time.sleep(600)

if {guard}:
    if {run}:
        worker.run()
    offer = TaskOffer(job_id="j", task_id="t", type="work")
    call = ProcessCall(next(iter(worker)).place, offer, {{}}, ".", {{}})
    call.listen(lambda told: print(bytes(told.payload).decode(), flush=True), None)
    try:
        HandlerProcesses().run(call)
    except Exception as error:
        print(error)
"""


def test_a_process_ends_with_its_worker_however_that_ends(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(guard='__name__ == "__main__"', run=False))
    with subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdout is not None
        try:
            pid: int = msgspec.json.decode(process.stdout.readline())["progress"]
            assert alive(pid)
        finally:
            process.kill()
    deadline = time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_program_without_a_guard_does_not_become_many_workers(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(guard="True", run='__name__ != "__main__"'))
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
    )
    assert "The process of the handler ended with exit code 1" in done.stdout
    assert "Run the worker under" in done.stderr
