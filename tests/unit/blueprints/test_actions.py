"""Every action becomes one decision, or an error that says which argument is wrong."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from avtomatika.blueprints.actions import MAX_BRANCHES, ActionFactory
from avtomatika.errors import HandlerError
from avtomatika.kernel.decisions import Dispatch, FanOut, GoTo
from avtomatika.kernel.model import OnFailure, Order

Ask = Callable[[ActionFactory], None]


def decided(ask: Ask) -> Any:
    actions = ActionFactory()
    assert actions.decision is None
    ask(actions)
    return actions.decision


def order(**options: Any) -> Order:
    dispatch = decided(lambda actions: actions.dispatch_task("s", **options))
    assert isinstance(dispatch, Dispatch)
    return dispatch.order


@pytest.mark.parametrize("ask", [lambda a: a.go_to("next"), lambda a: a.transition_to("next")])
def test_both_spellings_enter_a_state(ask: Ask) -> None:
    assert decided(ask) == GoTo("next")


def test_a_task_carries_everything_that_was_said_of_it() -> None:
    decision = decided(
        lambda actions: actions.dispatch_task(
            "resize",
            {"a": None, "b": [1.0, "é"]},
            {"success": "done", "needs_review": "review"},
            "2.1",
            "gpu",
            dispatch_strategy="cheapest",
            timeout_seconds=1.5,
            dispatch_timeout_seconds=2,
            result_timeout_seconds=0.25,
            max_cost=0.5,
            priority=7,
            resource_hint={"gpu": 1},
            retry=0,
        )
    )
    assert isinstance(decision, Dispatch)
    assert decision.transitions == {"success": "done", "needs_review": "review"}
    found = decision.order
    assert msgspec.json.decode(found.params) == {"a": None, "b": [1.0, "é"], "resource_hint": {"gpu": 1}}
    assert (found.skill, found.skill_version, found.skill_type) == ("resize", "2.1", "gpu")
    assert (found.strategy, found.max_cost, found.priority, found.retries) == ("cheapest", 0.5, 7.0, 0)
    limits = (found.execution_timeout, found.dispatch_timeout, found.result_timeout)
    assert limits == (1_500, 2_000, 250)


def test_a_task_needs_nothing_but_its_skill() -> None:
    assert order() == Order(skill="s")


def test_the_params_that_were_given_are_not_changed() -> None:
    params = {"a": 1}
    order(params=params, resource_hint="x")
    assert params == {"a": 1}


def test_a_fan_out_knows_both_spellings_of_the_skill() -> None:
    tasks = [{"type": "a", "params": {"n": 1}}, {"task_type": "b", "priority": 2}]
    decision = decided(lambda actions: actions.dispatch_parallel(tasks, aggregate_into="gather"))
    assert isinstance(decision, FanOut)
    assert [o.skill for o in decision.orders] == ["a", "b"]
    assert (decision.then, decision.on_failure) == ("gather", OnFailure.FAIL)


def test_a_fan_out_may_be_empty_and_may_collect_failures() -> None:
    decision = decided(lambda actions: actions.dispatch_parallel([], "gather", on_failure="collect"))
    assert decision == FanOut((), "gather", OnFailure.COLLECT)


def test_a_fan_out_has_a_largest_width() -> None:
    tasks = [{"type": "a"}] * MAX_BRANCHES
    assert len(decided(lambda actions: actions.dispatch_parallel(tasks, "gather")).orders) == MAX_BRANCHES
    with pytest.raises(HandlerError, match="at most"):
        ActionFactory().dispatch_parallel([*tasks, {"type": "a"}], "gather")


WRONG: list[tuple[str, Ask, str]] = [
    ("no state", lambda a: a.go_to(""), "state"),
    ("a state that is none", lambda a: a.go_to(None), "state"),  # type: ignore[arg-type]
    ("a number as state", lambda a: a.transition_to(3), "state"),  # type: ignore[arg-type]
    ("no skill", lambda a: a.dispatch_task(""), "type"),
    ("a skill that is none", lambda a: a.dispatch_task(None), "type"),  # type: ignore[arg-type]
    ("a number as skill", lambda a: a.dispatch_task(5), "type"),  # type: ignore[arg-type]
    ("a skill beyond UTF-8", lambda a: a.dispatch_task("\ud800"), "type"),
    ("a state beyond UTF-8", lambda a: a.go_to("\udfff"), "state"),
    ("params that are no mapping", lambda a: a.dispatch_task("s", [1]), "params"),  # type: ignore[arg-type]
    (
        "params of a branch that are none",
        lambda a: a.dispatch_parallel([{"type": "s", "params": 3}], "g"),
        "params",
    ),
    ("transitions that are no mapping", lambda a: a.dispatch_task("s", {}, "x"), "transitions"),  # type: ignore[arg-type]
    ("a version that is no text", lambda a: a.dispatch_task("s", skill_version=2), "skill_version"),  # type: ignore[arg-type]
    ("a type that is no text", lambda a: a.dispatch_task("s", skill_type=2), "skill_type"),  # type: ignore[arg-type]
    ("a strategy that is no text", lambda a: a.dispatch_task("s", dispatch_strategy=2), "dispatch_strategy"),  # type: ignore[arg-type]
    ("params that are no JSON", lambda a: a.dispatch_task("s", {"a": object()}), "params"),
    ("params with a set of objects", lambda a: a.dispatch_task("s", {"a": {object()}}), "params"),
    ("a status that is no text", lambda a: a.dispatch_task("s", {}, {1: "x"}), "transitions"),  # type: ignore[dict-item]
    ("a target that is no text", lambda a: a.dispatch_task("s", {}, {"x": None}), "transitions"),  # type: ignore[dict-item]
    ("an empty target", lambda a: a.dispatch_task("s", {}, {"x": ""}), "transitions"),
    ("no aggregation", lambda a: a.dispatch_parallel([{"type": "s"}], ""), "aggregate_into"),
    ("a strange on_failure", lambda a: a.dispatch_parallel([], "g", on_failure="ignore"), "on_failure"),
    ("a branch without skill", lambda a: a.dispatch_parallel([{"params": {}}], "g"), "type"),
    ("an unknown option", lambda a: a.dispatch_parallel([{"type": "s", "parms": {}}], "g"), "parms"),
    (
        "a strange branch limit",
        lambda a: a.dispatch_parallel([{"type": "s", "timeout_seconds": 0}], "g"),
        "timeout",
    ),
]


@pytest.mark.parametrize(
    ("ask", "named"), [(ask, named) for _, ask, named in WRONG], ids=[w[0] for w in WRONG]
)
def test_a_wrong_argument_is_named(ask: Ask, named: str) -> None:
    with pytest.raises(HandlerError, match=named):
        decided(ask)


NO_NUMBERS = ["1", [], True, float("nan"), float("inf"), -float("inf"), 10**400]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=str)
@pytest.mark.parametrize(
    "name",
    ["timeout_seconds", "dispatch_timeout_seconds", "result_timeout_seconds", "max_cost", "priority"],
)
def test_what_is_no_finite_number_is_refused(name: str, value: Any) -> None:
    with pytest.raises(HandlerError, match=name):
        order(**{name: value})


@pytest.mark.parametrize("value", [0, -1, 1e10, 1e300], ids=str)
@pytest.mark.parametrize("name", ["timeout_seconds", "dispatch_timeout_seconds", "result_timeout_seconds"])
def test_a_time_limit_is_positive_and_below_some_centuries(name: str, value: float) -> None:
    with pytest.raises(HandlerError, match=name):
        order(**{name: value})


@pytest.mark.parametrize("name", ["timeout_seconds", "dispatch_timeout_seconds", "result_timeout_seconds"])
def test_a_time_limit_below_a_millisecond_is_one(name: str) -> None:
    field = name.removesuffix("_seconds") if name != "timeout_seconds" else "execution_timeout"
    assert getattr(order(**{name: 1e-9}), field) == 1


@pytest.mark.parametrize("value", [-1, 1.0, "1", True, []], ids=str)
def test_retries_are_a_whole_number(value: Any) -> None:
    with pytest.raises(HandlerError, match="retry"):
        order(retry=value)


@pytest.mark.parametrize(
    "second",
    [lambda a: a.go_to("x"), lambda a: a.dispatch_task("s"), lambda a: a.dispatch_parallel([], "g")],
    ids=["go_to", "dispatch_task", "dispatch_parallel"],
)
def test_a_second_action_is_refused_and_the_first_stands(second: Ask) -> None:
    actions = ActionFactory()
    actions.go_to("first")
    with pytest.raises(HandlerError, match="multiple actions"):
        second(actions)
    assert actions.decision == GoTo("first")


def test_an_action_that_was_refused_asked_for_nothing() -> None:
    actions = ActionFactory()
    with pytest.raises(HandlerError):
        actions.go_to("")
    assert actions.decision is None
