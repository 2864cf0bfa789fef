"""The test kit shows what a skill does, as an orchestrator would see it."""

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from avtomatika_worker import TaskFiles, Worker, WorkerConfig
from avtomatika_worker.errors import TransientError
from avtomatika_worker.testing import Event, Progress, run_skill, start_skill


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(config=WorkerConfig({"WORKER_ID": "w1", "WORKER_SKILLS_DIR": str(tmp_path)}))


def in_a_process(params: dict[str, Any], send_progress: Any) -> Any:
    send_progress(1.0)
    return {"pid": os.getpid()}


async def test_a_result_is_the_one_that_would_be_sent(worker: Worker) -> None:
    @worker.task("resize", task_type="image")
    async def resize(params: dict[str, Any], **kwargs: Any) -> Any:
        return {"status": "needs_review", "data": {"path": f"{params['n']}.png", "task": kwargs["task_id"]}}

    run = await run_skill(worker, "resize", {"n": 3}, lease_token="lease")
    assert (run.status, run.data, run.error) == ("needs_review", {"path": "3.png", "task": "task-1"}, None)
    assert run.result is not None
    assert (run.result.job_id, run.result.worker_id, run.result.lease_token) == ("job-1", "w1", "lease")
    assert "execution_time_seconds" in (run.result.costs or {})
    assert not run.cancelled


async def test_errors_are_results_too(worker: Worker) -> None:
    @worker.skill
    async def work(width: int) -> None:
        raise TransientError("away", details={"for": 3})

    for params, code, message in [
        ({"width": 1}, "TRANSIENT_ERROR", "away"),
        ({}, "INVALID_INPUT_ERROR", "Missing required parameter: width"),
    ]:
        run = await run_skill(worker, "work", params)
        assert run.error is not None
        assert (run.status, run.error.code, run.error.message) == ("failure", code, message)
    unknown = await run_skill(worker, "unknown")
    assert unknown.error is not None
    assert unknown.error.message == "Unsupported skill: unknown"


async def test_what_is_told_and_loaded_is_recorded(worker: Worker) -> None:
    @worker.skill
    def work(send_progress: Any, send_event: Any, add_to_hot_cache: Any) -> None:
        send_progress(0.5, "half")
        send_event("page", {"n": 1})
        send_progress(1.0)
        add_to_hot_cache("yolo")

    run = await run_skill(worker, "work")
    assert run.progress == (Progress(0.5, "half"), Progress(1.0))
    assert run.events == (Event("page", {"n": 1}),)
    assert run.hot_cache == {"yolo"}


async def test_files_are_in_a_folder_that_is_gone_afterwards(worker: Worker) -> None:
    @worker.skill
    async def work(files: TaskFiles) -> Any:
        await files.write("out/b.txt", (await files.read("a.txt")).upper())
        return {"root": await files.get_root()}

    run = await run_skill(worker, "work", files={"a.txt": "text"})
    assert run.files == {"a.txt": b"text", "out/b.txt": b"TEXT"}
    assert not Path(run.data["root"]).exists()


async def test_a_task_can_be_cancelled_when_it_has_told_something(worker: Worker) -> None:
    seen: list[bool] = []

    @worker.skill
    async def train(send_progress: Any, is_cancelled: Any) -> None:
        await send_progress(0.1)
        try:
            await asyncio.Event().wait()
        finally:
            seen.append(is_cancelled())

    async with asyncio.timeout(10), start_skill(worker, "train") as task:
        assert await task.told() == Progress(0.1)
        task.cancel()
        run = await task.over()
    assert (run.cancelled, run.status, run.data, seen) == (True, None, None, [True])


async def test_a_thread_is_told_by_its_token(worker: Worker) -> None:
    ended = threading.Event()

    @worker.skill
    def train(send_progress: Any, is_cancelled: Any) -> None:
        send_progress(0.1)
        while not is_cancelled():
            threading.Event().wait(0.001)
        ended.set()

    async with asyncio.timeout(10), start_skill(worker, "train") as task:
        await task.told()
    assert await asyncio.to_thread(ended.wait, 10)


async def test_what_a_test_asserts_inside_comes_out_as_it_is(worker: Worker) -> None:
    worker.skill("work")(asyncio.Event().wait)
    with pytest.raises(AssertionError, match="mine"):
        async with start_skill(worker, "work"):
            raise AssertionError("mine")
    with pytest.raises(TimeoutError):
        await run_skill(worker, "work", timeout=0.01)
    worker.skill("quiet")(lambda: None)
    async with start_skill(worker, "quiet") as task:
        with pytest.raises(EOFError):
            await task.told()


async def test_middleware_processes_and_skills_of_a_folder_are_there_as_in_the_worker(
    worker: Worker, tmp_path: Path
) -> None:
    (tmp_path / "more.py").write_text(
        "from avtomatika_worker import SkillBlueprint\n"
        "bp = SkillBlueprint()\n\n\n"
        "@bp.skill(process=True)\n"
        "def sums(params):\n"
        "    return {'sum': sum(params['of'])}\n"
    )

    async def around(context: dict[str, Any], next: Any) -> Any:
        return {"around": await next()}

    worker.add_middleware(around)
    worker.skill("aside", process=True)(in_a_process)
    run = await run_skill(worker, "aside")
    assert run.data["around"]["pid"] != os.getpid()
    assert run.progress == (Progress(1.0),)
    assert (await run_skill(worker, "sums", {"of": [1, 2]})).data == {"around": {"sum": 3}}
