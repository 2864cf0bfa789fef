"""What holds for every life of a job, whatever happens in it. `PROPERTY_EXAMPLES=2000` looks longer."""

import os

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from avtomatika.kernel.decisions import Finish
from avtomatika.kernel.events import (
    ChildEnded,
    Decided,
    Event,
    HumanDecided,
    Requeued,
    Rewound,
    SignalReceived,
    TaskReported,
    TaskSignalled,
)
from avtomatika.kernel.ids import TaskId
from avtomatika.kernel.machine import fold, replay, transition
from avtomatika.kernel.model import Branch, Job, Parent, Policy, Ready
from avtomatika.kernel.progress import Ignored, Moved
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Fact
from avtomatika.stores import codec
from tests.unit.kernel.lives import Life
from tests.unit.kernel.samples import PARENT, PHASES, URL, J, a_task
from tests.unit.kernel.strategies import NOT_JSON, anything, policies, reports

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "50"))


@given(policies, st.none() | st.just(PARENT), st.none() | st.just(URL), st.data())
@settings(max_examples=EXAMPLES)
def test_a_life_keeps_every_rule(
    policy: Policy, parent: Parent | None, url: str | None, draw: st.DataObject
) -> None:
    life = Life(policy, parent, url)
    for _ in range(draw.draw(st.integers(1, 20))):
        life.now = Instant(life.now + draw.draw(st.sampled_from([0, 1, 60_000])))
        life.happen(draw.draw(life.fitting()))
    assert replay(life.facts) == life.job


@given(policies, st.data())
@settings(max_examples=EXAMPLES // 2)
def test_facts_read_back_from_a_store_lead_to_the_same_job(policy: Policy, draw: st.DataObject) -> None:
    life = Life(policy)
    for _ in range(draw.draw(st.integers(1, 12))):
        event = draw.draw(life.fitting())
        if not any(raw in values_of_users(event) for raw in NOT_JSON):
            life.happen(event)
    written = [codec.encode(Fact(J, n, at, event)) for n, (event, at) in enumerate(life.facts, 1)]
    read = [codec.decode_fact(raw) for raw in written]
    assert [(fact.event, fact.at) for fact in read] == life.facts
    assert replay((fact.event, fact.at) for fact in read) == life.job
    assert codec.decode_job(codec.encode_head(life.job), codec.encode_data(life.job)) == life.job


def values_of_users(event: Event) -> list[Raw]:
    """The values of users in the event."""
    match event:
        case Decided(returned=returned, decision=Finish(result=result)):
            return [returned, result]
        case Decided(returned=returned):
            return [returned]
        case TaskReported(report=report):
            return [report.data]
        case TaskSignalled(payload=payload):
            return [payload]
        case SignalReceived(payload=payload):
            return [payload]
        case ChildEnded(result=result):
            return [result]
        case HumanDecided(data=data):
            return [data]
        case Rewound(last=last):
            return [last]
        case _:
            return []


@given(
    st.sampled_from(sorted(PHASES)),
    st.lists(anything, min_size=1, max_size=4),
    st.none()
    | st.builds(
        Branch,
        st.sampled_from(["j-5-0", "j-5-1", "j-4-0", "k-5-0", ""]).map(
            lambda name: replace(a_task(), id=TaskId(name))
        ),
        st.none() | reports,
    ),
)
@settings(max_examples=EXAMPLES * 2)
def test_garbage_is_answered_and_harms_nothing(
    phase: str, events: list[Event], branch: Branch | None
) -> None:
    job, now = PHASES[phase], Instant(2_000_000)
    for event in events:
        before: Job = job
        outcome = transition(job, event, now, branch)
        if isinstance(outcome, Moved):
            assert not job.final
            assert not job.over or isinstance(event, Requeued | Rewound)
            assert outcome.job.version == job.version + 1
            assert {effect.job for effect in outcome.effects} <= {J}
            job = outcome.job
        else:
            assert job == before
    assert isinstance(fold(job, events, now, {} if branch is None else {branch.task.id: branch})[0], Job)


@given(st.sampled_from(["finished", "cancelled"]), anything)
def test_what_is_finished_or_cancelled_stays_as_it_is(phase: str, event: Event) -> None:
    assert transition(PHASES[phase], event, Instant(9)) == Ignored("job_over")


@given(st.sampled_from(["failed", "in quarantine", "failed aggregating"]), anything)
def test_only_an_operator_takes_up_what_has_failed(phase: str, event: Event) -> None:
    outcome = transition(PHASES[phase], event, Instant(9))
    if isinstance(outcome, Moved):
        assert isinstance(event, Requeued | Rewound)
        assert (outcome.job.phase, outcome.job.failure) == (Ready(), None)
    else:
        assert outcome.reason in ("job_over", "aggregation_over")


@given(policies, st.data())
@settings(max_examples=EXAMPLES // 2)
def test_deciding_again_gives_the_same(policy: Policy, draw: st.DataObject) -> None:
    life = Life(policy)
    for _ in range(6):
        event = draw.draw(life.fitting())
        branch = life.outbox.branches.get(getattr(event, "task", TaskId("")))
        first = transition(life.job, event, life.now, branch)
        assert transition(life.job, event, life.now, branch) == first
        life.happen(event)
