"""What holds for every life of a job, whatever happens in it. `PROPERTY_EXAMPLES=2000` looks longer."""

import os

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from avtomatika.kernel.decisions import Decision, Dispatch, FanOut, Finish, GoTo, Listen, Sleep
from avtomatika.kernel.events import (
    AlarmRang,
    CancelRequested,
    Deadline,
    DeadlinePassed,
    Decided,
    Event,
    HandlerCrashed,
    RunAbandoned,
    SignalReceived,
    Submitted,
    TaskAbandoned,
    TaskAccepted,
    TaskReported,
    TaskSignalled,
)
from avtomatika.kernel.ids import TaskId
from avtomatika.kernel.machine import fold, replay, transition
from avtomatika.kernel.model import (
    Branch,
    Data,
    Done,
    Failure,
    Gathering,
    Job,
    Listening,
    OnFailure,
    Order,
    Policy,
    Ready,
    Report,
    Sleeping,
    Verdict,
    Waiting,
)
from avtomatika.kernel.progress import Ignored, Moved
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.store import Fact
from avtomatika.stores import codec
from tests.unit.kernel.outbox_model import Outbox
from tests.unit.kernel.samples import PHASES, J, a_job, a_task

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "50"))

STATUSES = ["success", "failure", "cancelled", "timeout", "odd"]
CODES = ["TRANSIENT_ERROR", "PERMANENT_ERROR", "INVALID_INPUT_ERROR", "TIMEOUT_ERROR", "?", "BLUEPRINT_ERROR"]

SIGNALS = ["paid", "seen"]
TOLD = ["progress", "found", "odd"]

small = st.integers(0, 3)
spans = st.sampled_from([0, 1, 500, 60_000]).map(Span)
maybe_span = st.none() | spans
NOT_JSON = [Raw(b"{"), Raw(b""), Raw(b'{"a":1')]
raws = st.sampled_from(
    [
        Raw(b"null"),
        Raw(b"1.0"),
        Raw(b'{"a":1}'),
        Raw(b'{"a":null,"result":[]}'),
        Raw(b'{"\xff":1}'),
        *NOT_JSON,
    ]
)
data: st.SearchStrategy[Data | None] = st.sampled_from([None, {}, {"a": Raw(b"1.0")}, {"result": Raw(b"2")}])
failures = st.builds(Failure, code=st.sampled_from(CODES), message=st.text(max_size=5))
transitions = st.dictionaries(st.sampled_from(STATUSES), st.sampled_from(["s1", "s2"]), max_size=4)
event_transitions = st.dictionaries(st.sampled_from(TOLD), st.sampled_from(["s1", "s2"]), max_size=1)
orders = st.builds(
    Order,
    skill=st.just("s"),
    execution_timeout=maybe_span,
    dispatch_timeout=maybe_span,
    result_timeout=maybe_span,
    retries=st.none() | small,
)
decisions: st.SearchStrategy[Decision] = st.one_of(
    st.builds(GoTo, st.sampled_from(["s1", "s2"])),
    st.builds(Dispatch, orders, transitions, event_transitions),
    st.builds(
        FanOut,
        st.lists(orders, max_size=4).map(tuple),
        st.just("all"),
        st.sampled_from(OnFailure),
        transitions,
    ),
    st.builds(Sleep, spans, st.none(), st.none() | st.sampled_from(["s1", "s2"])),
    st.builds(Listen, st.sampled_from(SIGNALS), transitions, maybe_span),
    st.builds(Finish, st.sampled_from(Verdict), raws, st.none() | failures),
)
signals: st.SearchStrategy[Event] = st.builds(SignalReceived, st.sampled_from(SIGNALS), raws)
reports = st.builds(Report, st.sampled_from(STATUSES), st.just("w"), raws, st.none() | failures)
policies = st.builds(
    Policy,
    handler_retries=small,
    task_retries=small,
    max_deliveries=small,
    max_steps=st.integers(0, 12),
    max_signals=small,
    max_task_events=small,
    dispatch_timeout=maybe_span,
    result_timeout=maybe_span,
)


def run_events(version: int) -> st.SearchStrategy[Event]:
    """Events of handlers that looked at the version."""
    return st.one_of(
        st.builds(Decided, st.just(version), decisions, data, data, raws),
        st.builds(HandlerCrashed, st.just(version), failures),
        st.builds(RunAbandoned, st.just(version), st.integers(0, 6)),
    )


def task_events(task: str, attempt: int) -> st.SearchStrategy[Event]:
    """Events of one attempt of a task."""
    name, tried = st.just(TaskId(task)), st.just(attempt)
    return st.one_of(
        st.builds(TaskReported, name, tried, st.just(1), reports),
        st.builds(TaskReported, name, tried, st.just(1), reports),
        st.builds(TaskAccepted, name, tried, st.just("w")),
        st.builds(TaskSignalled, name, tried, st.just(1), st.just("w"), st.sampled_from(TOLD), raws),
        st.builds(TaskAbandoned, name, tried, st.integers(0, 6)),
        st.builds(DeadlinePassed, name, tried, st.sampled_from(Deadline)),
    )


anything: st.SearchStrategy[Event] = st.one_of(
    st.integers(-1, 20).flatmap(run_events),
    st.tuples(
        st.sampled_from(["j-5-0", "j-5-1", "j-8-0", "j-1-0", "k-5-0", "", "j"]), st.integers(-1, 4)
    ).flatmap(lambda named: task_events(*named)),
    st.builds(CancelRequested),
    st.builds(Submitted, st.just(a_job(version=0))),
)


class Life:
    """A job, what the outside holds for it, and the facts so far."""

    def __init__(self, policy: Policy) -> None:
        new = replace(a_job(version=0, policy=policy), steps=0)
        self.now = Instant(1_000)
        self.outbox = Outbox(J)
        self.facts: list[tuple[Event, Instant]] = []
        self.job = new
        self.happen(Submitted(new))

    def happen(self, event: Event) -> None:
        before = self.job
        task = getattr(event, "task", None)
        branch = None if task is None else self.outbox.branches.get(task)
        outcome = transition(before, event, self.now, branch)
        if isinstance(outcome, Ignored):
            assert outcome.reason
            return
        assert not before.over, "a job that is over has moved"
        assert outcome.job.version == before.version + 1
        assert outcome.job.id == before.id
        assert outcome.job.updated == self.now
        assert len(set(map(repr, outcome.effects))) == len(outcome.effects), "an effect comes twice"
        self.job = outcome.job
        self.facts.append((event, self.now))
        self.outbox.carry_out(outcome)
        self.outbox.check(self.job)

    def fitting(self) -> st.SearchStrategy[Event]:
        """Events that the job waits for, and some that are a little late or early."""
        job = self.job
        fitting: list[st.SearchStrategy[Event]] = []
        match job.phase:
            case Ready():
                fitting += [run_events(job.run)] * 3
            case Waiting(task=task):
                fitting += [task_events(task.id, task.attempt)] * 3
            case Gathering():
                fitting += [task_events(b.task.id, b.task.attempt) for b in self.outbox.branches.values()]
            case Sleeping(since=since) | Listening(since=since):
                fitting += [st.builds(AlarmRang, st.just(since)), signals]
            case Done():
                pass
        old = sorted(self.outbox.named)[:3]
        fitting += [task_events(name, attempt) for name in old for attempt in (1, 2)]
        fitting += [run_events(job.run - 1), signals, anything]
        return st.one_of(fitting)


@given(policies, st.data())
@settings(max_examples=EXAMPLES)
def test_a_life_keeps_every_rule(policy: Policy, draw: st.DataObject) -> None:
    life = Life(policy)
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
            assert not job.over
            assert outcome.job.version == job.version + 1
            assert {effect.job for effect in outcome.effects} <= {J}
            job = outcome.job
        else:
            assert job == before
    assert isinstance(fold(job, events, now, {} if branch is None else {branch.task.id: branch})[0], Job)


@given(anything)
def test_what_is_over_stays_as_it_is(event: Event) -> None:
    assert transition(PHASES["done"], event, Instant(9)) == Ignored("job_over")


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
