"""A session decides what is due, whatever the orchestrator answers; time is a number here."""

from typing import Any

import pytest

from avtomatika_worker.conversation.session import Session
from avtomatika_worker.conversation.steps import Beat, Pace, Poll, Register, Report, Wait
from avtomatika_worker.running.capacity import Openings
from rxon.errors import (
    AuthError,
    ProtocolError,
    RateLimitError,
    RxonError,
    TransportError,
    UnavailableError,
    WorkerUnknownError,
)
from rxon.messages import HeartbeatAnswer, ResultAnswer, TaskOffer, TaskResult
from rxon.transport import PollRequest
from rxon.vocabulary import AnswerStatus

ROOM = Openings(10)
ACCEPTED = ResultAnswer(status=AnswerStatus.ACCEPTED)
REFUSED = ResultAnswer(status=AnswerStatus.REFUSED, code="stale_lease")


def session(**pace: Any) -> Session:
    """Without chance: every delay has its full length."""
    return Session(Pace(**pace), lambda: 0.0)


def registered(**pace: Any) -> Session:
    fresh = session(**pace)
    fresh.register_answered(0.0)
    return fresh


def offer(task_id: str = "t1", lease: str | None = "lease", seconds: float | None = 30.0) -> TaskOffer:
    return TaskOffer(job_id="j", task_id=task_id, type="x", lease_token=lease, lease_seconds=seconds)


def result(task_id: str = "t1", lease: str | None = "lease") -> TaskResult:
    return TaskResult(job_id="j", task_id=task_id, lease_token=lease)


def due(subject: Session, now: float, room: Openings = ROOM) -> Register | Poll | Wait:
    return subject.next_call(room, (), now)


def finished(subject: Session, *task_ids: str, now: float = 0.0) -> Report:
    subject.poll_answered([offer(task_id) for task_id in task_ids], now)
    for task_id in task_ids:
        assert subject.finished(result(task_id))
    report = subject.next_report(now)
    assert isinstance(report, Report)
    return report


class TestCalls:
    def test_registration_comes_before_polls(self) -> None:
        fresh = session()
        assert due(fresh, 0.0) == Register()
        fresh.register_answered(0.0)
        assert due(fresh, 0.0) == Poll(PollRequest(30.0, None, (), 10))

    def test_a_poll_asks_for_what_there_is_room_for(self) -> None:
        room = Openings(2, frozenset({"a"}))
        assert registered().next_call(room, ("a",), 0.0) == Poll(
            PollRequest(30.0, frozenset({"a"}), ("a",), 2)
        )

    def test_a_full_worker_waits_for_a_slot(self) -> None:
        assert due(registered(), 5.0, Openings(0)) == Wait()

    def test_closed_skills_are_looked_at_again_soon(self) -> None:
        assert due(registered(), 5.0, Openings(0, frozenset())) == Wait(6.0)

    def test_an_empty_answer_is_followed_by_a_short_pause(self) -> None:
        subject = registered(idle_poll_delay=0.5)
        assert subject.poll_answered([], 1.0) == []
        assert due(subject, 1.0) == Wait(1.5)
        assert isinstance(due(subject, 1.5), Poll)

    def test_an_orchestrator_that_is_away_is_asked_soon_and_then_every_few_seconds(self) -> None:
        subject = session()
        now, gaps = 0.0, []
        for _ in range(9):
            subject.register_failed(TransportError("refused"), now)
            wait = due(subject, now)
            assert isinstance(wait, Wait)
            assert wait.until is not None
            gaps.append(round(wait.until - now, 3))
            now = wait.until
            assert due(subject, now) == Register()
        assert gaps == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]

    def test_a_registration_that_is_refused_is_repeated_with_growing_delays(self) -> None:
        subject = session(registration_initial=1.0, registration_maximum=4.0)
        gaps = []
        for _ in range(4):
            subject.register_failed(AuthError("no"), 0.0)
            gaps.append(due(subject, 0.0))
        assert gaps == [Wait(1.0), Wait(2.0), Wait(4.0), Wait(4.0)]

    @pytest.mark.parametrize("kind", [RateLimitError, UnavailableError])
    def test_the_wish_of_the_server_is_the_least_delay(self, kind: Any) -> None:
        subject = registered(poll_initial=1.0)
        subject.poll_failed(kind("later", retry_after=20.0), 0.0)
        assert due(subject, 19.9) == Wait(20.0)
        assert isinstance(due(subject, 20.0), Poll)

    def test_chance_shortens_delays_by_half_at_most_and_never_below_the_wish(self) -> None:
        subject = Session(Pace(poll_initial=1.0), lambda: 1.0)
        subject.register_answered(0.0)
        subject.poll_failed(ProtocolError("odd"), 0.0)
        assert due(subject, 0.0) == Wait(0.5)
        subject.poll_failed(RateLimitError("later", retry_after=20.0), 0.0)
        wait = due(subject, 0.0)
        assert isinstance(wait, Wait)
        assert wait.until is not None
        assert 20.0 <= wait.until <= 22.1

    @pytest.mark.parametrize("error", [WorkerUnknownError(), AuthError("expired")])
    def test_an_unknown_worker_registers_again_at_once(self, error: RxonError) -> None:
        subject = registered()
        subject.poll_failed(error, 7.0)
        assert due(subject, 7.0) == Register()

    def test_registering_again_in_vain_slows_down(self) -> None:
        subject = session(registration_initial=1.0)
        gaps: list[float] = []
        now = 0.0
        for _ in range(4):
            assert due(subject, now) == Register()
            subject.register_answered(now)
            subject.poll_failed(WorkerUnknownError(), now)
            wait = due(subject, now)
            until = wait.until if isinstance(wait, Wait) and wait.until is not None else now
            gaps.append(until - now)
            now = until
        assert gaps == [0.0, 1.0, 2.0, 4.0]

    def test_an_answered_poll_ends_the_slowing_down(self) -> None:
        subject = session()
        for _ in range(3):
            subject.register_answered(0.0)
            subject.poll_failed(WorkerUnknownError(), 0.0)
        subject.register_answered(9.0)
        subject.poll_answered([], 9.0)
        subject.poll_failed(WorkerUnknownError(), 9.0)
        assert due(subject, 9.0) == Register()

    def test_a_task_that_is_held_is_not_run_twice(self) -> None:
        subject = registered()
        assert subject.poll_answered([offer()], 0.0) == [offer()]
        assert subject.poll_answered([offer(lease="newer")], 0.0) == []
        subject.finished(result())
        assert subject.next_report(0.0) == Report((result(lease="newer"),))

    def test_a_draining_session_asks_for_nothing(self) -> None:
        subject = registered()
        subject.drain()
        assert due(subject, 0.0) == Wait()


class TestHeartbeats:
    def test_they_come_at_the_interval(self) -> None:
        subject = registered(heartbeat_interval=15.0)
        assert subject.next_beat(14.9) == Wait(15.0)
        assert subject.next_beat(15.0) == Beat((), full=False)

    def test_they_come_three_times_per_lease_while_tasks_are_held(self) -> None:
        subject = registered(heartbeat_interval=15.0)
        subject.poll_answered([offer(seconds=6.0)], 1.0)
        assert subject.next_beat(1.0) == Wait(3.0)
        beat = subject.next_beat(3.0)
        assert beat == Beat(("t1",), full=False)
        subject.beat_answered(Beat(("t1",), full=False), HeartbeatAnswer("ok"), 3.0)
        assert subject.next_beat(3.0) == Wait(5.0)

    def test_a_lease_without_duration_changes_nothing(self) -> None:
        subject = registered(heartbeat_interval=15.0)
        subject.poll_answered([offer(seconds=None)], 1.0)
        assert subject.next_beat(1.0) == Wait(15.0)

    def test_an_unsettled_result_is_still_held(self) -> None:
        subject = registered()
        finished(subject, "t1")
        assert subject.next_beat(99.0) == Beat(("t1",), full=False)

    def test_a_full_synchronisation_follows_at_once_but_only_once(self) -> None:
        subject = registered(heartbeat_interval=15.0)
        wanted = HeartbeatAnswer("ok", require_full_sync=True)
        subject.beat_answered(Beat((), full=False), wanted, 15.0)
        assert subject.next_beat(15.0) == Beat((), full=True)
        subject.beat_answered(Beat((), full=True), wanted, 15.0)
        assert subject.next_beat(15.0) == Wait(30.0)

    def test_cancelled_tasks_are_let_go(self) -> None:
        subject = registered()
        subject.poll_answered([offer("t1"), offer("t2")], 0.0)
        answer = HeartbeatAnswer("ok", cancel_task_ids=("t1", "foreign"))
        assert subject.beat_answered(Beat(("t1", "t2"), full=False), answer, 1.0) == ["t1"]
        assert subject.held == ("t2",)
        assert not subject.finished(result("t1"))

    def test_the_waiting_result_of_a_cancelled_task_is_not_sent(self) -> None:
        subject = registered()
        finished(subject, "t1")
        subject.report_failed(TransportError("gone"), 0.0)
        subject.beat_answered(Beat((), full=False), HeartbeatAnswer("ok", cancel_task_ids=("t1",)), 1.0)
        assert subject.next_report(99.0) == Wait()

    def test_a_result_on_its_way_is_not_called_back(self) -> None:
        subject = registered()
        finished(subject, "t1")
        subject.beat_answered(Beat((), full=False), HeartbeatAnswer("ok", cancel_task_ids=("t1",)), 1.0)
        assert subject.report_answered([REFUSED], 1.0) == [("t1", REFUSED)]

    def test_an_unregistered_worker_has_no_pulse(self) -> None:
        assert session().next_beat(99.0) == Wait()


class TestReports:
    def test_results_that_piled_up_go_together(self) -> None:
        subject = registered()
        assert finished(subject, "t1", "t2", "t3").results == (result("t1"), result("t2"), result("t3"))

    def test_settled_results_are_let_go(self) -> None:
        subject = registered()
        finished(subject, "t1", "t2")
        answers = [ACCEPTED, REFUSED]
        assert subject.report_answered(answers, 0.0) == [("t1", ACCEPTED), ("t2", REFUSED)]
        assert (subject.held, subject.next_report(0.0)) == ((), Wait())

    def test_results_without_an_answer_are_sent_again(self) -> None:
        subject = registered()
        finished(subject, "t1", "t2")
        subject.report_answered([ACCEPTED], 0.0)
        assert subject.next_report(0.0) == Report((result("t2"),))

    def test_results_outlive_any_number_of_lost_connections(self) -> None:
        subject = registered()
        finished(subject, "t1")
        now = 0.0
        for _ in range(100):
            assert subject.report_failed(TransportError("refused"), now) == []
            wait = subject.next_report(now)
            assert isinstance(wait, Wait)
            assert wait.until is not None
            now = wait.until
            assert subject.next_report(now) == Report((result(),))

    def test_results_are_given_up_when_the_server_keeps_answering_with_errors(self) -> None:
        subject = registered(result_retries=2, result_initial=1.0)
        finished(subject, "t1")
        now = 0.0
        for delay in (1.0, 2.0):
            assert subject.report_failed(UnavailableError("no", retry_after=0.0), now) == []
            assert subject.next_report(now) == Wait(now + delay)
            now += delay
            assert isinstance(subject.next_report(now), Report)
        assert subject.report_failed(UnavailableError("no"), now) == ["t1"]
        assert subject.held == ()

    def test_failures_keep_the_order(self) -> None:
        subject = registered()
        finished(subject, "t1", "t2")
        subject.poll_answered([offer("t3")], 0.0)
        subject.finished(result("t3"))
        subject.report_failed(ProtocolError("odd"), 0.0)
        assert subject.next_report(99.0) == Report((result("t1"), result("t2"), result("t3")))

    def test_results_wait_until_the_worker_is_known_again(self) -> None:
        subject = registered()
        finished(subject, "t1")
        subject.report_failed(WorkerUnknownError(), 0.0)
        assert due(subject, 0.0) == Register()
        assert subject.next_report(0.0) == Wait()
        subject.register_answered(1.0)
        assert subject.next_report(1.0) == Report((result(),))

    def test_results_go_out_as_soon_as_the_server_answers_anything(self) -> None:
        subject = registered()
        finished(subject, "t1")
        for _ in range(8):
            subject.report_failed(TransportError("refused"), 0.0)
        assert subject.next_report(0.0) == Wait(5.0)
        subject.beat_answered(Beat((), full=False), HeartbeatAnswer("ok"), 0.0)
        assert subject.next_report(0.0) == Report((result(),))

    def test_a_batch_is_bounded(self) -> None:
        subject = registered()
        report = finished(subject, *(f"t{n}" for n in range(1500)))
        assert len(report.results) == 1000

    def test_a_dropped_task_leaves_nothing_behind(self) -> None:
        subject = registered()
        subject.poll_answered([offer()], 0.0)
        subject.dropped("t1")
        assert subject.held == ()


HANDLE = "j-2-0-1-"


def delivered(delivery: int, attempt: int = 1) -> TaskOffer:
    """The same work each time, as our orchestrators call it."""
    return offer(f"j-2-0-{attempt}-{delivery}", f"lease{delivery}")


class TestWorkThatWasDone:
    def test_what_an_earlier_process_left_is_held_and_reported_once_the_worker_is_known(self) -> None:
        subject = session()
        subject.restore(result(), 6.0)
        assert subject.held == ("t1",)
        assert subject.next_report(0.0) == Wait()
        subject.register_answered(0.0)
        assert subject.next_report(0.0) == Report((result(),))
        assert subject.lease_of("t1") == 6.0
        assert subject.report_answered([REFUSED], 0.0) == [("t1", REFUSED)]
        assert subject.held == ()

    def test_the_waiting_result_is_that_of_the_next_delivery_too(self) -> None:
        subject = registered()
        subject.poll_answered([delivered(1)], 0.0)
        subject.finished(result(HANDLE + "1", "lease1"))
        subject.poll_answered([delivered(2)], 60.0)
        assert subject.earlier(delivered(2)) == result(HANDLE + "2", "lease2")

    def test_a_result_that_came_too_late_is_that_of_the_next_delivery(self) -> None:
        subject = registered()
        subject.restore(result(HANDLE + "1"))
        subject.next_report(0.0)
        subject.report_answered([REFUSED], 0.0)
        assert subject.earlier(delivered(2)) == result(HANDLE + "2", "lease2")
        assert subject.earlier(delivered(3)) is None

    def test_a_result_that_was_taken_back_before_it_was_sent_is_that_of_the_next_delivery(self) -> None:
        subject = registered()
        subject.poll_answered([delivered(1)], 0.0)
        subject.finished(result(HANDLE + "1", "lease1"))
        subject.revoked([HANDLE + "1"])
        assert subject.earlier(delivered(2)) == result(HANDLE + "2", "lease2")

    def test_a_result_that_was_accepted_is_that_of_nothing_else(self) -> None:
        subject = registered()
        subject.restore(result(HANDLE + "1"))
        subject.next_report(0.0)
        subject.report_answered([ACCEPTED], 0.0)
        assert subject.earlier(delivered(2)) is None

    def test_another_attempt_is_other_work(self) -> None:
        subject = registered()
        subject.restore(result(HANDLE + "1"))
        assert subject.earlier(delivered(2, attempt=2)) is None

    @pytest.mark.parametrize(
        ("one", "other"), [("t1", "t2"), ("task-1", "task-2"), ("j-1", "j-2"), ("jj-2-0-1-1", "jj-2-0-1-2")]
    )
    def test_ids_that_do_not_tell_are_other_work(self, one: str, other: str) -> None:
        subject = registered()
        subject.restore(result(one))
        assert subject.earlier(offer(other)) is None

    def test_only_the_last_results_that_came_too_late_are_remembered(self) -> None:
        subject = registered()
        for number in range(101):
            subject.restore(TaskResult(job_id=f"j{number}", task_id=f"j{number}-2-0-1-1"))
        subject.next_report(0.0)
        subject.report_answered([REFUSED] * 101, 0.0)
        again = [
            TaskOffer(job_id=f"j{number}", task_id=f"j{number}-2-0-1-2", type="x") for number in (0, 1, 100)
        ]
        assert [subject.earlier(one) is not None for one in again] == [False, True, True]


class TestOverdue:
    def test_a_heartbeat_is_overdue_half_an_interval_after_it_was_due(self) -> None:
        subject = registered(heartbeat_interval=15.0)
        subject.poll_answered([offer(seconds=6.0)], 0.0)
        assert subject.beat_overdue(2.9) is None
        assert subject.beat_overdue(3.1) == 2.0

    def test_nothing_is_overdue_while_nothing_is_held_or_the_worker_is_not_known(self) -> None:
        assert registered().beat_overdue(99.0) is None
        subject = session()
        subject.restore(result())
        assert subject.beat_overdue(99.0) is None
