"""What workers tell about the tasks that they hold (features A9 and E6)."""

from msgspec import Raw
from msgspec.structs import replace

from avtomatika.kernel.decisions import Dispatch
from avtomatika.kernel.effects import WithdrawTask
from avtomatika.kernel.events import Deadline
from avtomatika.kernel.machine import fold, transition
from avtomatika.kernel.model import NULL, Branch, Job, Policy, Ready, Task, Waiting
from avtomatika.kernel.progress import Ignored
from tests.unit.kernel.samples import (
    EVENT_TRANSITIONS,
    NOW,
    ORDER,
    TRANSITIONS,
    VERSION,
    J,
    a_job,
    a_task,
    decided,
    failed,
    gathering,
    moved,
    reported,
    signalled,
    waiting,
)


def task_of(job: Job) -> Task:
    assert isinstance(job.phase, Waiting)
    return job.phase.task


def test_the_last_progress_of_a_task_is_kept_as_it_was_told() -> None:
    job = moved(moved(waiting(), signalled()).job, signalled(payload=b'{ "progress": 1.0 }')).job
    assert (task_of(job).progress, task_of(job).events) == (Raw(b'{ "progress": 1.0 }'), 2)
    assert (job.version, job.history) == (VERSION + 2, {})


def test_another_event_is_recorded_and_leaves_the_progress() -> None:
    job = moved(moved(waiting(), signalled()).job, signalled("odd", b'{"n":1}')).job
    assert (task_of(job).progress, task_of(job).events) == (Raw(b'{"progress":0.5}'), 2)


def test_an_event_with_a_transition_ends_the_task_and_its_members_are_laid_over_the_history() -> None:
    job = replace(waiting(), history={"at": Raw(b"1"), "kept": Raw(b"2")})
    move = moved(job, signalled("found", b'{"at":3.0}'))
    assert (move.job.state, move.job.phase) == ("search over", Ready())
    assert move.job.history == {"at": Raw(b"3.0"), "kept": Raw(b"2")}
    assert WithdrawTask(J, a_task().id, (Deadline.EXECUTION,)) in move.effects


def test_progress_may_have_a_transition_too() -> None:
    job = a_job(Waiting(a_task(), {}, {"progress": "begun"}))
    assert moved(job, signalled()).job.state == "begun"


def test_a_dispatch_takes_its_event_transitions_with_it() -> None:
    job = moved(a_job(), decided(Dispatch(ORDER, TRANSITIONS, EVENT_TRANSITIONS))).job
    assert isinstance(job.phase, Waiting)
    assert job.phase.event_transitions == EVENT_TRANSITIONS


def test_a_task_has_so_many_events_and_no_more_but_its_transitions_still_count() -> None:
    job = waiting(policy=Policy(max_task_events=2), events=2)
    assert transition(job, signalled(), NOW) == Ignored("too_many_events")
    assert moved(job, signalled("found")).job.state == "search over"


def test_a_retry_begins_without_progress_and_counts_on() -> None:
    job = moved(waiting(), signalled()).job
    task = task_of(moved(job, reported(failed("TRANSIENT_ERROR"))).job)
    assert (task.attempt, task.progress, task.events) == (2, NULL, 1)


def test_the_event_of_a_branch_is_recorded_with_the_branch() -> None:
    move = moved(gathering(), signalled("found"), Branch(a_task()))
    assert move.job.phase == gathering().phase
    assert move.branches == (Branch(a_task(events=1)),)
    outcome = transition(gathering(), signalled(), NOW, Branch(a_task(events=1_000)))
    assert outcome == Ignored("too_many_events")


def test_a_result_that_is_folded_with_an_event_that_moved_the_job_is_stale() -> None:
    job, outcomes, _, _ = fold(waiting(), [signalled("found"), reported(failed("X"))], NOW, {})
    assert job.state == "search over"
    assert outcomes[1] == Ignored("stale_task")
