"""A job that sleeps or listens (feature A10)."""

from msgspec import Raw

from avtomatika.kernel.decisions import Finish, Listen, Sleep
from avtomatika.kernel.effects import StartAlarm, StopAlarm
from avtomatika.kernel.events import AlarmRang, Decided, SignalReceived
from avtomatika.kernel.machine import transition
from avtomatika.kernel.model import Done, Failure, Listening, Ready, Sleeping, Verdict
from avtomatika.kernel.progress import Ignored
from avtomatika.kernel.time import Instant, Span
from tests.unit.kernel.samples import NOW, TRANSITIONS, VERSION, J, a_job, decided, moved

PAID = SignalReceived("paid", Raw(b'{"by":"card"}'))


def test_a_sleep_without_a_next_state_comes_back_to_the_same_one() -> None:
    asleep = moved(a_job(), decided(Sleep(Span(5)))).job
    assert asleep.phase == Sleeping(VERSION + 1, Instant(NOW + 5), "here")
    awake = moved(asleep, AlarmRang(VERSION + 1)).job
    assert (awake.state, awake.phase) == ("here", Ready())


def test_a_sleep_until_a_moment_that_has_passed_ends_at_once() -> None:
    (alarm,) = (
        e for e in moved(a_job(), decided(Sleep(until=Instant(1)))).effects if isinstance(e, StartAlarm)
    )
    assert alarm == StartAlarm(J, VERSION + 1, Instant(1))


def test_a_signal_that_came_before_is_heard_at_once_and_only_once() -> None:
    kept = moved(a_job(), PAID).job
    listening = moved(kept, Decided(VERSION, Listen("paid", TRANSITIONS))).job
    assert (listening.state, listening.signals) == ("next", ())
    assert listening.history == {"by": Raw(b'"card"')}


def test_signals_are_heard_in_the_order_they_came() -> None:
    first = moved(a_job(), SignalReceived("paid", Raw(b'{"n":1}'))).job
    both = moved(first, SignalReceived("paid", Raw(b'{"n":2}'))).job
    assert moved(both, Decided(VERSION, Listen("paid", TRANSITIONS))).job.history == {"n": Raw(b"1")}


def test_a_signal_while_a_handler_runs_does_not_make_its_decision_stale() -> None:
    kept = moved(a_job(), PAID).job
    assert kept.version == VERSION + 1
    assert moved(kept, decided(Finish())).job.phase == Done(Verdict.FINISHED)
    assert isinstance(transition(kept, decided(Finish(), VERSION + 1), NOW), Ignored)


def test_a_signal_in_vain_follows_timeout_else_failure_else_fails() -> None:
    def after_the_alarm(transitions: dict[str, str]) -> tuple[str, object]:
        job = moved(a_job(Listening(5, "paid", transitions, NOW)), AlarmRang(5)).job
        return job.state, job.phase

    assert after_the_alarm({"timeout": "late", "failure": "f"}) == ("late", Ready())
    assert after_the_alarm({"failure": "f"}) == ("f", Ready())
    assert after_the_alarm({}) == ("here", Done(Verdict.FAILED))


def test_hearing_a_signal_stops_the_alarm() -> None:
    effects = moved(a_job(Listening(5, "paid", TRANSITIONS, NOW)), PAID).effects
    assert StopAlarm(J, 5) in effects


def test_a_handler_can_fail_the_job_in_its_own_words() -> None:
    failure = Failure(code="NO_STOCK", message="sold out")
    job = moved(a_job(), decided(Finish(Verdict.FAILED, failure=failure))).job
    assert (job.phase, job.failure) == (Done(Verdict.FAILED), failure)
