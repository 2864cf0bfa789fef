"""A blueprint is written in two spellings, and contradictions are found when it is written."""

from collections.abc import Callable
from typing import Any

import pytest

from avtomatika.blueprints.blueprint import Blueprint, StateMachineBlueprint
from avtomatika.blueprints.states import verdict_of_name
from avtomatika.errors import BlueprintError
from avtomatika.kernel.model import Verdict


async def nothing() -> None: ...


def new_spelling() -> Blueprint:
    blueprint = Blueprint("b")

    @blueprint.handler(is_start=True)
    async def start(actions: Any) -> None:
        actions.go_to("middle")

    @blueprint.handler
    async def middle(actions: Any) -> None:
        actions.dispatch_parallel([], "gather")

    @blueprint.handler()
    async def other(actions: Any) -> None:
        actions.go_to("end")

    @blueprint.handler("named")
    async def whatever(actions: Any) -> None:
        actions.go_to("end")

    @blueprint.aggregator
    async def gather(actions: Any) -> None:
        actions.go_to("other")

    @blueprint.aggregator("gather_named")
    async def whatever_else(actions: Any) -> None:
        actions.go_to("named")

    @blueprint.handler(is_end=True)
    async def end() -> None: ...

    return blueprint


def old_spelling() -> Blueprint:
    blueprint = StateMachineBlueprint(name="b")
    decorators: dict[str, Callable[..., Any]] = {
        "start": blueprint.handler_for("start", is_start=True),
        "middle": blueprint.handler_for("middle"),
        "other": blueprint.handler_for("other"),
        "named": blueprint.handler_for("named"),
        "end": blueprint.handler_for("end", is_end=True),
        "gather": blueprint.aggregator_for("gather"),
        "gather_named": blueprint.aggregator_for("gather_named"),
    }
    for decorate in decorators.values():
        assert decorate(nothing) is nothing
    return blueprint


@pytest.mark.parametrize("write", [new_spelling, old_spelling])
def test_both_spellings_make_the_same_states(write: Callable[[], Blueprint]) -> None:
    blueprint = write()
    assert set(blueprint.states) == {"start", "middle", "other", "named", "end"}
    assert set(blueprint.aggregators) == {"gather", "gather_named"}
    assert blueprint.start_state == "start"
    assert blueprint.end_states == {"end"}


def test_a_decorated_function_stays_what_it_was() -> None:
    blueprint = Blueprint("b")
    for decorate in (
        blueprint.handler,
        blueprint.handler("a"),
        blueprint.handler_for("c"),
        blueprint.aggregator,
    ):
        assert decorate(nothing) is nothing


def test_a_function_may_handle_several_states() -> None:
    blueprint = Blueprint("b")
    blueprint.handler("a")(blueprint.handler("b")(nothing))
    assert set(blueprint.states) == {"a", "b"}


def test_a_state_may_have_a_handler_and_an_aggregator() -> None:
    blueprint = Blueprint("b")
    blueprint.handler("a")(nothing)
    blueprint.aggregator("a")(nothing)
    assert set(blueprint.states) == set(blueprint.aggregators) == {"a"}


@pytest.mark.parametrize(
    ("contradict", "says"),
    [
        (lambda b: b.handler("a")(nothing), "state 'a' is already registered"),
        (lambda b: b.handler_for("a")(nothing), "state 'a' is already registered"),
        (lambda b: b.aggregator("g")(nothing), "Aggregator for state 'g'"),
        (lambda b: b.aggregator_for("g")(nothing), "Aggregator for state 'g'"),
        (lambda b: b.handler("z", is_start=True)(nothing), "already has a start state: 's'"),
        (lambda b: b.handler("z", is_end=True, outcome="great")(nothing), "outcome of state 'z'"),
        (lambda b: b.handler("z", outcome="failed")(nothing), "is no end state"),
        (lambda b: b.add_data_store("cache", 1), "'cache' already exists"),
    ],
)
def test_a_contradiction_is_refused_by_name(contradict: Callable[[Blueprint], Any], says: str) -> None:
    blueprint = Blueprint("b", data_stores={"cache": object()})
    blueprint.handler("s", is_start=True)(nothing)
    blueprint.handler("a")(nothing)
    blueprint.aggregator("g")(nothing)
    with pytest.raises(BlueprintError, match=says):
        contradict(blueprint)


def test_a_refused_handler_leaves_no_trace() -> None:
    blueprint = Blueprint("b")
    blueprint.handler("s", is_start=True)(nothing)
    with pytest.raises(BlueprintError):
        blueprint.handler("z", is_start=True)(nothing)
    assert "z" not in blueprint.states
    blueprint.handler("z")(nothing)


def test_a_blueprint_needs_a_name_and_a_start() -> None:
    with pytest.raises(BlueprintError, match="name"):
        Blueprint("")
    with pytest.raises(BlueprintError, match="exactly one start state"):
        Blueprint("b").validate()


@pytest.mark.parametrize(
    ("state", "outcome", "verdict"),
    [
        ("end", None, Verdict.FINISHED),
        ("finished", None, Verdict.FINISHED),
        ("failed", None, Verdict.FAILED),
        ("error", None, Verdict.FAILED),
        ("quarantined", None, Verdict.QUARANTINED),
        ("failed", "finished", Verdict.FINISHED),
        ("end", "failed", Verdict.FAILED),
        ("end", "quarantined", Verdict.QUARANTINED),
        ("end", "cancelled", Verdict.CANCELLED),
    ],
)
def test_an_end_state_ends_as_it_is_named_or_as_it_says(
    state: str, outcome: str | None, verdict: Verdict
) -> None:
    given = {} if outcome is None else {"outcome": outcome}
    new, old = Blueprint("b"), Blueprint("b")
    new.handler(state, is_end=True, **given)(nothing)
    old.handler_for(state, is_end=True, **given)(nothing)
    assert new.states[state].ends == old.states[state].ends == verdict


@pytest.mark.parametrize(
    ("name", "verdict"),
    [("finished", "finished"), ("failed", "failed"), ("error", "failed"), ("quarantined", "quarantined")],
)
def test_some_names_end_a_job_without_a_handler(name: str, verdict: str) -> None:
    assert verdict_of_name(name) == verdict
    assert verdict_of_name("done") is None


@pytest.mark.parametrize(
    ("given", "endpoint"), [("/a/b", "/a/b"), ("a/b", "/a/b"), ("//a", "/a"), (None, None)]
)
def test_an_endpoint_begins_with_one_slash(given: str | None, endpoint: str | None) -> None:
    assert Blueprint("b", api_endpoint=given).api_endpoint == endpoint


def test_a_version_is_the_edition_and_none_is_one_too() -> None:
    assert Blueprint("b", version="7").edition == "7"
    assert Blueprint("b").edition == Blueprint("c").edition


def test_data_stores_can_be_added() -> None:
    blueprint = Blueprint("b", data_stores={"cache": 1})
    blueprint.add_data_store("other", 2)
    assert (blueprint.data_stores.cache, blueprint.data_stores.other) == (1, 2)
