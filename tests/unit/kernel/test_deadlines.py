"""Nobody waits for a task longer than for its job."""

import pytest
from msgspec.structs import replace

from avtomatika.kernel.decisions import Dispatch, FanOut, RunChild
from avtomatika.kernel.effects import StartChild, StartTimer
from avtomatika.kernel.events import Deadline, Decided
from avtomatika.kernel.model import Branch, Job, Order, Policy, Waiting
from avtomatika.kernel.time import Instant, Span, earlier
from tests.unit.kernel.samples import NOW, VERSION, a_job, decided, failed, moved, reported

SOON, LATE = Instant(NOW + 1_000), Instant(NOW + 9_000)


def limited(due: Instant | None, result_timeout: Span | None = None) -> Job:
    """A job whose end nobody waits for after the moment."""
    return replace(a_job(policy=Policy(result_timeout=result_timeout)), due=due)


def result_due(job: Job, order: Order | None = None) -> Instant | None:
    """When a task that the job gives out must have its result."""
    phase = moved(job, decided(Dispatch(order or Order(skill="s"), {}))).job.phase
    assert isinstance(phase, Waiting)
    return phase.task.result_due


def child_of(job: Job, timeout: Span | None = None) -> Job:
    effects = moved(job, decided(RunChild("other", {}, {}, timeout=timeout))).effects
    (started,) = (e for e in effects if isinstance(e, StartChild))
    return started.child


@pytest.mark.parametrize(
    ("due", "timeout", "expected"),
    [
        (None, None, None),
        (SOON, None, SOON),
        (None, Span(500), NOW + 500),
        (SOON, Span(500), NOW + 500),
        (SOON, Span(5_000), SOON),
    ],
)
def test_a_task_is_due_when_its_job_is_or_earlier(
    due: Instant | None, timeout: Span | None, expected: int | None
) -> None:
    assert result_due(limited(due), Order(skill="s", result_timeout=timeout)) == expected
    assert result_due(limited(due, timeout)) == expected


def test_the_limit_of_the_job_has_a_timer_with_each_task() -> None:
    orders = (Order(skill="s"), Order(skill="s", result_timeout=Span(10)))
    effects = moved(limited(SOON), decided(FanOut(orders, "all"))).effects
    timers = [(e.deadline, e.due) for e in effects if isinstance(e, StartTimer)]
    assert timers == [(Deadline.RESULT, SOON), (Deadline.RESULT, NOW + 10)]


def test_a_retry_does_not_prolong_the_limit() -> None:
    job = moved(limited(LATE), decided(Dispatch(Order(skill="s"), {"failure": "f"}))).job
    assert isinstance(job.phase, Waiting)
    again = moved(job, reported(failed("TRANSIENT_ERROR"), job.phase.task.id)).job
    assert isinstance(again.phase, Waiting)
    assert (again.phase.task.attempt, again.phase.task.result_due) == (2, LATE)


def test_a_branch_is_limited_as_a_task_is() -> None:
    move = moved(limited(SOON), decided(FanOut((Order(skill="s"),), "all")))
    assert [b.task.result_due for b in move.branches if isinstance(b, Branch)] == [SOON]


def test_a_child_is_limited_by_the_patience_of_all_above_it() -> None:
    assert child_of(limited(None)).due is None
    assert child_of(limited(None), Span(500)).due == NOW + 500
    assert child_of(limited(SOON)).due == SOON
    assert child_of(limited(SOON), Span(500)).due == NOW + 500
    assert child_of(limited(SOON), Span(5_000)).due == SOON


def test_the_limit_of_a_parent_bounds_the_tasks_of_its_grandchildren() -> None:
    child = replace(child_of(a_job(), Span(1_000)), version=VERSION)
    grandchild = replace(child_of(child), version=VERSION)
    move = moved(grandchild, Decided(VERSION, Dispatch(Order(skill="s", result_timeout=Span(60_000)), {})))
    assert isinstance(move.job.phase, Waiting)
    assert move.job.phase.task.result_due == SOON


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [(None, None, None), (SOON, None, SOON), (None, SOON, SOON), (SOON, LATE, SOON), (LATE, SOON, SOON)],
)
def test_never_is_later_than_any_moment(
    one: Instant | None, other: Instant | None, expected: Instant | None
) -> None:
    assert earlier(one, other) == expected
