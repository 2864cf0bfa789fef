"""A job runs a job of another blueprint and goes on when that has ended, however it ended (feature A7)."""

import pytest
from msgspec import Raw, json
from msgspec.structs import replace

from avtomatika.kernel.decisions import Finish, RunChild
from avtomatika.kernel.effects import CancelChild, StartAlarm, StartChild, StopAlarm, TellParent
from avtomatika.kernel.events import AlarmRang, CancelRequested, Decided, Submitted
from avtomatika.kernel.ids import JobId, child_id, opened_by, task_id
from avtomatika.kernel.machine import fold, transition
from avtomatika.kernel.model import (
    AwaitingChild,
    Done,
    Failure,
    Job,
    Parent,
    Policy,
    Ready,
    Status,
    Verdict,
)
from avtomatika.kernel.progress import Ignored
from avtomatika.kernel.time import Instant, Span
from rxon.identifiers import is_valid_identifier
from tests.unit.kernel.samples import (
    CHILD,
    NOW,
    OPENED,
    PARENT,
    VERSION,
    J,
    a_job,
    awaiting_child,
    child_ended,
    decided,
    moved,
)

ALL_WAYS = {"success": "s", "failure": "f", "cancelled": "c", "timeout": "t"}
LATE = Failure(code="TIMEOUT_ERROR", message="too late")
INVALID = Failure(code="INVALID_INPUT_ERROR", message="no number")


def started(job: Job, decision: RunChild | None = None) -> Job:
    """The child that the job starts."""
    chosen = decision or RunChild("other", {"n": Raw(b"1.0")}, {}, "2", "start")
    (effect,) = (e for e in moved(job, decided(chosen)).effects if isinstance(e, StartChild))
    return effect.child


def test_the_child_begins_where_its_blueprint_does_with_the_data_that_it_was_given() -> None:
    child = started(a_job())
    assert (child.blueprint, child.edition, child.state) == ("other", "2", "start")
    assert (child.version, child.phase, child.input) == (0, Ready(), {"n": Raw(b"1.0")})
    assert child.parent == Parent(J, VERSION + 1, 1)
    assert moved(child, Submitted(child)).job.state == "start"


def test_the_child_belongs_to_the_client_of_its_parent_and_inherits_how_it_is_treated() -> None:
    policy = Policy(max_steps=5, dispatch_timeout=Span(1), result_timeout=Span(2))
    job = replace(
        a_job(policy=policy),
        client="c",
        labels={"team": "a"},
        tracing={"traceparent": "t"},
        priority=4.0,
        webhook_url="https://client.example/hook",
    )
    child = started(job, RunChild("other", {}, {}, result_timeout=Span(9)))
    assert (child.client, child.labels, child.tracing, child.priority) == (
        "c",
        job.labels,
        job.tracing,
        4.0,
    )
    assert child.policy == replace(policy, result_timeout=Span(9))
    assert child.webhook_url is None  # the client asked for news of its job, not of the parts of it
    assert child.source == "parent:j"


def test_deciding_again_names_the_same_child_and_another_decision_names_another() -> None:
    assert started(a_job()).id == started(a_job()).id == JobId("j_8")
    later = moved(a_job(version=9), Decided(9, RunChild("other", {}, {})))
    assert isinstance(later.job.phase, AwaitingChild)
    assert later.job.phase.child == JobId("j_10")


def test_the_parent_waits_with_an_alarm_only_when_it_has_a_limit() -> None:
    patient = moved(a_job(), decided(RunChild("other", {}, {})))
    assert patient.job.status is Status.WAITING_FOR_SUB_JOB
    assert not [e for e in patient.effects if isinstance(e, StartAlarm)]
    hasty = moved(a_job(), decided(RunChild("other", {}, {}, timeout=Span(5))))
    assert StartAlarm(J, VERSION + 1, Instant(NOW + 5)) in hasty.effects


@pytest.mark.parametrize(
    ("verdict", "failure", "state", "outcome"),
    [
        (Verdict.FINISHED, None, "s", "success"),
        (Verdict.FINISHED, LATE, "s", "success"),  # what went wrong on the way does not count
        (Verdict.FAILED, INVALID, "f", "failure"),
        (Verdict.FAILED, None, "f", "failure"),
        (Verdict.FAILED, LATE, "t", "timeout"),
        (Verdict.QUARANTINED, LATE, "f", "failure"),
        (Verdict.QUARANTINED, None, "f", "failure"),
        (Verdict.CANCELLED, None, "c", "cancelled"),
    ],
)
def test_every_end_of_the_child_resumes_the_parent(
    verdict: Verdict, failure: Failure | None, state: str, outcome: str
) -> None:
    job = moved(awaiting_child(ALL_WAYS), child_ended(verdict, failure, Raw(b'{"n":1.0}'))).job
    assert (job.state, job.phase) == (state, Ready())
    kept = json.decode(job.history[f"sub_job_{CHILD}_result"])
    assert (kept["outcome"], kept["final_state"], kept["result"]) == (outcome, "its end", {"n": 1.0})
    assert (kept["error_message"] is None) == (failure is None or outcome == "success")


@pytest.mark.parametrize(
    ("verdict", "failure", "code"),
    [
        (Verdict.FAILED, INVALID, "INVALID_INPUT_ERROR"),
        (Verdict.FAILED, LATE, "TIMEOUT_ERROR"),
        (Verdict.QUARANTINED, None, "CHILD_FAILED"),
        (Verdict.CANCELLED, Failure(code="CANCELLED", message="m"), "CANCELLED"),
    ],
)
def test_an_end_that_no_transition_names_is_the_end_of_the_parent(
    verdict: Verdict, failure: Failure | None, code: str
) -> None:
    job = moved(awaiting_child({"success": "s"}), child_ended(verdict, failure)).job
    assert job.phase == Done(verdict)
    assert job.failure is not None
    assert job.failure.code == code


def test_a_success_that_no_transition_names_fails_the_parent_in_clear_words() -> None:
    job = moved(awaiting_child({"failure": "f"}), child_ended(Verdict.FINISHED)).job
    assert job.phase == Done(Verdict.FAILED)
    assert job.failure is not None
    assert job.failure.code == "UNHANDLED_STATUS"


def test_a_time_out_of_the_child_follows_timeout_else_failure() -> None:
    assert moved(awaiting_child({"failure": "f"}), child_ended(Verdict.FAILED, LATE)).job.state == "f"


def test_the_result_of_the_child_is_the_result_of_a_parent_that_has_none() -> None:
    resumed = moved(awaiting_child(ALL_WAYS), child_ended(Verdict.FINISHED, result=Raw(b'{"n":1.0}'))).job
    ended = moved(resumed, Decided(resumed.version, Finish())).job
    assert ended.phase == Done(Verdict.FINISHED, Raw(b'{"n":1.0}'))


def test_a_child_resumes_its_parent_once() -> None:
    event = child_ended(Verdict.FINISHED)
    job, outcomes, _, _ = fold(awaiting_child(ALL_WAYS), [event, event], NOW, {})
    assert (job.version, outcomes[1]) == (VERSION + 1, Ignored("stale_child"))


def test_an_end_that_comes_after_the_time_is_stale() -> None:
    late = moved(awaiting_child(ALL_WAYS), AlarmRang(OPENED)).job
    assert late.state == "t"
    assert transition(late, child_ended(Verdict.CANCELLED), NOW) == Ignored("stale_child")


def test_a_child_that_takes_too_long_is_cancelled() -> None:
    effects = moved(awaiting_child(ALL_WAYS), AlarmRang(OPENED)).effects
    cancelled = [e for e in effects if isinstance(e, CancelChild)]
    assert [(e.job, e.child, e.at) for e in cancelled] == [(J, CHILD, NOW)]
    assert StopAlarm(J, OPENED) in effects


def test_the_child_of_a_job_that_is_cancelled_is_cancelled() -> None:
    move = moved(awaiting_child(), CancelRequested())
    assert [e.child for e in move.effects if isinstance(e, CancelChild)] == [CHILD]


def test_a_child_that_is_started_and_cancelled_in_one_commit_is_both() -> None:
    run = decided(RunChild("other", {}, {}))
    _, _, effects, _ = fold(a_job(), [run, CancelRequested()], NOW, {})
    kinds = [type(e) for e in effects if isinstance(e, StartChild | CancelChild)]
    assert kinds == [StartChild, CancelChild]


@pytest.mark.parametrize("verdict", Verdict)
def test_however_a_child_ends_its_parent_is_told(verdict: Verdict) -> None:
    job = replace(a_job(), parent=PARENT)
    move = moved(job, decided(Finish(verdict, Raw(b"[1]"), INVALID)))
    (told,) = (e for e in move.effects if isinstance(e, TellParent))
    assert told == TellParent(J, PARENT.job, PARENT.since, verdict, "here", Raw(b"[1]"), INVALID, NOW)


def test_a_child_that_is_cancelled_before_it_began_tells_its_parent_too() -> None:
    effects = moved(replace(a_job(), parent=PARENT), CancelRequested("why")).effects
    assert [e.verdict for e in effects if isinstance(e, TellParent)] == [Verdict.CANCELLED]


def test_a_job_without_parent_tells_nobody() -> None:
    assert not [e for e in moved(a_job(), decided(Finish())).effects if isinstance(e, TellParent)]


def test_nesting_ends_at_the_limit() -> None:
    at_limit = replace(a_job(policy=Policy(max_depth=2)), parent=Parent(JobId("p"), 1, 1))
    assert started(at_limit).parent == Parent(J, VERSION + 1, 2)
    below = replace(at_limit, parent=Parent(JobId("p"), 1, 2))
    move = moved(below, decided(RunChild("other", {}, ALL_WAYS)))
    assert move.job.phase == Done(Verdict.QUARANTINED)
    assert move.job.failure is not None
    assert move.job.failure.code == "DEPTH_EXCEEDED"
    assert not [e for e in move.effects if isinstance(e, StartChild)]


def test_a_parent_that_took_too_many_steps_ends_when_its_child_does() -> None:
    job = replace(awaiting_child(ALL_WAYS), steps=100)
    move = moved(job, child_ended(Verdict.FINISHED))
    assert move.job.phase == Done(Verdict.FAILED)
    assert StopAlarm(J, OPENED) in move.effects


def test_names_of_nested_children_and_of_their_tasks_stay_valid_on_the_wire() -> None:
    name, seen = JobId(f"tick-{'s' * 64}-1800000000000"), set[JobId]()
    for depth in range(1, 11):
        name = child_id(name, 1_000_000 + depth)
        handle = f"{task_id(name, 1_000_000, 9_999)}-1000-1000"
        assert is_valid_identifier(handle), handle
        assert opened_by(task_id(name, 7, 3)) == (name, 7, 3)
        seen.add(name)
    assert len(seen) == 10
    assert child_id(name, 1) != child_id(name, 2)
