"""Handlers: what their decisions do, what their crashes lead to, and which result a job ends with."""

import pytest
from msgspec import Raw
from msgspec.structs import replace

from avtomatika.kernel.decisions import Dispatch, FanOut, Finish, GoTo
from avtomatika.kernel.effects import CloseBranches, OfferTask, RunHandler, StartTimer, StopRun
from avtomatika.kernel.events import (
    CancelRequested,
    Deadline,
    Decided,
    HandlerCrashed,
    RunAbandoned,
    Submitted,
)
from avtomatika.kernel.machine import transition
from avtomatika.kernel.model import NULL, Done, Failure, Job, Order, Policy, Ready, Report, Verdict, Waiting
from avtomatika.kernel.progress import Ignored
from avtomatika.kernel.retry import backoff
from avtomatika.kernel.time import Instant, Span
from tests.unit.kernel.samples import (
    NOW,
    OPENED,
    ORDER,
    TRANSITIONS,
    VERSION,
    J,
    a_job,
    a_task,
    decided,
    moved,
    reported,
    waiting,
)

CRASH = HandlerCrashed(VERSION, Failure(code="HANDLER_ERROR", message="m"))


class TestSubmission:
    def test_a_submitted_job_runs_its_start_state(self) -> None:
        new = a_job(version=0)
        move = moved(new, Submitted(new))
        assert (move.job.version, move.job.state, move.job.phase) == (1, "here", Ready())
        assert move.effects == (RunHandler(J, 1, "b", "1", NOW),)
        assert move.job.updated == NOW

    def test_a_job_is_submitted_once(self) -> None:
        new = a_job(version=0)
        first = moved(new, Submitted(new)).job
        assert transition(first, Submitted(new), NOW) == Ignored("already_submitted")


class TestDecisions:
    def test_going_to_a_state_runs_its_handler_as_of_the_new_version(self) -> None:
        move = moved(a_job(), decided(GoTo("next")))
        assert move.job.state == "next"
        assert move.effects == (StopRun(J, VERSION), RunHandler(J, VERSION + 1, "b", "1", NOW))

    def test_a_dispatched_task_is_named_by_the_version_that_it_makes(self) -> None:
        move = moved(a_job(), decided(Dispatch(ORDER, TRANSITIONS)))
        task = a_task(opened=VERSION + 1)
        assert move.job.phase == Waiting(task, TRANSITIONS)
        assert move.effects == (StopRun(J, VERSION), OfferTask(J, task, NOW))

    def test_the_limits_of_an_order_go_before_those_of_the_policy(self) -> None:
        policy = Policy(execution_timeout=Span(1), dispatch_timeout=Span(2), result_timeout=Span(3))
        order = Order(
            skill="s", execution_timeout=Span(10), dispatch_timeout=Span(20), result_timeout=Span(30)
        )
        for given, limits in ((Order(skill="s"), (1, 2, 3)), (order, (10, 20, 30))):
            move = moved(a_job(policy=policy), decided(Dispatch(given, {})))
            assert isinstance(move.job.phase, Waiting)
            task = move.job.phase.task
            assert (task.execution_timeout, task.dispatch_due, task.result_due) == (
                limits[0],
                NOW + limits[1],
                NOW + limits[2],
            )
            timers = [effect for effect in move.effects if isinstance(effect, StartTimer)]
            assert [(timer.deadline, timer.due - NOW) for timer in timers] == [
                (Deadline.DISPATCH, limits[1]),
                (Deadline.RESULT, limits[2]),
            ]

    def test_what_the_handler_changed_is_kept_and_what_it_did_not_touch_stays_the_same_object(self) -> None:
        job = replace(a_job(), input={"i": Raw(b"1")}, history={"h": Raw(b"2")}, last=Raw(b"3"))
        untouched = moved(job, decided(GoTo("next"))).job
        assert untouched.input is job.input
        assert untouched.history is job.history
        assert untouched.last is job.last
        event = Decided(VERSION, GoTo("next"), {"i": Raw(b"4")}, {"h": Raw(b"5")}, Raw(b"6"))
        changed = moved(job, event).job
        assert (changed.input, changed.history, changed.last) == (
            {"i": Raw(b"4")},
            {"h": Raw(b"5")},
            Raw(b"6"),
        )

    @pytest.mark.parametrize("decision", [GoTo("n"), Dispatch(ORDER, {}), FanOut((ORDER,), "n"), Finish()])
    def test_an_aggregated_fan_out_is_forgotten_with_the_decision(self, decision: GoTo) -> None:
        effects = moved(a_job(Ready(gathered=OPENED)), decided(decision)).effects
        assert effects.count(CloseBranches(J, OPENED)) == 1
        assert effects.count(StopRun(J, VERSION)) == 1


class TestResults:
    """Feature A14: the finish's own result, else `result` of the history, else the last data."""

    @pytest.mark.parametrize(
        ("own", "history", "last", "result"),
        [
            (b"1", {"result": Raw(b"2")}, b"3", b"1"),
            (b"null", {"result": Raw(b"2")}, b"3", b"2"),
            (b"null", {"other": Raw(b"2")}, b"3", b"3"),
            (b"null", {}, b"null", b"null"),
            (b"false", {"result": Raw(b"2")}, b"3", b"false"),
            (b"null", {"result": Raw(b"null")}, b"3", b"null"),
        ],
    )
    def test_the_first_result_there_is_counts(
        self, own: bytes, history: dict[str, Raw], last: bytes, result: bytes
    ) -> None:
        job = replace(a_job(), history=history, last=Raw(last))
        move = moved(job, decided(Finish(Verdict.FINISHED, Raw(own))))
        assert move.job.phase == Done(Verdict.FINISHED, Raw(result))

    def test_what_the_ending_handler_returned_and_wrote_counts(self) -> None:
        returned = Decided(VERSION, Finish(), None, None, Raw(b"1"))
        assert moved(a_job(), returned).job.phase == Done(Verdict.FINISHED, Raw(b"1"))
        written = Decided(VERSION, Finish(), None, {"result": Raw(b"2")}, Raw(b"1"))
        assert moved(a_job(), written).job.phase == Done(Verdict.FINISHED, Raw(b"2"))

    @pytest.mark.parametrize("verdict", Verdict)
    def test_a_handler_may_end_the_job_in_any_way(self, verdict: Verdict) -> None:
        job = moved(a_job(), decided(Finish(verdict))).job
        assert job.phase == Done(verdict)
        assert job.status == verdict.value


class TestMerging:
    @pytest.mark.parametrize("status", ["success", "odd"])
    def test_the_members_of_the_data_are_laid_over_the_history(self, status: str) -> None:
        job = replace(waiting({status: "next"}), history={"a": Raw(b"1"), "b": Raw(b"2")})
        data = Raw(b' {"b": 1.0, "c": null}')
        after = moved(job, reported(Report(status, data=data))).job
        assert {k: bytes(v) for k, v in after.history.items()} == {"a": b"1", "b": b"1.0", "c": b"null"}
        assert bytes(after.last) == bytes(data)

    @pytest.mark.parametrize("data", [b"null", b"1.0", b"[1]", b'"{"', b"{}", b" ", b""])
    def test_data_without_members_leaves_the_history_alone(self, data: bytes) -> None:
        job = replace(waiting(), history={"a": Raw(b"1")})
        after = moved(job, reported(Report("success", data=Raw(data)))).job
        assert after.history is job.history
        assert after.last == Raw(data)

    @pytest.mark.parametrize("data", [b'{"\xff":1}', b'{"\\ud800":1}', b"{", b'{"a":}', b'{"a":1'])
    def test_data_that_cannot_be_read_is_kept_but_not_merged(self, data: bytes) -> None:
        after = moved(waiting(), reported(Report("success", data=Raw(data)))).job
        assert (after.state, after.history, after.last) == ("next", {}, Raw(data))

    def test_nothing_is_merged_before_the_task_has_ended(self) -> None:
        failure = Failure(code="TRANSIENT_ERROR", message="m")
        after = moved(waiting(), reported(Report("failure", data=Raw(b'{"a":1}'), failure=failure))).job
        assert (after.history, after.last) == ({}, NULL)


class TestCrashes:
    def test_a_handler_that_crashes_is_run_again_after_a_pause(self) -> None:
        move = moved(a_job(), CRASH)
        at = Instant(NOW + backoff(Policy(), 1, f"{J}/{VERSION}"))
        assert move.job.phase == Ready(attempt=2)
        assert move.effects == (StopRun(J, VERSION), RunHandler(J, VERSION + 1, "b", "1", at))
        assert move.job.failure == CRASH.failure

    def test_a_crash_is_no_step(self) -> None:
        assert moved(a_job(), CRASH).job.steps == a_job().steps

    @pytest.mark.parametrize("retries", [0, 1, 3])
    def test_a_handler_that_crashes_too_often_ends_in_quarantine(self, retries: int) -> None:
        job, runs = a_job(policy=Policy(handler_retries=retries)), 0
        while not job.over:
            runs += 1
            job = moved(job, replace(CRASH, version=job.version)).job
        assert runs == retries + 1
        assert job.phase == Done(Verdict.QUARANTINED)
        assert job.failure == CRASH.failure

    def test_an_error_of_the_blueprint_is_not_tried_again(self) -> None:
        failure = Failure(code="BLUEPRINT_ERROR", message="m")
        assert moved(a_job(), HandlerCrashed(VERSION, failure)).job.phase == Done(Verdict.QUARANTINED)

    def test_a_decision_begins_the_count_of_crashes_anew(self) -> None:
        job = moved(a_job(Ready(attempt=3)), decided(GoTo("next"))).job
        assert job.phase == Ready(attempt=1)

    def test_an_aggregation_that_crashes_aggregates_the_same_again(self) -> None:
        assert moved(a_job(Ready(gathered=OPENED)), CRASH).job.phase == Ready(attempt=2, gathered=OPENED)

    def test_a_handler_that_kills_its_process_ends_in_quarantine(self) -> None:
        assert transition(a_job(), RunAbandoned(VERSION, 5), NOW) == Ignored("deliveries_left")
        job = moved(a_job(), RunAbandoned(VERSION, 6)).job
        assert job.phase == Done(Verdict.QUARANTINED)
        assert job.failure is not None
        assert job.failure.code == "HANDLER_ABANDONED"
        assert "begun 5 times" in job.failure.message


class TestLoops:
    def walk(self, job: Job) -> Job:
        """The job after going from state to state for as long as it may."""
        while not job.over:
            job = moved(job, decided(GoTo("again"), job.version)).job
        return job

    @pytest.mark.parametrize("steps", [1, 2, 10])
    def test_a_job_that_takes_too_many_steps_fails(self, steps: int) -> None:
        new = replace(a_job(version=0, policy=Policy(max_steps=steps)), steps=0)
        job = self.walk(moved(new, Submitted(new)).job)
        assert job.phase == Done(Verdict.FAILED)
        assert job.steps == steps
        assert job.failure is not None
        assert (job.failure.code, str(steps) in job.failure.message) == ("LOOP_DETECTED", True)

    def test_a_loop_is_found_on_the_way_back_from_a_task(self) -> None:
        job = replace(waiting(), steps=100)
        move = moved(job, reported(Report("success")))
        assert move.job.phase == Done(Verdict.FAILED)
        assert [type(effect).__name__ for effect in move.effects] == ["WithdrawTask"]


class TestCancellation:
    def test_a_cancelled_job_says_why(self) -> None:
        job = moved(a_job(), CancelRequested("enough")).job
        assert job.phase == Done(Verdict.CANCELLED)
        assert job.failure == Failure(code="CANCELLED", message="enough")
