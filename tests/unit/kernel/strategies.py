"""Everything that can be decided and can happen, fitting or not, for tests that try it at random."""

from hypothesis import strategies as st
from msgspec import Raw

from avtomatika.kernel.decisions import (
    Ask,
    Decision,
    Dispatch,
    FanOut,
    Finish,
    GoTo,
    Listen,
    RunChild,
    Sleep,
)
from avtomatika.kernel.events import (
    AlarmRang,
    CancelRequested,
    ChildEnded,
    Deadline,
    DeadlinePassed,
    Decided,
    Event,
    HandlerCrashed,
    HumanDecided,
    Requeued,
    Rewound,
    RunAbandoned,
    SignalReceived,
    Submitted,
    TaskAbandoned,
    TaskAccepted,
    TaskReported,
    TaskSignalled,
)
from avtomatika.kernel.ids import JobId, TaskId
from avtomatika.kernel.model import Data, Failure, OnFailure, Order, Policy, Report, Verdict
from avtomatika.kernel.time import Span
from tests.unit.kernel.samples import a_job

STATUSES = ["success", "failure", "cancelled", "timeout", "odd"]
CODES = ["TRANSIENT_ERROR", "PERMANENT_ERROR", "INVALID_INPUT_ERROR", "TIMEOUT_ERROR", "?", "BLUEPRINT_ERROR"]

SIGNALS = ["paid", "seen"]
DECISIONS = ["yes", "no", "timeout", "failure"]
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
decisions_of_humans = st.dictionaries(
    st.sampled_from(DECISIONS), st.sampled_from(["s1", "s2"]), min_size=1, max_size=4
)
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
    st.builds(
        RunChild,
        st.just("other"),
        st.just({}),
        transitions,
        st.just("1"),
        st.just("start"),
        maybe_span,
        maybe_span,
    ),
    st.builds(Ask, st.just("mail"), st.just("?"), decisions_of_humans, maybe_span),
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
    max_depth=small,
    dispatch_timeout=maybe_span,
    result_timeout=maybe_span,
    keep_files=maybe_span,
)
requeued: st.SearchStrategy[Event] = st.builds(Requeued, st.just("ann"))
rewound: st.SearchStrategy[Event] = st.builds(
    Rewound,
    small,
    st.sampled_from(["s1", "s2"]),
    data.map(lambda given: given or {}),
    data.map(lambda given: given or {}),
    raws,
)


def child_events(since: int, child: str) -> st.SearchStrategy[Event]:
    """The ends of a child."""
    maybe_failure = st.none() | failures
    return st.builds(
        ChildEnded,
        st.just(since),
        st.just(JobId(child)),
        st.sampled_from(Verdict),
        st.sampled_from(["s1", "s2"]),
        raws,
        maybe_failure,
    )


def answers(question: int) -> st.SearchStrategy[Event]:
    """What people answer to the question."""
    return st.builds(
        HumanDecided, st.just(question), st.sampled_from([*DECISIONS, "odd"]), raws, st.just("ann")
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
    st.tuples(st.integers(-1, 9), st.sampled_from(["j_5", "j_8", "k_5", ""])).flatmap(
        lambda named: child_events(*named)
    ),
    st.integers(-1, 9).flatmap(answers),
    st.integers(-1, 9).map(AlarmRang),
    requeued,
    rewound,
    st.builds(CancelRequested),
    st.builds(Submitted, st.just(a_job(version=0))),
)
