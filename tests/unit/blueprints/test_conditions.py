"""Conditions of `.when(...)`: what they mean, and what they refuse (feature A3)."""

from types import SimpleNamespace
from typing import Any

import pytest

from avtomatika.blueprints.actions import ActionFactory
from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.blueprints.client import ClientConfig
from avtomatika.blueprints.conditions import condition_of
from avtomatika.blueprints.context import JobContext
from avtomatika.errors import BlueprintError

DATA: dict[str, Any] = {
    "type": "urgent",
    "n": 5,
    "zip": "01234",
    "flag": True,
    "off": False,
    "nothing": None,
    "area": {"field": [{"k": 3}]},
    "tags": ["x", "y"],
}


def a_context(data: dict[str, Any] = DATA) -> JobContext:
    return JobContext(
        job_id="j",
        current_state="s",
        initial_data=data,
        state_history={"score": 0.9},
        actions=ActionFactory(),
        client=ClientConfig(id="c", plan="gold"),
        data_stores=SimpleNamespace(),
    )


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("context.initial_data.type == 'urgent'", True),
        ('context.initial_data.type == "urgent"', True),
        ("context.initial_data.type == urgent", True),
        ("context.initial_data.type != two words", True),
        ("context.initial_data.n == 5", True),
        ("context.initial_data.n >= 5", True),
        ("context.initial_data.n<5", False),
        ("context.initial_data.n == '5'", True),
        ("context.state_history.score > 0.5", True),
        ("context.initial_data.zip == '01234'", True),
        ("context.initial_data.missing == 1", False),
        ("context.initial_data.missing != 1", False),
        ("context.initial_data.type < 3", False),
    ],
)
def test_the_old_grammar_means_what_it_meant(text: str, holds: bool) -> None:
    assert bool(condition_of(text)(a_context())) is holds


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("context.initial_data.area.field[0].k > 2", True),
        ("context.initial_data['area']['field'][0]['k'] == 3", True),
        ("context.initial_data.flag == True", True),
        ("context.initial_data.flag", True),
        ("not context.initial_data.off", True),
        ("context.initial_data.nothing == None", True),
        ("context.initial_data.missing == None", False),
        ("'x' in context.initial_data.tags", True),
        ("context.initial_data.type in ['urgent', 'high']", True),
        ("context.initial_data.type not in ['low']", True),
        ("context.initial_data.missing not in ['low']", False),
        ("context.initial_data.n > 3 and context.state_history.score < 1", True),
        ("context.initial_data.n > 9 or context.initial_data.flag", True),
        ("1 < context.initial_data.n < 10", True),
        ("context.initial_data.n % 2 == 1", True),
        ("context.initial_data.n - 10 == -5", True),
        ("context.initial_data.n / 0 == 1", False),
        ("context.initial_data.type * 3 == 1", False),
        ("context.current_state == 's'", True),
    ],
)
def test_the_wider_grammar_reads_like_python(text: str, holds: bool) -> None:
    assert bool(condition_of(text)(a_context())) is holds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "initial_data.n == 1",
        "context",
        "__import__('os').system('true')",
        "context.initial_data.get('n') == 5",
        "context.initial_data.n ** 9 == 3",
        "context.initial_data.n << 9 == 3",
        "context.actions.go_to == 1",
        "context.data_stores.cache == 1",
        "[x for x in context.initial_data.tags]",
        "lambda: 1",
        "context.initial_data.n == ",
        "context.initial_data.a.__class__.b > 1",
        " and ".join(["context.initial_data.n == 5"] * 200),
        "context.initial_data.n == " + "9" * 2_000,
    ],
)
def test_what_is_no_condition_fails_at_registration(text: str) -> None:
    with pytest.raises(BlueprintError):
        Blueprint("bp").handler("s").when(text)


def test_a_function_is_a_condition() -> None:
    condition = condition_of(lambda context: context.initial_data["n"] == 5)
    assert condition(a_context())


@pytest.mark.parametrize("order", ["default first", "default last"])
def test_the_first_condition_that_holds_wins_and_the_default_comes_last(order: str) -> None:
    blueprint = Blueprint("bp")

    def default() -> None: ...
    def urgent() -> None: ...
    def also_urgent() -> None: ...

    if order == "default first":
        blueprint.handler_for("s")(default)
    blueprint.handler_for("s").when("context.initial_data.type == 'urgent'")(urgent)
    blueprint.handler("s").when("context.initial_data.n == 5")(also_urgent)
    if order == "default last":
        blueprint.handler_for("s")(default)
    state = blueprint.states["s"]

    def chosen(data: dict[str, Any]) -> object:
        handler = state.handler(a_context(data))
        return None if handler is None else handler.function

    assert chosen({"type": "urgent", "n": 5}) is urgent
    assert chosen({"type": "calm", "n": 5}) is also_urgent
    assert chosen({"type": "calm", "n": 6}) is default


def test_a_condition_can_name_its_state_by_the_function() -> None:
    blueprint = Blueprint("bp")

    @blueprint.handler(is_start=True).when("context.initial_data.n == 1")
    def decision_step() -> None: ...

    @blueprint.handler(is_start=True)
    def decision_step() -> None: ...  # noqa: F811 - the second handler of the same state

    assert blueprint.start_state == "decision_step"
    assert len(blueprint.states["decision_step"].conditional) == 1
