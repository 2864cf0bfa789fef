"""What is found wrong before any job runs (row A12)."""

import logging
from typing import Any

import pytest

from avtomatika import Blueprint
from avtomatika.blueprints.validation import Severity
from avtomatika.errors import BlueprintError

ERROR, WARNING = Severity.ERROR, Severity.WARNING


def begun(name: str = "bp") -> Blueprint:
    """A blueprint whose start leads to `done`."""
    blueprint = Blueprint(name)

    @blueprint.handler(is_start=True)
    def start(actions: Any) -> None:
        actions.go_to("done")

    @blueprint.handler(is_end=True)
    def done() -> None: ...

    return blueprint


def found(blueprint: Blueprint) -> list[tuple[Severity, str]]:
    return [(finding.severity, finding.state) for finding in blueprint.check()]


def test_nothing_is_wrong_with_a_blueprint_in_order() -> None:
    blueprint = begun()
    assert blueprint.check() == ()
    blueprint.validate()


def test_a_blueprint_needs_a_start() -> None:
    blueprint = Blueprint("bp")
    blueprint.handler("a")(lambda: None)
    assert found(blueprint) == [(ERROR, "")]
    with pytest.raises(BlueprintError, match="'bp' must have exactly one start state"):
        blueprint.validate()


def test_a_second_start_is_refused_at_once() -> None:
    with pytest.raises(BlueprintError, match="already has a start state: 'start'"):
        begun().handler("other", is_start=True)(lambda: None)


def test_a_target_that_is_not_there_is_an_error() -> None:
    blueprint = begun()

    @blueprint.handler("done").when("context.initial_data.n > 3")
    def much(actions: Any) -> None:
        actions.dispatch_task("work", {}, {"success": "gone", "failure": "gone"})

    assert found(blueprint) == [(ERROR, "done")]
    with pytest.raises(BlueprintError, match=r"dangling transition: state 'done' leads to .* 'gone'"):
        blueprint.validate()


def test_names_that_end_a_job_need_no_handler() -> None:
    blueprint = Blueprint("bp")

    @blueprint.handler(is_start=True)
    def start(actions: Any) -> None:
        actions.dispatch_task("work", {}, {"success": "finished", "failure": "failed"})
        actions.dispatch_task("work", {}, {"success": "error", "failure": "quarantined"})

    assert blueprint.check() == ()


def fan(into: str) -> Blueprint:
    blueprint = Blueprint("bp")
    if into == "finished":

        @blueprint.handler(is_start=True)
        def start(actions: Any) -> None:
            actions.dispatch_parallel([], aggregate_into="finished")

    else:

        @blueprint.handler("start", is_start=True)
        def begin(actions: Any) -> None:
            actions.dispatch_parallel([], aggregate_into="gather")

    return blueprint


@pytest.mark.parametrize("into", ["gather", "finished"])
def test_a_fan_out_needs_a_state_that_gathers(into: str) -> None:
    blueprint = fan(into)
    assert found(blueprint) == [(ERROR, "start")]
    assert "no aggregator and no handler" in blueprint.check()[0].message


def test_an_aggregator_or_a_handler_gathers() -> None:
    with_aggregator, with_handler = fan("gather"), fan("gather")
    with_aggregator.aggregator("gather")(fan)
    with_handler.handler("gather", is_end=True)(fan)
    assert with_aggregator.check() == with_handler.check() == ()


def test_a_state_that_nothing_leads_to_is_an_error() -> None:
    blueprint = begun()

    @blueprint.handler
    def lonely(actions: Any) -> None:
        actions.go_to("lonely")

    assert found(blueprint) == [(ERROR, "lonely")]
    with pytest.raises(BlueprintError, match="nothing leads to state 'lonely'"):
        blueprint.validate()


def test_it_is_a_warning_when_a_target_is_not_written_out(caplog: pytest.LogCaptureFixture) -> None:
    blueprint = begun("loose")

    @blueprint.handler
    def lonely(actions: Any, where: str) -> None:
        actions.go_to(where)

    assert found(blueprint) == [(WARNING, "lonely")]
    with caplog.at_level(logging.WARNING, "avtomatika"):
        blueprint.validate()
        blueprint.validate()
    (record,) = caplog.records
    assert "nothing leads to state 'lonely'" in record.getMessage()


def test_a_handler_for_the_end_of_a_job_may_wait_for_its_day() -> None:
    blueprint = begun()

    @blueprint.handler("failed", is_end=True)
    def tidy() -> None: ...

    assert found(blueprint) == [(WARNING, "failed")]
    blueprint.validate()


def test_an_end_state_may_lead_elsewhere() -> None:
    blueprint = begun()

    @blueprint.handler("done").when("context.initial_data.again == 1")
    def again(actions: Any) -> None:
        actions.go_to("start")

    assert blueprint.check() == ()


def test_events_lead_to_states() -> None:
    blueprint = begun()

    @blueprint.handler("done").when("context.initial_data.n == 1")
    def waits(actions: Any) -> None:
        actions.dispatch_task("work", {}, {"success": "done"}, event_transitions={"half": "halfway"})

    @blueprint.handler(is_end=True)
    def halfway() -> None: ...

    assert blueprint.check() == ()
