"""What goes around handlers sees each call, and may change or refuse it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from avtomatika_worker import SkillBlueprint, Worker, WorkerConfig
from avtomatika_worker.errors import PermanentError, SkillError
from avtomatika_worker.running.capacity import Capacity
from avtomatika_worker.running.runner import Runner
from avtomatika_worker.skills.hot_cache import HotCache
from avtomatika_worker.skills.middleware import Middleware
from avtomatika_worker.skills.outcome import Outcome
from avtomatika_worker.skills.skills import Catalog
from tests.unit.worker.calling import offer


async def outcome(
    handler: Callable[..., Any], *middleware: Middleware, params: Any = None, **options: Any
) -> tuple[str, Any]:
    """Status, and data or the code of the error."""
    skills, found = SkillBlueprint(), list[Outcome | None]()
    skills.skill("work", **options)(handler)
    group = asyncio.TaskGroup()
    catalog = Catalog(skills, middleware=middleware)
    runner = Runner(catalog, Capacity(1), HotCache(), Path("unused"), group.create_task)
    async with asyncio.timeout(20), group:
        runner.submit(offer(params), lambda execution, result: found.append(result))
    runner.close()
    (result,) = found
    assert result is not None
    if result.error is not None:
        return result.status, result.error.code
    return result.status, None if result.data is None else msgspec.json.decode(result.data)


async def echo(params: dict[str, Any]) -> Any:
    return params


def echo_in_a_process(params: dict[str, Any], tenant: str = "") -> Any:
    return params | {"tenant": tenant}


async def test_the_first_is_outermost() -> None:
    order: list[str] = []

    def named(name: str) -> Middleware:
        async def middleware(context: dict[str, Any], next: Any) -> Any:
            order.append(f"{name} in")
            result = await next()
            order.append(f"{name} out")
            return result

        return middleware

    async def handler() -> None:
        order.append("handler")

    assert await outcome(handler, named("a"), named("b")) == ("success", {})
    assert order == ["a in", "b in", "handler", "b out", "a out"]


async def test_it_knows_what_is_called_with_what() -> None:
    seen: dict[str, Any] = {}

    async def look(context: dict[str, Any], next: Any) -> Any:
        seen.update(context)
        return await next()

    async def handler(params: dict[str, Any], task_id: str, send_progress: Any) -> None: ...

    await outcome(handler, look, params={"n": 1})
    assert (seen["task_id"], seen["job_id"], seen["skill_name"]) == ("task-1", "job-1", "work")
    assert (seen["params"], sorted(seen["handler_kwargs"])) == ({"n": 1}, ["send_progress", "task_id"])


async def test_it_may_change_the_parameters_and_the_result() -> None:
    async def change(context: dict[str, Any], next: Any) -> Any:
        context["params"] = context["params"] | {"m": 2}
        result = await next()
        return result | {"changed": True}

    assert await outcome(echo, change, params={"n": 1}) == ("success", {"n": 1, "m": 2, "changed": True})


async def test_what_it_adds_reaches_handlers_that_take_it() -> None:
    async def add(context: dict[str, Any], next: Any) -> Any:
        context["handler_kwargs"] |= {"tenant": "t1", "task_id": "hidden"}
        return await next()

    async def takes(params: dict[str, Any], tenant: str, task_id: str) -> Any:
        return [tenant, task_id]

    async def takes_all(**kwargs: Any) -> Any:
        return [kwargs["tenant"], kwargs["task_id"]]

    for handler in (takes, takes_all):
        assert await outcome(handler, add) == ("success", {"result": ["t1", "hidden"]})
    assert await outcome(echo, add, params={"n": 1}) == ("success", {"n": 1})


async def test_it_may_refuse_before_the_handler_is_called() -> None:
    async def refuse(context: dict[str, Any], next: Any) -> Any:
        raise PermanentError("not for you")

    async def answer(context: dict[str, Any], next: Any) -> Any:
        return {"status": "skipped"}

    async def handler() -> None:
        raise AssertionError("must not be called")

    assert await outcome(handler, refuse) == ("failure", "PERMANENT_ERROR")
    assert await outcome(handler, answer) == ("skipped", {})


async def test_it_sees_what_a_handler_raises_and_may_try_again() -> None:
    tries: list[int] = []

    async def again(context: dict[str, Any], next: Any) -> Any:
        try:
            return await next()
        except ConnectionError:
            return await next()

    def handler() -> Any:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError
        return {"tries": len(tries)}

    assert await outcome(handler, again) == ("success", {"tries": 2})


async def test_wrong_parameters_are_what_next_raises() -> None:
    seen: list[str] = []

    async def watch(context: dict[str, Any], next: Any) -> Any:
        try:
            return await next()
        except Exception as error:
            seen.append(type(error).__name__)
            raise

    async def handler(width: int) -> None: ...

    assert await outcome(handler, watch, params={"width": "x"}) == ("failure", "INVALID_INPUT_ERROR")
    assert seen == ["InvalidInputError"]


async def test_it_goes_around_handlers_in_processes_too() -> None:
    async def change(context: dict[str, Any], next: Any) -> Any:
        context["params"] = {"n": 2}
        context["handler_kwargs"]["tenant"] = "t1"
        return {"inner": await next()}

    async def unpicklable(context: dict[str, Any], next: Any) -> Any:
        context["handler_kwargs"]["tenant"] = lambda: None
        return await next()

    handler = echo_in_a_process
    found = await outcome(handler, change, process=True)
    assert found == ("success", {"inner": {"n": 2, "tenant": "t1"}})
    assert await outcome(handler, unpicklable, process=True) == ("failure", "PERMANENT_ERROR")


async def test_the_time_of_a_skill_is_that_of_everything_around_its_handler() -> None:
    async def wait(context: dict[str, Any], next: Any) -> Any:
        await asyncio.Event().wait()

    assert await outcome(echo, wait, timeout=0.01) == ("failure", "TIMEOUT_ERROR")


def test_what_cannot_be_called_is_refused_at_once() -> None:
    worker = Worker(config=WorkerConfig({}))

    async def one(context: dict[str, Any]) -> None: ...

    for wrong in (one, lambda context, next: None):
        with pytest.raises(SkillError):
            worker.add_middleware(wrong)  # type: ignore[arg-type]
    assert not worker.middleware
