"""The rulebook as tables: what each event does in each phase, found out by asking the kernel."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, get_args

import msgspec

from avtomatika.kernel.decisions import Dispatch, FanOut, Finish, GoTo, Listen, Sleep
from avtomatika.kernel.effects import Effect
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
from avtomatika.kernel.ids import JobId, task_id
from avtomatika.kernel.machine import transition
from avtomatika.kernel.model import (
    Branch,
    Done,
    Failure,
    Gathering,
    Job,
    Listening,
    OnFailure,
    Order,
    Phase,
    Policy,
    Ready,
    Report,
    Signal,
    Sleeping,
    Task,
    Verdict,
    Waiting,
)
from avtomatika.kernel.progress import Ignored
from avtomatika.kernel.time import Instant, Span
from generators.markdown import NOTE, code, table

NOW = Instant(1_000_000)
NAME = JobId("j")
TASK = task_id(NAME, 2, 0)
SECOND = task_id(NAME, 2, 1)
ORDER = Order(skill="s")
OPEN = Task(id=TASK, order=ORDER, execution_timeout=Span(1_000))
TAKEN = msgspec.structs.replace(OPEN, accepted=True)
LAST = msgspec.structs.replace(OPEN, attempt=4)
TRANSIENT = Failure(code="TRANSIENT_ERROR", message="")
PERMANENT = Failure(code="PERMANENT_ERROR", message="")
INVALID = Failure(code="INVALID_INPUT_ERROR", message="")
ALL_WAYS = {"success": "next", "failure": "rescue", "timeout": "late", "cancelled": "stopped"}

PHASES: Sequence[type] = get_args(Phase)
EVENTS: Sequence[type] = get_args(Event)


class Case(NamedTuple):
    """A job, an event, and in words what is special about them."""

    words: str
    job: Job
    event: Event
    branch: Branch | None = None


def page() -> str:
    """The page as Markdown."""
    sections = "\n\n".join(_section(phase) for phase in PHASES)
    return f"""# State machine of jobs

{NOTE}

What each event does to a job in each phase. The tables are made by asking the kernel,
`avtomatika.kernel.machine.transition`; every pair of phase and event is there.

The *phase* is what the job is doing, and is all that the rules look at. The *state* is the place in the
user's blueprint. The *status* is the word for the phase in the HTTP API:

{table(("Phase", "Status", "Meaning"), _statuses())}

The events:

{table(("Event", "Meaning"), ((code(kind.__name__), _meaning(kind)) for kind in EVENTS))}

The effects, each of which becomes a message, or takes one back, in the same commit:

{table(("Effect", "Meaning"), ((code(kind.__name__), _meaning(kind)) for kind in get_args(Effect)))}

The jobs that the kernel was asked about are in the state `here`; `next`, `rescue`, `late` and `sum` stand for
what `go_to`, transitions and `aggregate_into` name.

An event that does not fit is *ignored*, with a reason: that is an answer, not an error. Every move makes the
version of the job greater by one.

{sections}
"""


def cases() -> Iterator[Case]:
    """At least one case for every pair of phase and event."""
    yield from _ready_cases()
    yield from _waiting_cases()
    yield from _gathering_cases()
    yield from _resting_cases()
    over = _job(Done(Verdict.FINISHED))
    for kind in EVENTS:
        yield Case("", over, _any(kind))


def _ready_cases() -> Iterator[Case]:
    fresh, ready = _job(Ready(), version=0), _job(Ready())
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
    yield Case("of an aggregator, `go_to`", _job(Ready(gathered=2)), Decided(3, GoTo("next")))
    yield Case("`sleep`", ready, Decided(ready.version, Sleep(Span(5), then="next")))
    listen = Decided(ready.version, Listen("paid", ALL_WAYS, Span(5)))
    yield Case("`wait_for_event`", ready, listen)
    heard = msgspec.structs.replace(ready, signals=(Signal("paid"),))
    yield Case("`wait_for_event`, the event came before", heard, listen)
    yield Case("before the submission", fresh, SignalReceived("paid"))
    yield Case("kept until the job waits for it", ready, SignalReceived("paid"))
    many = msgspec.structs.replace(ready, signals=(Signal("seen"),) * ready.policy.max_signals)
    yield Case("too many are kept", many, SignalReceived("paid"))
    yield Case("end state", ready, Decided(ready.version, Finish()))
    yield Case("end state that failed", ready, Decided(ready.version, Finish(Verdict.FAILED)))
    yield Case("of another version", ready, HandlerCrashed(99, TRANSIENT))
    yield Case("attempts are left", ready, HandlerCrashed(ready.version, TRANSIENT))
    yield Case("no attempts are left", _job(Ready(attempt=4)), HandlerCrashed(3, TRANSIENT))
    mistake = Failure(code="BLUEPRINT_ERROR", message="")
    yield Case("a mistake in the blueprint", ready, HandlerCrashed(ready.version, mistake))
    yield Case("of another version", ready, RunAbandoned(99, 6))
    yield Case("deliveries are left", ready, RunAbandoned(ready.version, 5))
    yield Case("no deliveries are left", ready, RunAbandoned(ready.version, 6))
    for kind in (
        TaskAccepted,
        TaskReported,
        TaskSignalled,
        TaskAbandoned,
        DeadlinePassed,
        AlarmRang,
        CancelRequested,
    ):
        yield Case("", ready, _any(kind))


def _waiting_cases() -> Iterator[Case]:
    waiting, taken = _job(Waiting(OPEN, ALL_WAYS)), _job(Waiting(TAKEN, ALL_WAYS))
    bare, last = _job(Waiting(OPEN, {})), _job(Waiting(LAST, ALL_WAYS))
    last_bare = _job(Waiting(LAST, {}))
    for kind in (
        Submitted,
        Decided,
        HandlerCrashed,
        RunAbandoned,
        AlarmRang,
        SignalReceived,
        CancelRequested,
    ):
        yield Case("", waiting, _any(kind))
    yield Case("another task or attempt", waiting, TaskAccepted(TASK, 9, "w"))
    yield Case("", waiting, TaskAccepted(TASK, 1, "w"))
    yield Case("again", taken, TaskAccepted(TASK, 1, "w"))
    yield Case("another task or attempt", waiting, _reported(Report("success"), attempt=9))
    yield Case("a status with a transition", waiting, _reported(Report("success")))
    yield Case("a status without a transition", bare, _reported(Report("success")))
    yield Case(
        "`failure`, retryable, attempts are left", waiting, _reported(Report("failure", failure=TRANSIENT))
    )
    exhausted = _failed(TRANSIENT, attempt=4)
    yield Case("`failure`, no attempts are left, with a transition", last, exhausted)
    yield Case("`failure`, no attempts are left, without a transition", last_bare, exhausted)
    yield Case(
        "`failure`, permanent, without a transition", bare, _reported(Report("failure", failure=PERMANENT))
    )
    yield Case(
        "`failure`, invalid input, without a transition", bare, _reported(Report("failure", failure=INVALID))
    )
    yield Case("`cancelled`, without a transition", bare, _reported(Report("cancelled")))
    yield Case("another task or attempt", waiting, _told("found", attempt=9))
    yield Case("recorded; of `progress` the last one is kept", taken, _told("progress"))
    found = _job(Waiting(TAKEN, ALL_WAYS, {"found": "next"}))
    yield Case("an event with a transition", found, _told("found"))
    full = msgspec.structs.replace(TAKEN, events=Policy().max_task_events)
    yield Case("too many are recorded", _job(Waiting(full, ALL_WAYS)), _told("progress"))
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
    two = _job(Gathering(opened=2, width=2, left=2, then="sum"))
    one = _job(Gathering(opened=2, width=2, left=1, then="sum"))
    collecting = _job(Gathering(opened=2, width=2, left=2, then="sum", on_failure=OnFailure.COLLECT))
    rescued = _job(Gathering(opened=2, width=2, left=2, then="sum", transitions={"failure": "rescue"}))
    open_, taken, ended = Branch(OPEN), Branch(TAKEN), Branch(OPEN, Report("success"))
    failed = _failed(PERMANENT)
    for kind in (
        Submitted,
        Decided,
        HandlerCrashed,
        RunAbandoned,
        AlarmRang,
        SignalReceived,
        CancelRequested,
    ):
        yield Case("", two, _any(kind))
    yield Case("", two, TaskAccepted(TASK, 1, "w"), open_)
    yield Case("again", two, TaskAccepted(TASK, 1, "w"), taken)
    yield Case("a task of another fan-out", two, _reported(Report("success")), None)
    yield Case("a branch that has ended", two, _reported(Report("success")), ended)
    yield Case("not the last branch", two, _reported(Report("success")), open_)
    yield Case("the last branch", one, _reported(Report("success")), open_)
    retryable = _failed(TRANSIENT)
    yield Case("`failure`, retryable, attempts are left", two, retryable, open_)
    yield Case("final failure, `on_failure` is `fail`", two, failed, open_)
    yield Case("final failure, `on_failure` is `fail`, with a transition", rescued, failed, open_)
    yield Case("final failure, `on_failure` is `collect`", collecting, failed, open_)
    yield Case("a branch that has ended", two, _told("found"), ended)
    yield Case("recorded", two, _told("progress"), Branch(TAKEN))
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
    asleep = _job(Sleeping(3, NOW, "next"))
    listening, bare = _job(Listening(3, "paid", ALL_WAYS, NOW)), _job(Listening(3, "paid", {}, NOW))
    never = (Submitted, Decided, HandlerCrashed, RunAbandoned, CancelRequested)
    for kind in (*never, TaskAccepted, TaskReported, TaskSignalled, TaskAbandoned, DeadlinePassed):
        yield Case("", asleep, _any(kind))
        yield Case("", listening, _any(kind))
    for job in (asleep, listening):
        yield Case("of an earlier rest", job, AlarmRang(2))
        yield Case("", job, AlarmRang(3))
        yield Case("of another name", job, SignalReceived("seen"))
    yield Case("without a transition", bare, AlarmRang(3))
    yield Case("of the name that the job waits for", listening, SignalReceived("paid"))


def _section(phase: type) -> str:
    rows = [_row(case) for case in cases() if type(case.job.phase) is phase]
    order = {kind.__name__: place for place, kind in enumerate(EVENTS)}
    rows.sort(key=lambda row: order[row[0].strip("`")])
    heading = f"## {phase.__name__}\n\n{_meaning(phase)}"
    return f"{heading}\n\n{table(('Event', 'When', 'Outcome', 'Effects'), rows)}"


def _row(case: Case) -> tuple[str, str, str, str]:
    outcome = transition(case.job, case.event, NOW, case.branch)
    event = code(type(case.event).__name__)
    if isinstance(outcome, Ignored):
        return event, case.words, f"ignored: {code(outcome.reason)}", ""
    effects = dict.fromkeys(_effect(effect) for effect in outcome.effects)
    return event, case.words, _after(case.job, outcome.job), ", ".join(effects)


def _after(before: Job, job: Job) -> str:
    phase = job.phase
    if isinstance(phase, Done):
        why = "" if job.failure in (None, before.failure) else f", {code(job.failure.code)}"
        return f"**Done**: {phase.verdict}{why}"
    name = f"**{type(phase).__name__}**"
    if isinstance(phase, Ready):
        moved = job.state != before.state or job.steps != before.steps
        return f"{name} in state {code(job.state)}" if moved else f"{name}, attempt {phase.attempt}"
    if isinstance(phase, Waiting):
        return f"{name}, attempt {phase.task.attempt}"
    return f"{name}, {phase.left} of {phase.width} left" if isinstance(phase, Gathering) else name


def _effect(effect: Effect) -> str:
    deadline = getattr(effect, "deadline", None)
    return code(type(effect).__name__) + ("" if deadline is None else f" ({deadline})")


def _statuses() -> Iterator[tuple[str, str, str]]:
    first, later = _job(Ready(), version=1), _job(Ready())
    yield code("Ready"), f"{code(first.status)} at version 1, then {code(later.status)}", _meaning(Ready)
    gathering = Gathering(opened=2, width=1, left=1, then="sum")
    for phase in (Waiting(OPEN, {}), gathering, Sleeping(3, NOW, "next"), Listening(3, "paid", {})):
        yield code(type(phase).__name__), code(_job(phase).status), _meaning(type(phase))
    verdicts = ", ".join(code(_job(Done(verdict)).status) for verdict in Verdict)
    yield code("Done"), verdicts, _meaning(Done)


def _meaning(kind: type) -> str:
    return " ".join((kind.__doc__ or "").strip().split("\n\n")[0].split())


def _job(phase: Phase, version: int = 3) -> Job:
    return Job(
        id=NAME,
        blueprint="b",
        edition="1",
        state="here",
        phase=phase,
        policy=Policy(),
        created=NOW,
        updated=NOW,
        version=version,
    )


def _reported(report: Report, attempt: int = 1) -> TaskReported:
    return TaskReported(TASK, attempt, 1, report)


def _told(name: str, attempt: int = 1) -> TaskSignalled:
    return TaskSignalled(TASK, attempt, 1, "w", name)


def _failed(failure: Failure, attempt: int = 1) -> TaskReported:
    return _reported(Report("failure", failure=failure), attempt)


def _any(kind: type) -> Event:
    samples: Sequence[Event] = (
        Submitted(_job(Ready(), version=0)),
        Decided(3, GoTo("next")),
        HandlerCrashed(3, TRANSIENT),
        RunAbandoned(3, 6),
        TaskAccepted(SECOND, 1, "w"),
        TaskReported(SECOND, 1, 1, Report("success")),
        TaskSignalled(SECOND, 1, 1, "w", "found"),
        TaskAbandoned(SECOND, 1, 6),
        DeadlinePassed(SECOND, 1, Deadline.RESULT),
        AlarmRang(2),
        SignalReceived("paid"),
        CancelRequested(),
    )
    return next(sample for sample in samples if type(sample) is kind)
