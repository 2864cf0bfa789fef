"""Failures of tasks: which are retried, when, and what becomes of the job (features C2 and C3)."""

import pytest
from msgspec import Raw
from msgspec.structs import replace

from avtomatika.kernel.effects import OfferTask, StartTimer, WithdrawTask
from avtomatika.kernel.events import Deadline, DeadlinePassed, TaskAbandoned
from avtomatika.kernel.model import Done, Failure, Job, Order, Policy, Ready, Report, Verdict, Waiting
from avtomatika.kernel.progress import Moved
from avtomatika.kernel.retry import Remedy, backoff, remedy
from avtomatika.kernel.time import Instant, Span
from tests.unit.kernel.samples import NOW, a_task, failed, moved, reported, waiting

RETRIED = ["TRANSIENT_ERROR", "TIMEOUT_ERROR", "RESOURCE_EXHAUSTED_ERROR", "", "something new"]
QUARANTINED = [
    "PERMANENT_ERROR",
    "SECURITY_ERROR",
    "DEPENDENCY_ERROR",
    "DEPENDENCY_MISSING_ERROR",
    "CONTRACT_VIOLATION_ERROR",
]
FAILED = ["INVALID_INPUT_ERROR", "INTEGRITY_MISMATCH_ERROR"]


def exhausted(transitions: dict[str, str] | None = None) -> Job:
    """A job whose task is at its last attempt."""
    return waiting(transitions, attempt=4)


def verdict(move: Moved) -> Verdict:
    assert isinstance(move.job.phase, Done)
    return move.job.phase.verdict


def offer(move: Moved) -> OfferTask:
    (found,) = (effect for effect in move.effects if isinstance(effect, OfferTask))
    return found


class TestCodes:
    @pytest.mark.parametrize("code", RETRIED)
    def test_a_transient_or_unknown_failure_is_retried_even_when_a_transition_is_given(
        self, code: str
    ) -> None:
        move = moved(waiting(), reported(failed(code)))
        assert isinstance(move.job.phase, Waiting)
        assert move.job.phase.task.attempt == 2
        assert move.job.failure is not None
        assert move.job.failure.code == code

    @pytest.mark.parametrize("code", QUARANTINED)
    def test_a_failure_that_calls_for_a_person_ends_in_quarantine_at_once(self, code: str) -> None:
        move = moved(waiting({}), reported(failed(code)))
        assert verdict(move) is Verdict.QUARANTINED
        assert move.job.failure == Failure(code=code, message="m")

    @pytest.mark.parametrize("code", FAILED)
    def test_a_failure_of_the_input_fails_the_job_at_once(self, code: str) -> None:
        assert verdict(moved(waiting({}), reported(failed(code)))) is Verdict.FAILED

    @pytest.mark.parametrize("code", QUARANTINED + FAILED)
    def test_the_transition_for_failure_is_followed_when_a_retry_is_useless(self, code: str) -> None:
        move = moved(waiting(), reported(failed(code)))
        assert (move.job.state, move.job.phase) == ("failed", Ready())
        assert move.job.failure is not None
        assert move.job.failure.code == code

    @pytest.mark.parametrize("code", RETRIED)
    def test_the_transition_for_failure_is_followed_when_retries_are_over(self, code: str) -> None:
        assert moved(exhausted(), reported(failed(code), attempt=4)).job.state == "failed"

    @pytest.mark.parametrize("code", RETRIED)
    def test_a_job_is_quarantined_when_retries_are_over_and_no_transition_is_given(self, code: str) -> None:
        assert verdict(moved(exhausted({}), reported(failed(code), attempt=4))) is Verdict.QUARANTINED

    def test_every_code_calls_for_something(self) -> None:
        assert {remedy(code) for code in RETRIED} == {Remedy.RETRY}
        assert {remedy(code) for code in QUARANTINED} == {Remedy.QUARANTINE}
        assert {remedy(code) for code in FAILED} == {Remedy.FAIL}

    def test_the_data_of_a_failure_is_not_merged(self) -> None:
        report = replace(failed("PERMANENT_ERROR"), data=Raw(b'{"a":1}'))
        job = moved(waiting(), reported(report)).job
        assert (job.history, job.last) == ({}, Raw(b"null"))


class TestRetries:
    @pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (1, 2), (3, 4)])
    def test_a_task_is_tried_once_and_then_as_often_as_the_policy_grants(
        self, retries: int, attempts: int
    ) -> None:
        job = waiting({}, policy=Policy(task_retries=retries))
        tried = 0
        while isinstance(job.phase, Waiting):
            tried += 1
            job = moved(job, reported(failed("TRANSIENT_ERROR"), attempt=job.phase.task.attempt)).job
        assert tried == attempts

    @pytest.mark.parametrize("retries", [0, 1, 5])
    def test_the_order_overrules_the_policy(self, retries: int) -> None:
        job = waiting({}, order=Order(skill="s", retries=retries), attempt=retries)
        if retries:
            again = moved(job, reported(failed("X"), attempt=retries)).job
            assert isinstance(again.phase, Waiting)
        last = waiting({}, order=Order(skill="s", retries=retries), attempt=retries + 1)
        assert moved(last, reported(failed("X"), attempt=retries + 1)).job.over

    def test_a_retry_is_the_same_task_offered_later(self) -> None:
        move = moved(waiting(accepted=True), reported(failed("TRANSIENT_ERROR")))
        again = offer(move)
        assert isinstance(move.effects[0], WithdrawTask)
        assert again.task == a_task(attempt=2, avoid="w")
        assert isinstance(move.job.phase, Waiting)
        assert again.task == move.job.phase.task
        assert again.at == NOW + backoff(Policy(), 1, again.task.id)

    def test_a_retry_waits_for_a_worker_as_long_as_the_first_attempt_did(self) -> None:
        job = waiting(policy=Policy(dispatch_timeout=Span(50)), dispatch_due=Instant(1))
        move = moved(job, reported(failed("TRANSIENT_ERROR")))
        at = offer(move).at
        timers = [effect for effect in move.effects if isinstance(effect, StartTimer)]
        assert [(timer.deadline, timer.attempt, timer.due) for timer in timers] == [
            (Deadline.DISPATCH, 2, at + 50)
        ]

    def test_a_retry_does_not_move_the_limit_of_the_whole(self) -> None:
        due = Instant(NOW + 10_000_000)
        move = moved(waiting(result_due=due), reported(failed("TRANSIENT_ERROR")))
        timers = [effect for effect in move.effects if isinstance(effect, StartTimer)]
        assert [(timer.deadline, timer.attempt, timer.due) for timer in timers] == [(Deadline.RESULT, 2, due)]

    def test_there_is_no_retry_that_would_begin_after_the_limit_of_the_whole(self) -> None:
        task = a_task()
        at = NOW + backoff(Policy(), 1, task.id)
        in_time = waiting(result_due=Instant(at + 1))
        too_late = waiting(result_due=Instant(at))
        assert isinstance(moved(in_time, reported(failed("TRANSIENT_ERROR"))).job.phase, Waiting)
        assert moved(too_late, reported(failed("TRANSIENT_ERROR"))).job.state == "failed"


class TestBackoff:
    def test_the_pause_grows_up_to_its_bound(self) -> None:
        policy = Policy(backoff_first=Span(1_000), backoff_most=Span(30_000))
        for attempt in range(1, 70):
            pauses = [backoff(policy, attempt, f"n{n}") for n in range(200)]
            ceiling = min(30_000, 1_000 * 2 ** (attempt - 1))
            assert all(0 <= pause < ceiling for pause in pauses)
            assert max(pauses) > ceiling * 0.9
            assert min(pauses) < ceiling * 0.1

    def test_the_jitter_follows_from_the_name_and_the_attempt(self) -> None:
        assert backoff(Policy(), 2, "n") == backoff(Policy(), 2, "n")
        assert (
            len(
                {
                    backoff(Policy(backoff_first=Span(10**9), backoff_most=Span(10**9)), n, "n")
                    for n in range(1, 9)
                }
            )
            == 8
        )
        assert len({backoff(Policy(), 1, f"n{n}") for n in range(50)}) > 40

    def test_deciding_again_gives_the_same_pause(self) -> None:
        event = reported(failed("TRANSIENT_ERROR"))
        assert moved(waiting(), event) == moved(waiting(), event)

    def test_a_policy_without_a_pause_has_none(self) -> None:
        assert backoff(Policy(backoff_first=Span(0)), 3, "n") == 0
        assert backoff(Policy(backoff_most=Span(0)), 3, "n") == 0


class TestDeadlines:
    @pytest.mark.parametrize("deadline", [Deadline.DISPATCH, Deadline.RESULT])
    @pytest.mark.parametrize(
        ("transitions", "state"),
        [({"timeout": "late", "failure": "failed"}, "late"), ({"failure": "failed"}, "failed")],
    )
    def test_a_time_out_follows_its_transition_or_else_that_for_failure(
        self, deadline: Deadline, transitions: dict[str, str], state: str
    ) -> None:
        move = moved(waiting(transitions), DeadlinePassed(a_task().id, 1, deadline))
        assert move.job.state == state
        assert move.job.failure is not None
        assert move.job.failure.code == "TIMEOUT_ERROR"

    @pytest.mark.parametrize("deadline", [Deadline.DISPATCH, Deadline.RESULT])
    def test_a_time_out_without_transition_fails_the_job(self, deadline: Deadline) -> None:
        assert verdict(moved(waiting({}), DeadlinePassed(a_task().id, 1, deadline))) is Verdict.FAILED

    def test_work_that_takes_too_long_is_a_transient_failure(self) -> None:
        event = DeadlinePassed(a_task().id, 1, Deadline.EXECUTION)
        move = moved(waiting({"timeout": "late"}, accepted=True), event)
        assert offer(move).task.attempt == 2
        last = DeadlinePassed(a_task().id, 4, Deadline.EXECUTION)
        assert verdict(moved(waiting({}, attempt=4, accepted=True), last)) is Verdict.QUARANTINED
        assert moved(waiting(attempt=4, accepted=True), last).job.state == "failed"

    def test_each_limit_says_what_ran_out(self) -> None:
        said = [
            moved(waiting({}, attempt=4), DeadlinePassed(a_task().id, 4, deadline)).job.failure
            for deadline in Deadline
        ]
        assert len({failure.message for failure in said if failure}) == 3


class TestStatuses:
    def test_a_custom_status_follows_its_transition(self) -> None:
        assert moved(waiting({"odd": "there"}), reported(Report("odd"))).job.state == "there"

    def test_a_status_that_nobody_listed_fails_the_job_and_is_named(self) -> None:
        move = moved(waiting({"success": "next"}), reported(Report("odd")))
        assert verdict(move) is Verdict.FAILED
        assert move.job.failure is not None
        assert move.job.failure.code == "UNHANDLED_STATUS"
        assert "'odd'" in move.job.failure.message

    def test_a_failure_under_a_custom_status_is_not_retried(self) -> None:
        report = Report("odd", failure=Failure(code="TRANSIENT_ERROR", message="m"))
        assert moved(waiting({"odd": "there"}), reported(report)).job.state == "there"

    def test_a_task_cancelled_by_its_worker_follows_its_transition_or_cancels_the_job(self) -> None:
        assert moved(waiting(), reported(Report("cancelled"))).job.state == "undone"
        assert verdict(moved(waiting({}), reported(Report("cancelled")))) is Verdict.CANCELLED

    def test_a_task_that_kills_its_workers_is_a_permanent_failure(self) -> None:
        move = moved(waiting({}), TaskAbandoned(a_task().id, 1, 6))
        assert verdict(move) is Verdict.QUARANTINED
        assert move.job.failure is not None
        assert move.job.failure.task == a_task().id
        assert "5 times" in move.job.failure.message
        assert moved(waiting(), TaskAbandoned(a_task().id, 1, 6)).job.state == "failed"
