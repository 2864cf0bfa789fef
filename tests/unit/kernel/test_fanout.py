"""Fan-outs: several tasks at once, each a record of its own, and one aggregation."""

import pytest
from msgspec import Raw
from msgspec.structs import replace

from avtomatika.kernel.decisions import FanOut, GoTo
from avtomatika.kernel.effects import (
    CloseBranches,
    OfferTask,
    RunHandler,
    StartTimer,
    StopTimer,
    WithdrawTask,
)
from avtomatika.kernel.events import CancelRequested, Deadline, DeadlinePassed, Event, TaskAccepted
from avtomatika.kernel.ids import TaskId, is_of, opened_by, task_id
from avtomatika.kernel.machine import fold, replay, transition
from avtomatika.kernel.model import Branch, Done, Gathering, OnFailure, Order, Policy, Ready, Report, Verdict
from avtomatika.kernel.progress import Ignored, Moved
from avtomatika.kernel.time import Span
from tests.unit.kernel.samples import (
    NOW,
    OK,
    OPENED,
    ORDER,
    VERSION,
    J,
    a_job,
    a_task,
    decided,
    failed,
    gathering,
    moved,
    reported,
)

TRANSIENT = failed("TRANSIENT_ERROR")
PERMANENT = failed("PERMANENT_ERROR")


class World:
    """A job with its branch records, moved by one event after the other."""

    def __init__(
        self, *orders: Order, on_failure: OnFailure = OnFailure.FAIL, policy: Policy | None = None
    ) -> None:
        self.job = a_job(policy=policy)
        self.branches: dict[TaskId, Branch] = {}
        self.last: Moved | None = None
        self.happen(decided(FanOut(orders, "all", on_failure, {"failure": "failed", "cancelled": "undone"})))

    def happen(self, event: Event) -> Moved | Ignored:
        task = getattr(event, "task", None)
        outcome = transition(self.job, event, NOW, None if task is None else self.branches.get(task))
        if isinstance(outcome, Moved):
            self.job, self.last = outcome.job, outcome
            self.branches.update({branch.task.id: branch for branch in outcome.branches})
        return outcome

    def report(self, index: int, report: Report, attempt: int = 1) -> Moved | Ignored:
        return self.happen(reported(report, self.name(index), attempt))

    def name(self, index: int) -> TaskId:
        return task_id(J, VERSION + 1, index)


def test_every_order_is_offered_as_a_branch_with_its_own_limits() -> None:
    orders = (ORDER, Order(skill="t", dispatch_timeout=Span(5), result_timeout=Span(9)))
    world = World(*orders)
    assert world.job.phase == Gathering(
        VERSION + 1, 2, 2, "all", transitions={"failure": "failed", "cancelled": "undone"}
    )
    assert [branch.task.order for branch in world.branches.values()] == list(orders)
    assert world.last is not None
    offers = [effect for effect in world.last.effects if isinstance(effect, OfferTask)]
    assert [offer.task.id for offer in offers] == [world.name(0), world.name(1)]
    timers = [effect for effect in world.last.effects if isinstance(effect, StartTimer)]
    assert [(timer.task, timer.deadline, timer.due - NOW) for timer in timers] == [
        (world.name(1), Deadline.DISPATCH, 5),
        (world.name(1), Deadline.RESULT, 9),
    ]


def test_a_fan_out_without_orders_is_aggregated_at_once() -> None:
    move = moved(a_job(), decided(FanOut((), "all")))
    assert (move.job.state, move.job.phase) == ("all", Ready(gathered=VERSION + 1))
    assert isinstance(move.effects[-1], RunHandler)
    closed = moved(move.job, decided(GoTo("next"), VERSION + 1)).effects
    assert CloseBranches(J, VERSION + 1) in closed


def test_a_fan_out_of_one_is_aggregated_after_one_report() -> None:
    world = World(ORDER)
    assert isinstance(world.report(0, OK), Moved)
    assert (world.job.state, world.job.phase) == ("all", Ready(gathered=VERSION + 1))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_last_report_starts_the_aggregation_whatever_the_order(order: tuple[int, ...]) -> None:
    world = World(ORDER, ORDER, ORDER)
    for left, index in zip((2, 1), order[:2], strict=True):
        world.report(index, OK)
        assert isinstance(world.job.phase, Gathering)
        assert world.job.phase.left == left
    world.report(order[2], OK)
    assert world.job.phase == Ready(gathered=VERSION + 1)
    assert all(branch.report == OK for branch in world.branches.values())


def test_a_branch_counts_once() -> None:
    world = World(ORDER, ORDER)
    world.report(0, OK)
    assert world.report(0, OK) == Ignored("stale_task")
    assert world.report(0, PERMANENT) == Ignored("stale_task")
    assert world.happen(TaskAccepted(world.name(0), 1, "w")) == Ignored("stale_task")
    assert isinstance(world.job.phase, Gathering)
    assert world.job.phase.left == 1


def test_the_data_of_branches_is_for_the_aggregation_alone() -> None:
    world = World(ORDER, ORDER)
    world.report(0, Report("success", data=Raw(b'{"a":1}')))
    world.report(1, Report("odd", data=Raw(b'{"a":2}')))
    assert (world.job.history, world.job.last) == ({}, Raw(b"null"))
    assert [b.report.data for b in world.branches.values() if b.report] == [Raw(b'{"a":1}'), Raw(b'{"a":2}')]


def test_a_branch_is_retried_like_a_single_task() -> None:
    world = World(ORDER, ORDER, policy=Policy(task_retries=1, dispatch_timeout=Span(7)))
    assert isinstance(world.report(0, TRANSIENT), Moved)
    assert world.last is not None
    (offer,) = (effect for effect in world.last.effects if isinstance(effect, OfferTask))
    (timer,) = (effect for effect in world.last.effects if isinstance(effect, StartTimer))
    assert (offer.task.attempt, timer.attempt, timer.due) == (2, 2, offer.at + 7)
    assert world.branches[world.name(0)] == Branch(offer.task)
    assert world.report(0, OK) == Ignored("stale_task")
    assert isinstance(world.report(0, OK, attempt=2), Moved)
    world.report(1, TRANSIENT)
    world.report(1, TRANSIENT, attempt=2)
    assert (world.job.state, world.job.phase) == ("failed", Ready())


def test_the_final_failure_of_a_branch_takes_back_all_others() -> None:
    world = World(ORDER, ORDER, ORDER)
    world.report(1, PERMANENT)
    assert (world.job.state, world.job.phase) == ("failed", Ready())
    assert world.last is not None
    assert world.last.effects[:4] == (
        *(WithdrawTask(J, world.name(n)) for n in range(3)),
        CloseBranches(J, VERSION + 1),
    )
    assert world.job.failure == PERMANENT.failure
    assert world.report(0, OK) == Ignored("stale_task")


@pytest.mark.parametrize(
    ("report", "verdict"),
    [
        (PERMANENT, Verdict.QUARANTINED),
        (failed("INVALID_INPUT_ERROR"), Verdict.FAILED),
        (Report("cancelled"), Verdict.CANCELLED),
    ],
)
def test_a_failed_branch_without_transition_ends_the_job_by_its_code(
    report: Report, verdict: Verdict
) -> None:
    move = moved(gathering(), reported(report), Branch(a_task()))
    assert move.job.phase == Done(verdict)
    names = [effect.task for effect in move.effects if isinstance(effect, WithdrawTask)]
    assert names == [task_id(J, OPENED, n) for n in range(3)]
    assert move.effects.count(CloseBranches(J, OPENED)) == 1


@pytest.mark.parametrize("report", [PERMANENT, Report("cancelled"), Report("odd")])
def test_a_collecting_fan_out_takes_failures_as_answers(report: Report) -> None:
    world = World(ORDER, ORDER, on_failure=OnFailure.COLLECT)
    world.report(0, report)
    world.report(1, OK)
    assert (world.job.state, world.job.phase) == ("all", Ready(gathered=VERSION + 1))
    assert [branch.report for branch in world.branches.values()] == [report, OK]


@pytest.mark.parametrize("on_failure", OnFailure)
def test_a_cancelled_branch_follows_the_policy_of_the_fan_out(on_failure: OnFailure) -> None:
    world = World(ORDER, ORDER, on_failure=on_failure)
    world.report(0, Report("cancelled"))
    assert isinstance(world.job.phase, Gathering) is (on_failure is OnFailure.COLLECT)
    if on_failure is OnFailure.FAIL:
        assert world.job.state == "undone"


def test_a_branch_that_a_worker_took_cannot_miss_its_dispatch() -> None:
    world = World(ORDER, ORDER)
    assert isinstance(world.happen(TaskAccepted(world.name(0), 1, "w")), Moved)
    assert world.last is not None
    assert world.last.effects == (StopTimer(J, world.name(0), Deadline.DISPATCH),)
    assert world.happen(TaskAccepted(world.name(0), 1, "w")) == Ignored("already_accepted")
    assert world.happen(DeadlinePassed(world.name(0), 1, Deadline.DISPATCH)) == Ignored("already_accepted")
    assert isinstance(world.happen(DeadlinePassed(world.name(1), 1, Deadline.DISPATCH)), Moved)
    assert world.job.state == "failed"


def test_cancelling_takes_back_every_branch() -> None:
    world = World(ORDER, ORDER)
    world.report(0, OK)
    world.happen(CancelRequested())
    assert world.job.phase == Done(Verdict.CANCELLED)
    assert world.last is not None
    assert world.last.effects == (
        WithdrawTask(J, world.name(0)),
        WithdrawTask(J, world.name(1)),
        CloseBranches(J, VERSION + 1),
    )


def test_a_loop_is_found_when_the_last_branch_reports() -> None:
    job = replace(gathering(OnFailure.COLLECT, left=1), steps=100)
    move = moved(job, reported(OK), Branch(a_task()))
    assert move.job.phase == Done(Verdict.FAILED)
    assert len(move.effects) == len(set(map(str, move.effects))) == 4


@pytest.mark.parametrize("task", [a_task(opened=OPENED - 1), replace(a_task(), id=TaskId("other-5-0"))])
def test_a_branch_of_another_fan_out_is_not_counted_in_this_one(task: object) -> None:
    branch = Branch(task)  # type: ignore[arg-type]
    assert transition(gathering(), reported(OK, branch.task.id), NOW, branch) == Ignored("stale_task")


def test_a_late_report_folded_behind_the_next_fan_out_is_not_counted_in_it() -> None:
    world = World(ORDER, ORDER)
    late = reported(OK, world.name(1))
    version = world.job.version + 1
    events: list[Event] = [
        reported(PERMANENT, world.name(0)),
        decided(FanOut((ORDER, ORDER), "all"), version),
        late,
    ]
    job, outcomes, _, _ = fold(world.job, events, NOW, world.branches)
    assert [type(outcome) for outcome in outcomes] == [Moved, Moved, Ignored]
    assert isinstance(job.phase, Gathering)
    assert (job.phase.left, job.version) == (2, version + 1)


def test_folding_is_the_same_as_one_after_the_other() -> None:
    one_by_one, at_once = World(ORDER, ORDER, ORDER), World(ORDER, ORDER, ORDER)
    events: list[Event] = [
        TaskAccepted(one_by_one.name(0), 1, "w"),
        reported(TRANSIENT, one_by_one.name(0)),
        reported(OK, one_by_one.name(0), 2),
        reported(OK, one_by_one.name(0), 2),
        reported(OK, one_by_one.name(1)),
        reported(OK, one_by_one.name(2)),
    ]
    effects: list[object] = []
    for event in events:
        outcome = one_by_one.happen(event)
        effects += outcome.effects if isinstance(outcome, Moved) else ()
    job, outcomes, folded, changed = fold(at_once.job, events, NOW, at_once.branches)
    assert job == one_by_one.job
    assert list(folded) == effects
    assert changed == one_by_one.branches
    assert [isinstance(outcome, Moved) for outcome in outcomes] == [True, True, True, False, True, True]


def test_the_names_of_tasks_tell_where_they_come_from() -> None:
    name = task_id(J, 12, 3)
    assert opened_by(name) == (J, 12, 3)
    assert is_of(name, J, 12)
    assert not is_of(name, J, 1)
    for text in ("", "j", "j-1", "j-x-1", "j-1-x"):
        with pytest.raises(ValueError, match=r"unpack|invalid literal"):
            opened_by(TaskId(text))


def test_a_life_is_replayed_from_its_facts_alone() -> None:
    with pytest.raises(ValueError, match="submission"):
        replay([(CancelRequested(), NOW)])
    with pytest.raises(ValueError, match="one fact"):
        replay([])
