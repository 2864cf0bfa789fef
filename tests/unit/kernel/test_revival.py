"""An operator takes up a job again (feature B5)."""

from typing import Final

import pytest
from msgspec import Raw
from msgspec.structs import replace

from avtomatika.kernel.decisions import FanOut, Finish, GoTo, RunChild
from avtomatika.kernel.effects import RunHandler, TellParent
from avtomatika.kernel.events import (
    AlarmRang,
    ChildEnded,
    Decided,
    Event,
    HumanDecided,
    Requeued,
    Rewound,
    Submitted,
)
from avtomatika.kernel.machine import replay, transition
from avtomatika.kernel.model import Done, Failure, Job, Policy, Ready, Signal, Verdict
from avtomatika.kernel.progress import Ignored
from avtomatika.kernel.time import Instant
from tests.unit.kernel.outbox_model import Outbox
from tests.unit.kernel.samples import (
    CHILD,
    EVENTS,
    NOW,
    OPENED,
    ORDER,
    PARENT,
    PHASES,
    VERSION,
    J,
    a_job,
    decided,
    moved,
    over,
)

AGAIN: Final = Requeued("ann")
BACK: Final = Rewound(3, "there", {"x": Raw(b"1")}, {"y": Raw(b"2")}, Raw(b"3"), "ann")
FAILURE: Final = Failure(code="X", message="m")
CAN_FAIL = (Verdict.FAILED, Verdict.QUARANTINED)


@pytest.mark.parametrize("verdict", CAN_FAIL)
def test_a_job_that_failed_runs_its_last_handler_again_with_the_data_that_it_has(verdict: Verdict) -> None:
    job = replace(over(verdict), failure=FAILURE, history={"a": Raw(b"1.0")}, steps=99)
    move = moved(job, AGAIN)
    assert (move.job.state, move.job.phase, move.job.version) == ("here", Ready(), VERSION + 1)
    assert (move.job.failure, move.job.steps, move.job.history) == (None, 1, job.history)
    assert move.effects == (RunHandler(J, VERSION + 1, "b", "1", NOW),)


def test_a_revived_handler_has_all_its_tries_again() -> None:
    job = a_job(Ready(attempt=4), policy=Policy(handler_retries=3))
    ended = moved(job, EVENTS["crashed"]).job
    assert ended.phase == Done(Verdict.QUARANTINED)
    assert moved(ended, AGAIN).job.phase == Ready(attempt=1)


@pytest.mark.parametrize("event", [AGAIN, BACK])
@pytest.mark.parametrize("verdict", [Verdict.FINISHED, Verdict.CANCELLED])
def test_what_is_finished_or_cancelled_is_final(verdict: Verdict, event: Event) -> None:
    assert over(verdict).final
    assert transition(over(verdict), event, NOW) == Ignored("job_over")


@pytest.mark.parametrize("phase", [name for name, job in PHASES.items() if not job.over])
def test_a_job_that_is_not_over_cannot_be_requeued(phase: str) -> None:
    assert transition(PHASES[phase], AGAIN, NOW) == Ignored("not_over")


def test_an_aggregation_that_failed_cannot_be_requeued_but_rewound() -> None:
    ended = moved(a_job(Ready(gathered=OPENED)), decided(Finish(Verdict.FAILED))).job
    assert transition(ended, AGAIN, NOW) == Ignored("aggregation_over")
    assert moved(ended, BACK).job.phase == Ready()


def test_a_rewound_job_has_the_state_and_the_data_of_then() -> None:
    job = replace(over(Verdict.FAILED), failure=FAILURE, input={"z": Raw(b"0")}, steps=99)
    back = moved(job, BACK).job
    assert (back.state, back.phase, back.version) == ("there", Ready(), VERSION + 1)
    assert (back.input, back.history, back.last) == (BACK.input, BACK.history, BACK.last)
    assert (back.failure, back.steps) == (None, 1)


@pytest.mark.parametrize("phase", [name for name, job in PHASES.items() if not job.over])
def test_rewinding_takes_back_all_that_the_job_had_outside(phase: str) -> None:
    job = PHASES[phase]
    move = moved(job, BACK)
    cancelled = moved(job, EVENTS["cancel"])
    assert [*map(repr, move.effects[:-1])] == [
        repr(e) for e in cancelled.effects
    ]  # the same as when it is cancelled
    assert isinstance(move.effects[-1], RunHandler)


def test_signals_that_the_job_has_not_listened_for_outlive_a_rewind() -> None:
    job = replace(over(Verdict.FAILED), signals=(Signal("paid"),))
    assert moved(job, BACK).job.signals == (Signal("paid"),)


@pytest.mark.parametrize("old", [AlarmRang(OPENED), HumanDecided(OPENED, "yes"), decided(GoTo("next"))])
@pytest.mark.parametrize("phase", ["awaiting human", "asleep", "ready"])
def test_nothing_of_before_moves_a_rewound_job(phase: str, old: Event) -> None:
    back = moved(PHASES[phase], BACK).job
    assert isinstance(transition(back, old, NOW), Ignored)


def test_the_child_of_before_does_not_resume_a_rewound_job() -> None:
    back = moved(PHASES["awaiting child"], BACK).job
    again = moved(back, Decided(back.version, RunChild("other", {}, {"success": "s"}))).job
    old = ChildEnded(OPENED, CHILD, Verdict.CANCELLED, "end")
    assert transition(again, old, NOW) == Ignored("stale_child")


def test_a_revived_child_tells_its_parent_again_when_it_ends() -> None:
    child = moved(replace(over(Verdict.FAILED), parent=PARENT), AGAIN).job
    effects = moved(child, Decided(child.version, Finish())).effects
    assert [e.verdict for e in effects if isinstance(e, TellParent)] == [Verdict.FINISHED]


@pytest.mark.parametrize("event", [AGAIN, BACK])
def test_nobody_waits_for_a_revived_job_so_that_its_time_is_not_limited(event: Event) -> None:
    assert moved(replace(over(Verdict.FAILED), due=Instant(1)), event).job.due is None
    waited_for = moved(replace(a_job(), due=Instant(1)), BACK).job
    assert waited_for.due == Instant(1)


def test_the_facts_of_a_revived_job_lead_to_it() -> None:
    new = a_job(version=0)
    outbox, job = Outbox(J), new
    facts: list[tuple[Event, Instant]] = []
    life = (
        lambda _: Submitted(new),
        lambda now: Decided(now.version, FanOut((ORDER,), "all")),
        lambda _: BACK,
        lambda now: Decided(now.version, Finish(Verdict.FAILED)),
        lambda _: AGAIN,
    )
    for happens in life:
        event = happens(job)
        move = moved(job, event)
        outbox.carry_out(move)
        outbox.check(move.job)
        facts.append((event, NOW))
        job = move.job
    assert (job.version, job.state) == (5, "there")
    assert replay(facts) == job


def revivable(job: Job) -> bool:
    return not job.final


def test_only_a_verdict_makes_a_job_final() -> None:
    assert [verdict for verdict in Verdict if revivable(over(verdict))] == list(CAN_FAIL)
