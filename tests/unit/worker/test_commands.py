"""Handlers of commands are called once for each id, and what they do to themselves they do alone."""

import asyncio
import threading
from typing import Any

import msgspec
import pytest

from avtomatika_worker import Worker, WorkerConfig
from avtomatika_worker.errors import SkillError
from avtomatika_worker.skills.commands import Command, CommandDesk
from rxon.messages import WorkerCommand


def command(name: str = "go", **fields: Any) -> WorkerCommand:
    return WorkerCommand(command=name, **fields)


async def test_a_command_that_comes_again_is_run_once() -> None:
    seen: asyncio.Queue[Command] = asyncio.Queue()
    desk = CommandDesk({"go": seen.put})
    for told in (command(id="a"), command(id="a"), command(), command(), command(id="b"), command(id="a")):
        desk.hear(told)
    found = [(await seen.get()).id for _ in range(4)]
    assert found == ["a", None, None, "b"]
    assert seen.empty()


async def test_a_handler_gets_the_command_with_its_parameters_decoded() -> None:
    seen: asyncio.Queue[Command] = asyncio.Queue()
    desk = CommandDesk({"go": seen.put})
    desk.hear(command(params=msgspec.Raw(b'{"n": 1}'), metadata={"by": "ann"}, job_id="j", id="c"))
    assert await seen.get() == Command(
        command="go", params={"n": 1}, metadata={"by": "ann"}, job_id="j", id="c"
    )
    desk.hear(command())
    assert (await seen.get()).params == {}


async def test_functions_run_in_threads_and_may_return_awaitables() -> None:
    threads: asyncio.Queue[bool] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def plain(told: Command) -> Any:
        return threads.put(threading.current_thread() is threading.main_thread())

    class Handler:
        async def __call__(self, told: Command) -> None:
            await threads.put(asyncio.get_running_loop() is loop)

    desk = CommandDesk({"plain": plain, "object": Handler()})
    desk.hear(command("plain"))
    assert await threads.get() is False
    desk.hear(command("object"))
    assert await threads.get() is True


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1)])
async def test_what_a_handler_raises_is_logged_and_stops_nothing_else(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    done = asyncio.Event()

    async def bad(told: Command) -> None:
        raise error

    def bad_in_a_thread(told: Command) -> None:
        raise error

    async def good(told: Command) -> None:
        done.set()

    desk = CommandDesk({"bad": bad, "worse": bad_in_a_thread, "good": good})
    for name in ("bad", "worse", "good", "unknown"):
        desk.hear(command(name))
    await done.wait()
    async with asyncio.timeout(5):
        while caplog.text.count("failed") < 2:
            await asyncio.sleep(0.01)
    assert "The handler of the command 'bad' failed" in caplog.text
    assert "There is no handler for the command 'unknown'" in caplog.text


async def test_a_handler_that_hangs_does_not_keep_the_worker_from_ending() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def hang(told: Command) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    desk = CommandDesk({"hang": hang})
    desk.hear(command("hang"))
    await began.wait()
    await desk.stop()
    assert ended.is_set()


def test_what_cannot_be_a_handler_is_refused_at_once() -> None:
    worker = Worker(config=WorkerConfig({}))
    worker.on_command("go")(lambda told: None)
    for name, handler in [
        ("go", lambda told: None),
        ("none", lambda: None),
        ("two", lambda one, two: None),
        ("cancel_task", lambda told: None),
    ]:
        with pytest.raises(SkillError):
            worker.on_command(name)(handler)
    assert list(worker.commands) == ["go"]
