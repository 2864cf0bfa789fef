"""What the kernel is asked, for the tables of the rulebook."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from avtomatika.kernel.decisions import Ask, Dispatch, FanOut, Finish, GoTo, Listen, RunChild, Sleep
from avtomatika.kernel.events import (
    AlarmRang,
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
)
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import (
    AwaitingChild,
    AwaitingHuman,
    Branch,
    Done,
    Failure,
    Gathering,
    Job,
    Listening,
    OnFailure,
    Order,
    Parent,
    Policy,
    Ready,
    Report,
    Signal,
    Sleeping,
    Verdict,
    Waiting,
)
from avtomatika.kernel.time import Span
from generators.state_jobs import (
    ALL_WAYS,
    CHILD,
    DECISIONS,
    EVENTS,
    INVALID,
    LAST,
    LATE,
    NOW,
    OPEN,
    ORDER,
    PERMANENT,
    SAMPLES,
    TAKEN,
    TASK,
    TRANSIENT,
    any_of,
    failing,
    job_in,
    reported,
    told,
)


class Case(NamedTuple):
    """A job, an event, and in words what is special about them."""

    words: str
    job: Job
    event: Event
    branch: Branch | None = None


def cases() -> Iterator[Case]:
    """At least one case for every pair of phase and event."""
    shown = list(_told_cases())
    yield from shown
    yield from _unfit(shown, [job_in(phase) for phase in SAMPLES])


def _told_cases() -> Iterator[Case]:
    yield from _ready_cases()
    yield from _waiting_cases()
    yield from _gathering_cases()
    yield from _resting_cases()
    yield from _child_cases()
    yield from _human_cases()
    yield from _over_cases()


def _unfit(shown: Sequence[Case], samples: Sequence[Job]) -> Iterator[Case]:
    """The pairs that nothing special is to be said about."""
    pairs = {(type(case.job.phase), type(case.event)) for case in shown}
    for job in samples:
        yield from (Case("", job, any_of(kind)) for kind in EVENTS if (type(job.phase), kind) not in pairs)


def _ready_cases() -> Iterator[Case]:
    fresh, ready = job_in(Ready(), version=0), job_in(Ready())
    wide = (ORDER, ORDER)
    yield Case("version 0", fresh, Submitted(fresh))
    yield Case("later", ready, Submitted(ready))
    yield Case("of another version", ready, Decided(99, GoTo("next")))
    yield Case("`go_to`", ready, Decided(ready.version, GoTo("next")))
    yield Case(
        "`go_to`, too many steps",
        msgspec.structs.replace(ready, steps=ready.policy.max_steps),
        Decided(ready.version, GoTo("next")),
    )
    yield Case("`dispatch_task`", ready, Decided(ready.version, Dispatch(ORDER, ALL_WAYS)))
    yield Case(
        "`dispatch_task` with a dispatch limit",
        ready,
        Decided(ready.version, Dispatch(Order(skill="s", dispatch_timeout=Span(5)), ALL_WAYS)),
    )
    yield Case("`dispatch_parallel`", ready, Decided(ready.version, FanOut(wide, "sum")))
    yield Case("`dispatch_parallel` of nothing", ready, Decided(ready.version, FanOut((), "sum")))
    yield Case("of an aggregator, `go_to`", job_in(Ready(gathered=2)), Decided(3, GoTo("next")))
    yield Case("`sleep`", ready, Decided(ready.version, Sleep(Span(5), then="next")))
    listen = Decided(ready.version, Listen("paid", ALL_WAYS, Span(5)))
    yield Case("`wait_for_event`", ready, listen)
    heard = msgspec.structs.replace(ready, signals=(Signal("paid"),))
    yield Case("`wait_for_event`, the event came before", heard, listen)
    yield Case("before the submission", fresh, SignalReceived("paid"))
    yield Case("kept until the job waits for it", ready, SignalReceived("paid"))
    many = msgspec.structs.replace(ready, signals=(Signal("seen"),) * ready.policy.max_signals)
    yield Case("too many are kept", many, SignalReceived("paid"))
    run_child = RunChild("other", {}, ALL_WAYS, "1", "start", Span(5))
    yield Case("`run_blueprint`", ready, Decided(ready.version, run_child))
    deep = msgspec.structs.replace(ready, parent=Parent(JobId("p"), 1, ready.policy.max_depth))
    yield Case("`run_blueprint`, nested too deeply", deep, Decided(ready.version, run_child))
    ask = Ask("mail", "Ship it?", DECISIONS, Span(5))
    yield Case("`await_human_approval`", ready, Decided(ready.version, ask))
    hooked = msgspec.structs.replace(ready, webhook_url="https://client.example")
    yield Case("`await_human_approval` of a client with a webhook", hooked, Decided(ready.version, ask))
    yield Case("end state", ready, Decided(ready.version, Finish()))
    yield Case("end state that failed", ready, Decided(ready.version, Finish(Verdict.FAILED)))
    yield Case("end state, of a client with a webhook", hooked, Decided(ready.version, Finish()))
    child = msgspec.structs.replace(ready, parent=Parent(JobId("p"), 1, 1))
    yield Case("end state, of a child", child, Decided(ready.version, Finish()))
    yield Case("of another version", ready, HandlerCrashed(99, TRANSIENT))
    yield Case("attempts are left", ready, HandlerCrashed(ready.version, TRANSIENT))
    yield Case("no attempts are left", job_in(Ready(attempt=4)), HandlerCrashed(3, TRANSIENT))
    mistake = Failure(code="BLUEPRINT_ERROR", message="")
    yield Case("a mistake in the blueprint", ready, HandlerCrashed(ready.version, mistake))
    yield Case("of another version", ready, RunAbandoned(99, 6))
    yield Case("deliveries are left", ready, RunAbandoned(ready.version, 5))
    yield Case("no deliveries are left", ready, RunAbandoned(ready.version, 6))


def _waiting_cases() -> Iterator[Case]:
    waiting, taken = job_in(Waiting(OPEN, ALL_WAYS)), job_in(Waiting(TAKEN, ALL_WAYS))
    bare, last = job_in(Waiting(OPEN, {})), job_in(Waiting(LAST, ALL_WAYS))
    last_bare = job_in(Waiting(LAST, {}))
    yield Case("another task or attempt", waiting, TaskAccepted(TASK, 9, "w"))
    yield Case("", waiting, TaskAccepted(TASK, 1, "w"))
    yield Case("again", taken, TaskAccepted(TASK, 1, "w"))
    yield Case("another task or attempt", waiting, reported(Report("success"), attempt=9))
    yield Case("a status with a transition", waiting, reported(Report("success")))
    yield Case("a status without a transition", bare, reported(Report("success")))
    yield Case(
        "`failure`, retryable, attempts are left", waiting, reported(Report("failure", failure=TRANSIENT))
    )
    exhausted = failing(TRANSIENT, attempt=4)
    yield Case("`failure`, no attempts are left, with a transition", last, exhausted)
    yield Case("`failure`, no attempts are left, without a transition", last_bare, exhausted)
    yield Case(
        "`failure`, permanent, without a transition", bare, reported(Report("failure", failure=PERMANENT))
    )
    yield Case(
        "`failure`, invalid input, without a transition", bare, reported(Report("failure", failure=INVALID))
    )
    yield Case("`cancelled`, without a transition", bare, reported(Report("cancelled")))
    yield Case("another task or attempt", waiting, told("found", attempt=9))
    yield Case("recorded; of `progress` the last one is kept", taken, told("progress"))
    found = job_in(Waiting(TAKEN, ALL_WAYS, {"found": "next"}))
    yield Case("an event with a transition", found, told("found"))
    full = msgspec.structs.replace(TAKEN, events=Policy().max_task_events)
    yield Case("too many are recorded", job_in(Waiting(full, ALL_WAYS)), told("progress"))
    yield Case("deliveries are left", waiting, TaskAbandoned(TASK, 1, 5))
    yield Case("no deliveries are left, with a transition for `failure`", waiting, TaskAbandoned(TASK, 1, 6))
    yield Case("no deliveries are left, without a transition", bare, TaskAbandoned(TASK, 1, 6))
    yield Case("another task or attempt", waiting, DeadlinePassed(TASK, 9, Deadline.RESULT))
    yield Case("dispatch limit, task taken", taken, DeadlinePassed(TASK, 1, Deadline.DISPATCH))
    yield Case("dispatch limit, task not taken", waiting, DeadlinePassed(TASK, 1, Deadline.DISPATCH))
    yield Case("execution limit, attempts are left", taken, DeadlinePassed(TASK, 1, Deadline.EXECUTION))
    yield Case("execution limit, no attempts are left", last, DeadlinePassed(TASK, 4, Deadline.EXECUTION))
    yield Case("result limit", taken, DeadlinePassed(TASK, 1, Deadline.RESULT))
    yield Case("result limit, without a transition", bare, DeadlinePassed(TASK, 1, Deadline.RESULT))


def _gathering_cases() -> Iterator[Case]:
    two = job_in(Gathering(opened=2, width=2, left=2, then="sum"))
    one = job_in(Gathering(opened=2, width=2, left=1, then="sum"))
    collecting = job_in(Gathering(opened=2, width=2, left=2, then="sum", on_failure=OnFailure.COLLECT))
    rescued = job_in(Gathering(opened=2, width=2, left=2, then="sum", transitions={"failure": "rescue"}))
    open_, taken, ended = Branch(OPEN), Branch(TAKEN), Branch(OPEN, Report("success"))
    failed = failing(PERMANENT)
    yield Case("", two, TaskAccepted(TASK, 1, "w"), open_)
    yield Case("again", two, TaskAccepted(TASK, 1, "w"), taken)
    yield Case("a task of another fan-out", two, reported(Report("success")), None)
    yield Case("a branch that has ended", two, reported(Report("success")), ended)
    yield Case("not the last branch", two, reported(Report("success")), open_)
    yield Case("the last branch", one, reported(Report("success")), open_)
    retryable = failing(TRANSIENT)
    yield Case("`failure`, retryable, attempts are left", two, retryable, open_)
    yield Case("final failure, `on_failure` is `fail`", two, failed, open_)
    yield Case("final failure, `on_failure` is `fail`, with a transition", rescued, failed, open_)
    yield Case("final failure, `on_failure` is `collect`", collecting, failed, open_)
    yield Case("a branch that has ended", two, told("found"), ended)
    yield Case("recorded", two, told("progress"), Branch(TAKEN))
    yield Case("deliveries are left", two, TaskAbandoned(TASK, 1, 5), open_)
    yield Case(
        "no deliveries are left, `on_failure` is `collect`", collecting, TaskAbandoned(TASK, 1, 6), open_
    )
    yield Case("dispatch limit, task taken", two, DeadlinePassed(TASK, 1, Deadline.DISPATCH), taken)
    execution = DeadlinePassed(TASK, 1, Deadline.EXECUTION)
    yield Case("execution limit, attempts are left", two, execution, taken)
    result = DeadlinePassed(TASK, 1, Deadline.RESULT)
    yield Case("result limit, `on_failure` is `collect`", collecting, result, taken)
    yield Case("result limit, `on_failure` is `fail`", two, result, taken)


def _resting_cases() -> Iterator[Case]:
    asleep = job_in(Sleeping(3, NOW, "next"))
    listening, bare = job_in(Listening(3, "paid", ALL_WAYS, NOW)), job_in(Listening(3, "paid", {}, NOW))
    for job in (asleep, listening):
        yield Case("of an earlier rest", job, AlarmRang(2))
        yield Case("", job, AlarmRang(3))
        yield Case("of another name", job, SignalReceived("seen"))
    yield Case("without a transition", bare, AlarmRang(3))
    yield Case("of the name that the job waits for", listening, SignalReceived("paid"))


def _child_cases() -> Iterator[Case]:
    waiting, bare = job_in(AwaitingChild(3, CHILD, ALL_WAYS, NOW)), job_in(AwaitingChild(3, CHILD, {}, NOW))
    yield Case("of an earlier child", waiting, ChildEnded(2, CHILD, Verdict.FINISHED, "end"))
    yield Case("finished", waiting, ChildEnded(3, CHILD, Verdict.FINISHED, "end"))
    yield Case("failed", waiting, ChildEnded(3, CHILD, Verdict.FAILED, "end", failure=INVALID))
    yield Case("failed by a time-out", waiting, ChildEnded(3, CHILD, Verdict.FAILED, "end", failure=LATE))
    yield Case("in quarantine", waiting, ChildEnded(3, CHILD, Verdict.QUARANTINED, "end", failure=PERMANENT))
    yield Case("cancelled", waiting, ChildEnded(3, CHILD, Verdict.CANCELLED, "end"))
    for verdict in Verdict:
        event = ChildEnded(3, CHILD, verdict, "end")
        yield Case(f"{verdict}, without a transition", bare, event)
    yield Case("of an earlier rest", waiting, AlarmRang(2))
    yield Case("", waiting, AlarmRang(3))
    yield Case("without a transition", bare, AlarmRang(3))


def _human_cases() -> Iterator[Case]:
    asking = job_in(AwaitingHuman(3, "mail", "Ship it?", DECISIONS, due=NOW))
    bare = job_in(AwaitingHuman(3, "mail", "Ship it?", {"yes": "next"}, due=NOW))
    yield Case("of an earlier question", asking, HumanDecided(2, "yes"))
    yield Case("a decision that was not offered", asking, HumanDecided(3, "maybe"))
    yield Case("", asking, HumanDecided(3, "yes"))
    yield Case("of an earlier rest", asking, AlarmRang(2))
    yield Case("", asking, AlarmRang(3))
    yield Case("without a transition", bare, AlarmRang(3))


def _over_cases() -> Iterator[Case]:
    for verdict in Verdict:
        yield Case(str(verdict), job_in(Done(verdict)), Requeued())
    yield Case("of an aggregation", job_in(Done(Verdict.FAILED, gathered=2)), Requeued())
    for verdict in Verdict:
        yield Case(str(verdict), job_in(Done(verdict)), any_of(Rewound))
