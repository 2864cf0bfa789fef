"""A job asks a person, and goes on by the first decision that was offered (feature A8)."""

import pytest
from msgspec import Raw, json
from msgspec.structs import replace

from avtomatika.kernel.decisions import Ask
from avtomatika.kernel.effects import SendWebhook, StartAlarm, StopAlarm
from avtomatika.kernel.events import AlarmRang, CancelRequested, Decided, HumanDecided
from avtomatika.kernel.machine import fold, transition
from avtomatika.kernel.model import AwaitingHuman, Done, Ready, Status, Verdict
from avtomatika.kernel.notices import decisions
from avtomatika.kernel.progress import Ignored
from avtomatika.kernel.time import Instant, Span
from tests.unit.kernel.samples import (
    DECISIONS,
    NOW,
    OPENED,
    URL,
    VERSION,
    J,
    a_job,
    awaiting_human,
    decided,
    moved,
)

YES = HumanDecided(OPENED, "yes", Raw(b'{"why":"fits","n":1.0}'), "ann")
NO = HumanDecided(OPENED, "no", by="bob")


def test_the_job_waits_for_a_decision_for_as_long_as_it_was_told() -> None:
    patient = moved(a_job(), decided(Ask("mail", "Ship it?", DECISIONS, schema=Raw(b'{"type":"object"}'))))
    assert patient.job.phase == AwaitingHuman(
        VERSION + 1, "mail", "Ship it?", DECISIONS, Raw(b'{"type":"object"}'), asked=NOW
    )
    assert patient.job.status is Status.WAITING_FOR_HUMAN
    assert not [e for e in patient.effects if isinstance(e, StartAlarm)]
    hasty = moved(a_job(), decided(Ask("mail", "Ship it?", DECISIONS, Span(5))))
    assert StartAlarm(J, VERSION + 1, Instant(NOW + 5)) in hasty.effects


def test_the_decision_chooses_the_next_state_and_the_history_tells_who_took_it() -> None:
    job = replace(awaiting_human(), history={"why": Raw(b"0"), "kept": Raw(b"1")})
    move = moved(job, YES)
    assert (move.job.state, move.job.phase) == ("next", Ready())
    assert move.job.history["why"] == Raw(b'"fits"')
    assert move.job.history["n"] == Raw(b"1.0")
    assert move.job.history["kept"] == Raw(b"1")
    assert json.decode(move.job.history["approval"]) == {
        "decision": "yes",
        "by": "ann",
        "at": NOW,
        "data": {"why": "fits", "n": 1.0},
    }
    assert StopAlarm(J, OPENED) in move.effects


@pytest.mark.parametrize("data", [b"null", b"[1]", b'"text"', b'{"\xff":1}'])
def test_data_that_are_no_object_are_kept_with_the_decision_alone(data: bytes) -> None:
    history = moved(awaiting_human(), HumanDecided(OPENED, "yes", Raw(data))).job.history
    assert list(history) == ["approval"]
    assert data in bytes(history["approval"])


def test_data_cannot_say_who_decided() -> None:
    forged = HumanDecided(OPENED, "yes", Raw(b'{"approval":{"by":"the boss"}}'), "ann")
    assert json.decode(moved(awaiting_human(), forged).job.history["approval"])["by"] == "ann"


def test_the_first_decision_wins() -> None:
    job, outcomes, _, _ = fold(awaiting_human(), [YES, NO, YES], NOW, {})
    assert job.state == "next"
    assert outcomes[1:] == [Ignored("stale_question")] * 2


@pytest.mark.parametrize("decision", ["maybe", "", "timeout", "Yes", "success"])
def test_only_what_was_offered_can_be_decided(decision: str) -> None:
    event = HumanDecided(OPENED, decision)
    assert transition(awaiting_human(), event, NOW) == Ignored("unknown_decision")


def test_a_decision_is_for_one_question() -> None:
    asked_again = moved(a_job(), Decided(VERSION, Ask("mail", "Again?", DECISIONS))).job
    assert transition(asked_again, YES, NOW) == Ignored("stale_question")
    assert moved(asked_again, replace(YES, question=VERSION + 1)).job.state == "next"


def test_a_decision_after_the_time_is_stale_and_an_alarm_after_the_decision_too() -> None:
    late, outcomes, _, _ = fold(awaiting_human(), [AlarmRang(OPENED), YES], NOW, {})
    assert (late.state, outcomes[1]) == ("failed", Ignored("stale_question"))
    in_time, outcomes, _, _ = fold(awaiting_human(), [YES, AlarmRang(OPENED)], NOW, {})
    assert (in_time.state, outcomes[1]) == ("next", Ignored("stale_alarm"))


def test_a_question_that_nobody_answers_follows_timeout_else_failure_else_fails() -> None:
    def after_the_alarm(transitions: dict[str, str]) -> tuple[str, object]:
        job = moved(awaiting_human(transitions), AlarmRang(OPENED)).job
        assert job.failure is not None
        assert job.failure.code == "TIMEOUT_ERROR"
        return job.state, job.phase

    assert after_the_alarm({"yes": "y", "timeout": "late", "failure": "f"}) == ("late", Ready())
    assert after_the_alarm({"yes": "y", "failure": "f"}) == ("f", Ready())
    assert after_the_alarm({"yes": "y"}) == ("here", Done(Verdict.FAILED))


def test_what_can_be_decided_is_what_has_a_transition_except_that_nobody_decided() -> None:
    phase = awaiting_human().phase
    assert isinstance(phase, AwaitingHuman)
    assert decisions(phase) == ("yes", "no")


def test_a_job_that_is_cancelled_takes_no_decision_any_more() -> None:
    cancelled = moved(awaiting_human(), CancelRequested()).job
    assert transition(cancelled, YES, NOW) == Ignored("job_over")


def test_the_client_is_told_what_is_asked() -> None:
    job = replace(a_job(), webhook_url=URL)
    move = moved(job, decided(Ask("mail", "Ship it?", DECISIONS, Span(5), Raw(b'{"type":"object"}'))))
    (hook,) = (e for e in move.effects if isinstance(e, SendWebhook))
    assert (hook.event, hook.status, hook.url) == ("approval_requested", "waiting_for_human", URL)
    assert (hook.version, hook.question, hook.failure) == (VERSION + 1, VERSION + 1, None)
    assert json.decode(hook.result) == {
        "approval_id": "j-8",
        "integration": "mail",
        "message": "Ship it?",
        "decisions": ["yes", "no"],
        "data_schema": {"type": "object"},
        "expires_at": NOW + 5,
    }
