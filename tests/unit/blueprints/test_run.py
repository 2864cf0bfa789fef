"""One run of a handler: what it asked for, what it returned, what it changed, and how it may go wrong."""

import asyncio
import threading
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.blueprints.client import ClientConfig
from avtomatika.blueprints.run import run_handler
from avtomatika.kernel.decisions import Finish, GoTo
from avtomatika.kernel.events import Decided, HandlerCrashed
from avtomatika.kernel.ids import TaskId
from avtomatika.kernel.model import (
    NULL,
    Branch,
    Failure,
    Job,
    Order,
    Ready,
    Report,
    Task,
    Verdict,
)
from avtomatika.kernel.time import Span
from tests.unit.blueprints.jobs import data, job, raw

CLIENT = ClientConfig(id="c")


def blueprint(handler: Any, state: str = "start", **options: Any) -> Blueprint:
    made = Blueprint("b")
    made.handler(state, **options)(handler)
    return made


async def decided(handler: Any, of: Job | None = None, **options: Any) -> Decided:
    event = await run_handler(blueprint(handler, **options), of or job(), (), CLIENT)
    assert isinstance(event, Decided), event
    return event


async def crashed(handler: Any, of: Job | None = None, **options: Any) -> Failure:
    event = await run_handler(blueprint(handler, **options), of or job(), (), CLIENT)
    assert isinstance(event, HandlerCrashed), event
    return event.failure


async def test_what_a_handler_asks_for_is_its_decision() -> None:
    async def start(actions: Any) -> str:
        actions.go_to("next")
        return "ignored"

    assert await decided(start) == Decided(version=1, decision=GoTo("next"))


async def test_a_plain_function_runs_in_a_thread() -> None:
    threads = []

    def start(actions: Any) -> None:
        threads.append(threading.current_thread())
        actions.go_to("next")

    assert (await decided(start)).decision == GoTo("next")
    assert threads[0] is not threading.current_thread()


async def test_a_plain_function_that_blocks_holds_nobody_up() -> None:
    go_on = threading.Event()

    def start(actions: Any) -> None:
        assert go_on.wait(10)
        actions.go_to("next")

    running = asyncio.ensure_future(decided(start))
    await asyncio.sleep(0.01)
    go_on.set()
    assert (await running).decision == GoTo("next")


@pytest.mark.parametrize(
    ("returned", "result"),
    [(None, NULL), ({"a": 1}, raw({"a": 1})), (0, raw(0)), ([], raw([])), ("", raw(""))],
)
async def test_an_end_state_ends_the_job_with_what_it_returns(returned: Any, result: Any) -> None:
    async def end() -> Any:
        return returned

    event = await decided(end, is_end=True)
    assert event.decision == Finish(Verdict.FINISHED, result)


async def test_an_end_state_may_go_on_after_all() -> None:
    async def end(actions: Any) -> None:
        actions.go_to("again")

    assert (await decided(end, is_end=True)).decision == GoTo("again")


@pytest.mark.parametrize("outcome", ["finished", "failed", "quarantined"])
async def test_an_end_state_ends_as_it_says(outcome: str) -> None:
    async def end() -> None: ...

    assert (await decided(end, is_end=True, outcome=outcome)).decision == Finish(Verdict(outcome))


@pytest.mark.parametrize("state", ["finished", "failed", "error", "quarantined"])
async def test_a_state_that_only_has_a_telling_name_ends_the_job(state: str) -> None:
    async def start() -> None: ...

    event = await run_handler(blueprint(start), job(state), (), CLIENT)
    assert isinstance(event, Decided)
    assert isinstance(event.decision, Finish)


async def test_data_that_was_not_touched_is_not_written() -> None:
    async def start(initial_data: Any, state_history: Any, actions: Any) -> None:
        actions.go_to("next")

    event = await decided(start, job(input=data(a=1.0), history=data(b=None)))
    assert (event.input, event.history) == (None, None)


async def test_changes_to_the_data_are_kept() -> None:
    async def start(initial_data: Any, state_history: Any, actions: Any) -> None:
        initial_data["a"] += 1
        state_history["list"].append(None)
        del state_history["gone"]
        actions.go_to("next")

    event = await decided(start, job(input=data(a=1), history=data(list=[], gone=1)))
    assert event.input == data(a=2)
    assert event.history == data(list=[None])


async def test_every_run_sees_the_data_afresh() -> None:
    async def start(state_history: Any, actions: Any) -> None:
        state_history["n"] = state_history.get("n", 0) + 1
        actions.go_to("next")

    of = job()
    assert (await decided(start, of)).history == (await decided(start, of)).history == data(n=1)


async def test_what_a_handler_raises_is_a_crash_that_says_where() -> None:
    async def start() -> None:
        raise ValueError("no luck")

    failure = await crashed(start)
    assert (failure.code, failure.message) == ("HANDLER_ERROR", "ValueError in state 'start': no luck")


ERRORS = [KeyError("x"), TimeoutError(), StopIteration(), asyncio.CancelledError(), SystemExit(3)]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("is_async", [True, False])
async def test_whatever_a_handler_raises_is_a_crash(error: BaseException, is_async: bool) -> None:
    async def start() -> None:
        raise error

    def start_in_thread() -> None:
        raise error

    async with asyncio.timeout(5):
        assert (await crashed(start if is_async else start_in_thread)).code == "HANDLER_ERROR"


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("error", [ValueError("\ud800" * 10), ValueError("x" * 10**6), Unspeakable()])
async def test_whatever_an_error_says_can_be_stored(error: Exception) -> None:
    async def start() -> None:
        raise error

    failure = await crashed(start)
    assert failure.code == "HANDLER_ERROR"
    assert len(msgspec.json.encode(failure)) < 5_000


async def test_something_cancelled_within_a_handler_does_not_cancel_the_handler() -> None:
    async def start() -> None:
        inner = asyncio.ensure_future(asyncio.sleep(60))
        inner.cancel()
        await inner

    assert "CancelledError" in (await crashed(start)).message


async def test_a_plain_function_that_returns_a_coroutine_is_awaited() -> None:
    async def inner(actions: Any) -> None:
        actions.go_to("next")

    def start(actions: Any) -> Any:
        return inner(actions)

    class Handler:
        async def __call__(self, actions: Any) -> None:
            actions.go_to("next")

    assert (await decided(start)).decision == GoTo("next")
    assert (await decided(Handler())).decision == GoTo("next")


async def test_cancellation_passes_through() -> None:
    async def start() -> None:
        await asyncio.Event().wait()

    running = asyncio.ensure_future(crashed(start))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def no_action() -> None: ...


async def two_actions(actions: Any) -> None:
    actions.go_to("a")
    actions.go_to("b")


async def swallowed(actions: Any) -> None:
    with suppress(Exception):
        actions.go_to("")


async def missing(nobody_has_this: Any) -> None: ...


async def object_in_history(state_history: Any, actions: Any) -> None:
    state_history["x"] = object()
    actions.go_to("a")


async def object_in_input(initial_data: Any, actions: Any) -> None:
    initial_data["x"] = {1: object()}
    actions.go_to("a")


async def object_returned(actions: Any) -> Any:
    actions.go_to("a")
    return object()


async def endless_data(state_history: Any, actions: Any) -> None:
    state_history["x"] = state_history
    actions.go_to("a")


async def lone_surrogate(state_history: Any, actions: Any) -> None:
    state_history["x"] = "\ud800"
    actions.go_to("a")


async def number_as_key(state_history: Any, actions: Any) -> None:
    state_history[1] = 1
    actions.go_to("a")


async def surrogate_as_key(initial_data: Any, actions: Any) -> None:
    initial_data["\ud800"] = 1
    actions.go_to("a")


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        (number_as_key, "keys of state_history must be texts, not 1"),
        (surrogate_as_key, "of initial_data must be JSON"),
        (no_action, "asked for no action"),
        (two_actions, "multiple actions"),
        (swallowed, "asked for no action"),
        (missing, "nobody_has_this"),
        (object_in_history, r"state_history\['x'\] must be JSON"),
        (object_in_input, r"initial_data\['x'\] must be JSON"),
        (object_returned, "returns must be JSON"),
        (endless_data, "must be JSON"),
        (lone_surrogate, "must be JSON"),
    ],
)
async def test_a_broken_rule_is_a_crash_that_no_retry_mends(handler: Any, says: str) -> None:
    failure = await crashed(handler)
    assert failure.code == "BLUEPRINT_ERROR"
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(failure.message)


async def test_a_state_that_is_not_there_is_a_broken_rule() -> None:
    failure = await crashed(no_action, job("nowhere"))
    assert (failure.code, failure.message) == ("BLUEPRINT_ERROR", "Blueprint 'b' has no state 'nowhere'.")


# ------------------------------------------------------------------ aggregation


def branch(n: int, report: Report | None) -> Branch:
    task = Task(TaskId(f"j-1-{n}"), Order("s"), Span(1))
    return Branch(task, report)


def gathering(handler: Any, aggregator: Any) -> Blueprint:
    made = Blueprint("b")
    if handler is not None:
        made.handler("gather")(handler)
    made.aggregator("gather")(aggregator)
    return made


async def collect(aggregation_results: Any, actions: Any) -> Any:
    actions.go_to("next")
    return aggregation_results


async def plain(actions: Any) -> None:
    actions.go_to("plain")


async def test_an_aggregator_gets_every_result_by_task() -> None:
    failure = Failure(code="X", message="why", task=TaskId("j-1-1"))
    branches = [
        branch(0, Report("success", worker="w", data=raw({"n": 1}))),
        branch(1, Report("failure", worker="w", failure=failure)),
        branch(2, None),
    ]
    event = await run_handler(gathering(None, collect), job("gather", Ready(gathered=1)), branches, CLIENT)
    assert isinstance(event, Decided)
    results = msgspec.json.decode(event.returned)
    assert list(results) == ["j-1-0", "j-1-1", "j-1-2"]
    assert results["j-1-0"] == {
        "job_id": "j",
        "task_id": "j-1-0",
        "worker_id": "w",
        "status": "success",
        "data": {"n": 1},
        "error": None,
    }
    assert results["j-1-1"]["error"] == {"code": "X", "message": "why"}
    assert results["j-1-2"]["status"] == "unknown"


@pytest.mark.parametrize(
    ("phase", "target"), [(Ready(gathered=1), "next"), (Ready(), "plain")], ids=["after a fan-out", "else"]
)
async def test_a_state_with_both_runs_the_one_that_fits(phase: Ready, target: str) -> None:
    event = await run_handler(gathering(plain, collect), job("gather", phase), (), CLIENT)
    assert isinstance(event, Decided)
    assert event.decision == GoTo(target)


async def test_what_only_a_handler_returns_is_no_result() -> None:
    async def start(actions: Any) -> str:
        actions.go_to("next")
        return "x"

    assert (await decided(start)).returned == NULL
