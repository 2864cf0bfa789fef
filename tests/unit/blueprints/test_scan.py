"""What is read from the source of a handler (rows A12 and A13)."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from avtomatika import ActionFactory
from avtomatika.blueprints.scan import ACTIONS, SAME, Kind, Move, scan


def targets(function: Callable[..., Any]) -> list[tuple[str, str]]:
    found = scan(function)
    assert found.literal
    return [(move.label, move.target) for move in found.moves]


def test_both_spellings_of_a_transition_are_read() -> None:
    async def old(actions: Any) -> None:
        actions.transition_to("a")

    def new(actions: Any) -> None:
        actions.go_to(state="b")

    assert targets(old) == [("", "a")]
    assert targets(new) == [("", "b")]


def test_every_way_through_a_handler_is_read_once() -> None:
    async def handler(actions: Any, n: int) -> None:
        if n > 3:
            return actions.go_to("much")
        for _ in range(n):
            with open("x"):
                actions.go_to("some")
        actions.go_to("much")
        return actions.go_to("odd" if n % 2 else "none" if n else "even")

    assert [target for _, target in targets(handler)] == ["much", "some", "odd", "none", "even"]


def test_transitions_of_tasks_are_read_by_position_and_by_name() -> None:
    def by_position(actions: Any, params: Any) -> None:
        actions.dispatch_task("work", params, {"success": "a", "failure": "b"})

    def by_name(actions: Any) -> None:
        actions.dispatch_task(
            task_type="work", transitions={"success": "a"}, event_transitions={"half": "c"}, max_cost=1.0
        )

    assert targets(by_position) == [("success", "a"), ("failure", "b")]
    assert scan(by_name).moves == (Move("a", "success", Kind.TASK), Move("c", "half", Kind.EVENT))


def test_the_aggregation_and_the_failure_of_a_fan_out_are_read() -> None:
    def by_position(actions: Any, tasks: Any) -> None:
        actions.dispatch_parallel(tasks, "gather", "fail", {"failure": "late"})

    def by_name(actions: Any) -> None:
        actions.dispatch_parallel([], aggregate_into="gather", transitions={"failure": "late"})

    expected = (Move("gather", "aggregate", Kind.AGGREGATION), Move("late", "failure", Kind.BRANCH))
    assert scan(by_position).moves == scan(by_name).moves == expected


def test_children_approvals_and_pauses_are_read() -> None:
    def child(actions: Any) -> None:
        actions.run_blueprint("other", {}, transitions={"success": "a"})

    def approval(actions: Any) -> None:
        actions.await_human_approval("mail", "May I?", {"approved": "b"})

    def sleep(actions: Any) -> None:
        actions.sleep(5, then="c")

    def again(actions: Any) -> None:
        actions.sleep_until(5.0)

    def event(actions: Any) -> None:
        actions.wait_for_event("paid", {"success": "d", "timeout": "e"})

    def short(actions: Any) -> None:
        actions.wait_for_event("paid", "d")

    assert targets(child) == [("success", "a")]
    assert targets(approval) == [("approved", "b")]
    assert targets(sleep) == [("slept", "c")]
    assert targets(again) == [("slept", SAME)]
    assert targets(event) == [("success", "d"), ("timeout", "e")]
    assert targets(short) == [("success", "d")]


def test_actions_of_the_context_are_actions() -> None:
    def handler(context: Any) -> None:
        context.state_history["go_to"] = context.initial_data
        context.actions.go_to("a")

    assert targets(handler) == [("", "a")]


def test_what_ends_or_notes_something_leads_nowhere() -> None:
    def handler(actions: Any) -> None:
        actions.send_event("half", {})
        actions.update_context({"go_to": "x"})
        if actions.decision is None:
            actions.fail("no")
        actions.finish(3)

    assert targets(handler) == []


def test_other_objects_with_such_methods_are_not_actions() -> None:
    def handler(robot: Any, other: Any) -> None:
        robot.go_to("kitchen")
        other.actions.go_to("bed")
        print("actions.go_to('text')")  # actions.go_to("comment")

    def inner(actions: Any) -> None:
        def visit(actions: Any) -> None:
            actions.go_to("elsewhere")

        visit(None)
        actions.go_to("a")

    assert targets(handler) == []
    assert targets(inner) == [("", "a")]


def test_a_closure_over_the_actions_counts() -> None:
    def handler(actions: Any) -> None:
        def leave() -> None:
            actions.go_to("a")

        leave()

    assert targets(handler) == [("", "a")]


def test_targets_that_are_not_written_out_are_told_and_the_others_kept() -> None:
    goal = "x"

    def variable(actions: Any) -> None:
        actions.go_to("a")
        actions.go_to(goal)

    def formatted(actions: Any) -> None:
        actions.go_to(f"{goal}_a")

    def mapping(actions: Any, ways: Any) -> None:
        actions.dispatch_task("work", {}, ways)

    def part(actions: Any, ways: Any) -> None:
        actions.dispatch_task("work", {}, {"success": "a", **ways})

    def value(actions: Any) -> None:
        actions.dispatch_task("work", {}, {"success": "a", "failure": goal})

    def options(actions: Any, ways: Any) -> None:
        actions.dispatch_task("work", **ways)

    def starred(actions: Any, ways: Any) -> None:
        actions.dispatch_task(*ways)

    for handler in (variable, formatted, mapping, part, value, options, starred):
        found = scan(handler)
        assert not found.literal, handler
        assert {move.target for move in found.moves} <= {"a"}
    assert [move.target for move in scan(part).moves] == ["a"]


def test_a_status_that_is_not_written_out_has_a_target_all_the_same() -> None:
    status = "success"

    def handler(actions: Any) -> None:
        actions.dispatch_task("work", {}, {status: "a"})

    assert targets(handler) == [("…", "a")]


def test_actions_that_are_handed_on_may_lead_anywhere() -> None:
    def helper(actions: Any) -> None:
        pass

    def passed(actions: Any) -> None:
        helper(actions)

    def alias(actions: Any) -> None:
        go = actions
        go.go_to("a")

    def method(actions: Any) -> None:
        go = actions.go_to
        go("a")

    def whole(context: Any) -> None:
        helper(context)

    def replaced(actions: Any, context: Any) -> None:
        actions = context.state_history
        actions.go_to("a")

    def unknown(actions: Any) -> None:
        actions.teleport("a")

    for handler in (passed, alias, method, whole, replaced, unknown):
        assert scan(handler).moves == (), handler
        assert not scan(handler).literal, handler


def test_a_wrapper_may_do_more_than_the_function_says() -> None:
    def inner(actions: Any) -> None:
        actions.go_to("a")

    @functools.wraps(inner)
    def wrapped(**given: Any) -> None:
        inner(**given)

    assert [move.target for move in scan(wrapped).moves] == ["a"]
    assert not scan(wrapped).literal


class Called:
    def __call__(self, actions: Any) -> None:
        actions.go_to("a")


def test_a_handler_without_source_is_not_literal() -> None:
    names: dict[str, Any] = {}
    exec("def handler(actions):\n    actions.go_to('a')\n", names)

    def handler(actions: Any) -> None:
        actions.go_to("a")

    sources = (names["handler"], functools.partial(handler), lambda actions: actions.go_to("a"), Called())
    for each in sources:
        assert not scan(each).literal
        assert scan(each).moves == ()


def test_a_handler_without_actions_leads_nowhere_whatever_its_source() -> None:
    assert scan(lambda initial_data: initial_data).literal


@pytest.mark.parametrize("name", [name for name in dir(ActionFactory) if not name.startswith("_")])
def test_the_arguments_with_targets_are_those_of_the_actions(name: str) -> None:
    if name == "decision":
        return
    parameters = list(inspect.signature(getattr(ActionFactory, name)).parameters.values())[1:]
    leading = {"state", "transitions", "event_transitions", "aggregate_into", "then"}
    positions = {
        each.name: None if each.kind is each.KEYWORD_ONLY else position
        for position, each in enumerate(parameters)
        if each.name in leading
    }
    known = {argument.name: argument.position for argument in ACTIONS[name]}
    assert {each: known.get(each, "missing") for each in positions} == positions
