"""Handlers run within the limits, and each outcome is delivered once."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from avtomatika_worker import SkillBlueprint, TaskFiles
from avtomatika_worker.running.capacity import Openings
from tests.unit.worker.calling import Bench, call, offer


async def test_sync_handlers_run_in_threads() -> None:
    def handler() -> Any:
        return {"main": threading.current_thread() is threading.main_thread()}

    assert (await call(handler)).data == {"main": False}


async def test_sync_handlers_run_side_by_side() -> None:
    barrier = threading.Barrier(3, timeout=5)
    skills = SkillBlueprint()

    @skills.skill
    def work() -> None:
        barrier.wait()

    outcomes = await Bench(skills, limit=3).run(*(offer(task_id=f"t{n}") for n in range(6)))
    assert [outcome.status for outcome in outcomes if outcome] == ["success"] * 6


async def test_a_sync_handler_may_return_an_awaitable() -> None:
    async def later(params: Any) -> Any:
        return params

    def handler(params: Any) -> Any:
        return later(params)

    assert (await call(handler, {"a": 1})).data == {"a": 1}


async def test_a_callable_object_may_be_a_handler() -> None:
    class Work:
        async def __call__(self, params: dict[str, Any]) -> Any:
            return params

    assert (await call(Work(), {"a": 1})).data == {"a": 1}


async def test_no_limit_is_ever_exceeded() -> None:
    skills = SkillBlueprint()
    running = {"video": 0, "all": 0}
    peak = dict(running)
    gate = asyncio.Event()

    async def run(kind: str) -> None:
        for key in (kind, "all"):
            running[key] = running.get(key, 0) + 1
            peak[key] = max(peak.get(key, 0), running[key])
        if running["all"] == 3:
            gate.set()
        await gate.wait()
        for key in (kind, "all"):
            running[key] -= 1

    @skills.task("upscale", task_type="video")
    async def upscale(params: dict[str, Any], **kwargs: Any) -> None:
        await run("video")

    @skills.task("blur", task_type="video")
    async def blur(params: dict[str, Any], **kwargs: Any) -> None:
        await run("video")

    @skills.task("report")
    async def report(params: dict[str, Any], **kwargs: Any) -> None:
        await run("report")

    bench = Bench(skills, limit=3, type_limits={"video": 1})
    kinds = ["upscale", "blur", "report", "upscale", "report", "report"]
    tasks = [offer(skill=kind, task_id=f"t{n}") for n, kind in enumerate(kinds)]
    assert len(await bench.run(*tasks)) == 6
    assert (peak["video"], peak["all"]) == (1, 3)
    assert bench.runner.openings() == Openings(1, None)


async def test_a_stopped_coroutine_is_cancelled_and_delivers_nothing() -> None:
    skills = SkillBlueprint()
    began = asyncio.Event()
    seen: list[str] = []

    @skills.skill
    async def work(is_cancelled: Any) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            seen.append(f"cancelled: {is_cancelled()}")

    bench = Bench(skills)
    async with asyncio.timeout(5), bench.group:
        execution = bench.submit(offer())
        await began.wait()
        bench.runner.stop(execution)
        bench.runner.stop(execution)
    assert (seen, bench.outcomes) == (["cancelled: True"], {"task-1": None})
    assert bench.runner.openings() == Openings(10)


async def test_a_task_stopped_before_its_first_step_gives_its_slot_back() -> None:
    skills = SkillBlueprint()

    @skills.skill
    async def work() -> None:
        raise AssertionError("must not run")

    bench = Bench(skills)
    async with asyncio.timeout(5), bench.group:
        bench.runner.stop(bench.submit(offer()))
    assert bench.outcomes == {"task-1": None}
    assert bench.runner.openings() == Openings(10)


async def test_a_task_stopped_while_it_waits_never_runs() -> None:
    skills = SkillBlueprint()
    gate = asyncio.Event()

    @skills.skill
    async def work() -> None:
        await gate.wait()

    bench = Bench(skills, limit=1)
    async with asyncio.timeout(5), bench.group:
        bench.submit(offer())
        bench.runner.stop(bench.submit(offer(task_id="second")))
        assert bench.outcomes == {"second": None}
        gate.set()
    assert bench.runner.openings() == Openings(1)


async def test_a_stopped_thread_keeps_its_slot_until_it_ends() -> None:
    skills = SkillBlueprint()
    began, end = threading.Event(), threading.Event()

    @skills.skill
    def work(is_cancelled: Any) -> None:
        began.set()
        end.wait(5)
        assert is_cancelled()

    bench = Bench(skills, limit=1)
    changed = asyncio.Event()
    bench.runner.on_change = changed.set
    async with asyncio.timeout(5), bench.group:
        execution = bench.submit(offer())
        await asyncio.to_thread(began.wait, 5)
        bench.runner.stop(execution)
        while not bench.outcomes:
            await asyncio.sleep(0)
        assert bench.runner.openings() == Openings(0)
        end.set()
        await changed.wait()
    assert bench.outcomes == {"task-1": None}
    assert bench.runner.openings() == Openings(1)


async def test_a_skill_with_a_timeout_fails_when_it_takes_longer() -> None:
    skills = SkillBlueprint()

    @skills.skill(timeout=0.01)
    async def work() -> None:
        await asyncio.Event().wait()

    (outcome,) = await Bench(skills).run(offer())
    assert outcome is not None
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code) == ("failure", "TIMEOUT_ERROR")


async def test_a_timeout_inside_the_handler_is_its_own() -> None:
    skills = SkillBlueprint()

    @skills.skill(timeout=5)
    async def work() -> None:
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()

    (outcome,) = await Bench(skills).run(offer())
    assert outcome is not None
    assert outcome.error is not None
    assert outcome.error.code == "TRANSIENT_ERROR"


async def test_the_folder_of_a_task_is_removed_after_its_thread_ended(tmp_path: Path) -> None:
    skills = SkillBlueprint()

    @skills.skill
    async def work(files: TaskFiles) -> None:
        await files.write("deep/a.txt", "x")

    bench = Bench(skills, tmp_path)
    async with asyncio.timeout(5), bench.group:
        execution = bench.submit(offer())
    assert (tmp_path / "task-1" / "deep" / "a.txt").exists()
    await execution.remove_files()
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_skill_is_not_taken() -> None:
    bench = Bench(SkillBlueprint())
    assert bench.runner.submit(offer(), pytest.fail) is None
