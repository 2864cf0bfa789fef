"""Which columns a fact gives in the history outside."""

import json
from typing import Any, get_args

import msgspec
import pytest

from avtomatika.commands.draft import Draft
from avtomatika.commands.recorded import event_type, rows
from avtomatika.kernel.decisions import Dispatch, FanOut, GoTo
from avtomatika.kernel.events import (
    CancelRequested,
    Deadline,
    DeadlinePassed,
    Decided,
    Event,
    Submitted,
    TaskAbandoned,
    TaskAccepted,
    TaskReported,
    TaskSignalled,
)
from avtomatika.kernel.ids import TaskId
from avtomatika.kernel.model import Order, Report, Status, Waiting
from avtomatika.kernel.time import Instant
from avtomatika.ports.fact import Fact, Record, Standing
from avtomatika.ports.history import Row
from tests.unit.blueprints.jobs import data, job

T = TaskId("j-2-0")
AFTER = Standing("s", Status.RUNNING)


def recorded(*events: Event, **fields: Any) -> list[Row]:
    """The rows of a life that these events make, one after the other."""
    start = job(version=0, client="c1", blueprint="films", **fields)
    draft = Draft(start, Instant(7), exported=True)
    draft.add([Submitted(start), *events])
    (body,) = (message.body for message in draft.commit().send if isinstance(message.body, Record))
    return list(rows(body))


def row_of(event: Event) -> Row:
    (row,) = rows(Record((Fact(job().id, 5, Instant(9), event),), (AFTER,), "c", "b"))
    return row


def test_each_fact_is_a_row_with_where_it_left_the_job() -> None:
    found = recorded(Decided(1, GoTo("next")), Decided(2, Dispatch(Order("s"), {})), CancelRequested())
    assert [(row.version, row.state, row.status, row.event_type) for row in found] == [
        (1, "start", "pending", "submitted"),
        (2, "next", "running", "decided"),
        (3, "next", "waiting_for_worker", "decided"),
        (4, "next", "cancelled", "cancel_requested"),
    ]
    assert {(row.job, row.at, row.client, row.blueprint) for row in found} == {("j", 7, "c1", "films")}


def test_what_changes_nothing_is_no_row() -> None:
    assert len(recorded(Decided(9, GoTo("next")))) == 1


def test_the_data_are_the_event() -> None:
    found = recorded(Decided(1, GoTo("next")), input=data(film="nosferatu", length=1.0))
    event = json.loads(found[0].data)
    assert event["type"] == "Submitted"
    assert event["job"]["input"] == {"film": "nosferatu", "length": 1.0}
    kinds = msgspec.json.Decoder(Event)
    assert kinds.decode(found[1].data) == Decided(1, GoTo("next"))


@pytest.mark.parametrize(
    ("event", "worker", "attempt"),
    [
        (TaskAccepted(T, 1, "w1"), "w1", 1),
        (TaskReported(T, 2, 1, Report("success", "w2")), "w2", 2),
        (TaskReported(T, 1, 1, Report("success")), None, 1),
        (TaskSignalled(T, 1, 1, "w3", "progress"), "w3", 1),
        (TaskAbandoned(T, 3, 5), None, 3),
        (DeadlinePassed(T, 4, Deadline.RESULT), None, 4),
    ],
)
def test_what_is_about_a_task_names_it_and_its_worker(event: Event, worker: str | None, attempt: int) -> None:
    row = row_of(event)
    assert (row.task, row.worker, row.attempt) == (T, worker, attempt)


def test_the_decision_that_orders_a_task_names_it() -> None:
    start = job(version=0)
    draft = Draft(start, Instant(7), exported=True)
    draft.add([Submitted(start), Decided(1, Dispatch(Order("s"), {}))])
    (body,) = (message.body for message in draft.commit().send if isinstance(message.body, Record))
    row = list(rows(body))[1]
    assert isinstance(draft.job.phase, Waiting)
    assert (row.task, row.attempt, row.worker) == (draft.job.phase.task.id, 1, None)


@pytest.mark.parametrize(
    "decision", [GoTo("x"), FanOut((Order("s"), Order("s")), "then")], ids=["go to", "fan out"]
)
def test_a_decision_that_orders_no_single_task_names_none(decision: Any) -> None:
    assert recorded(Decided(1, decision))[1].task is None


def test_an_order_that_was_not_given_out_names_no_task() -> None:
    assert row_of(Decided(4, Dispatch(Order("s"), {}))).task is None  # the job does not wait for a worker


def test_every_kind_of_event_has_a_name_of_its_own() -> None:
    kinds = get_args(Event)
    names = {event_type(kind) for kind in kinds}
    assert len(names) == len(kinds)
    assert {"submitted", "task_reported", "run_abandoned", "deadline_passed", "child_ended"} <= names
    assert all(name.replace("_", "").isalpha() and name.islower() for name in names)
