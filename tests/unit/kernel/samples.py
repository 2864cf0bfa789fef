"""One job in every phase, and every kind of event for it: fitting, late, early and foreign."""

from msgspec import Raw
from msgspec.structs import replace

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
from avtomatika.kernel.effects import Effect
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
from avtomatika.kernel.ids import JobId, TaskId, child_id, task_id
from avtomatika.kernel.machine import transition
from avtomatika.kernel.model import (
    NULL,
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
    Phase,
    Policy,
    Ready,
    Report,
    Sleeping,
    Task,
    Verdict,
    Waiting,
)
from avtomatika.kernel.progress import Ignored, Moved, Outcome
from avtomatika.kernel.time import Instant, Span

J = JobId("j")
NOW = Instant(1_000_000)
VERSION = 7
OPENED = 5
ORDER = Order(skill="s")
TRANSITIONS = {"success": "next", "failure": "failed", "cancelled": "undone"}
EVENT_TRANSITIONS = {"found": "search over"}
DECISIONS = {"yes": "next", "no": "undone", "timeout": "failed"}
OK = Report("success", "w", Raw(b'{"a":1}'))
CHILD = child_id(J, OPENED)
PARENT = Parent(JobId("p"), 3, 1)
URL = "https://client.example/hook"


def a_job(phase: Phase | None = None, version: int = VERSION, policy: Policy | None = None) -> Job:
    """A job in its middle."""
    return Job(
        id=J,
        blueprint="b",
        edition="1",
        state="here",
        phase=phase or Ready(),
        policy=policy or Policy(),
        created=Instant(0),
        updated=Instant(0),
        version=version,
        steps=min(version, 3),
    )


def a_task(index: int = 0, opened: int = OPENED, **changes: object) -> Task:
    """A task that is out."""
    task = Task(id=task_id(J, opened, index), order=ORDER, execution_timeout=Span(300_000))
    return replace(task, **changes)


def waiting(
    transitions: dict[str, str] | None = None, policy: Policy | None = None, **changes: object
) -> Job:
    """A job that waits for one task."""
    chosen = TRANSITIONS if transitions is None else transitions
    return a_job(Waiting(a_task(**changes), chosen, EVENT_TRANSITIONS), policy=policy)


def gathering(
    on_failure: OnFailure = OnFailure.FAIL,
    *,
    width: int = 3,
    left: int = 2,
    transitions: dict[str, str] | None = None,
) -> Job:
    """A job that waits for the branches of a fan-out."""
    return a_job(Gathering(OPENED, width, left, "all", on_failure, transitions or {}))


def awaiting_child(transitions: dict[str, str] | None = None, due: Instant | None = NOW) -> Job:
    """A job that waits for its child."""
    return a_job(AwaitingChild(OPENED, CHILD, TRANSITIONS if transitions is None else transitions, due))


def awaiting_human(transitions: dict[str, str] | None = None, due: Instant | None = NOW) -> Job:
    """A job that waits for somebody to decide."""
    chosen = DECISIONS if transitions is None else transitions
    return a_job(AwaitingHuman(OPENED, "mail", "Ship it?", chosen, due=due))


def over(verdict: Verdict, gathered: int | None = None) -> Job:
    """A job that has ended."""
    return a_job(Done(verdict, gathered=gathered))


def child_ended(verdict: Verdict, failure: Failure | None = None, result: Raw = NULL) -> ChildEnded:
    """The event that the child has ended."""
    return ChildEnded(OPENED, CHILD, verdict, "its end", result, failure)


def failed(code: str, message: str = "m") -> Report:
    """The report of a failure."""
    return Report("failure", "w", failure=Failure(code=code, message=message))


def reported(report: Report, task: TaskId | None = None, attempt: int = 1) -> TaskReported:
    """The event that a worker reported."""
    return TaskReported(task or a_task().id, attempt, 1, report)


def signalled(
    name: str = "progress", payload: bytes = b'{"progress":0.5}', task: TaskId | None = None, attempt: int = 1
) -> TaskSignalled:
    """The event that a worker told something."""
    return TaskSignalled(task or a_task().id, attempt, 1, "w", name, Raw(payload))


def decided(decision: Decision, version: int = VERSION) -> Decided:
    """The event that the handler decided."""
    return Decided(version, decision)


def moved(job: Job, event: Event, branch: Branch | None = None, now: Instant = NOW) -> Moved:
    """The move that the event makes."""
    outcome = transition(job, event, now, branch)
    assert isinstance(outcome, Moved), outcome
    return outcome


PHASES: dict[str, Job] = {
    "new": a_job(version=0),
    "ready": a_job(),
    "aggregating": a_job(Ready(gathered=OPENED)),
    "waiting": waiting(),
    "accepted": waiting(accepted=True),
    "gather fail": gathering(),
    "gather collect": gathering(OnFailure.COLLECT),
    "gather last": gathering(OnFailure.COLLECT, left=1),
    "asleep": a_job(Sleeping(OPENED, NOW, "next")),
    "listening": a_job(Listening(OPENED, "paid", TRANSITIONS, NOW)),
    "awaiting child": awaiting_child(),
    "awaiting human": awaiting_human(),
    "finished": over(Verdict.FINISHED),
    "cancelled": over(Verdict.CANCELLED),
    "failed": over(Verdict.FAILED),
    "in quarantine": over(Verdict.QUARANTINED),
    "failed aggregating": over(Verdict.FAILED, gathered=OPENED),
}

_OPEN = a_task().id
_FOREIGN = task_id(J, OPENED - 1, 0)
_CRASH = Failure(code="HANDLER_ERROR", message="m")

EVENTS: dict[str, Event] = {
    "submitted": Submitted(a_job(version=0)),
    "decided go to": decided(GoTo("next")),
    "decided dispatch": decided(Dispatch(ORDER, TRANSITIONS)),
    "decided fan-out": decided(FanOut((ORDER, ORDER), "all")),
    "decided sleep": decided(Sleep(Span(1_000), then="next")),
    "decided listen": decided(Listen("paid", TRANSITIONS, Span(1_000))),
    "decided run child": decided(RunChild("other", {}, TRANSITIONS, "1", "start", Span(1_000))),
    "decided ask": decided(Ask("mail", "Ship it?", DECISIONS, Span(1_000))),
    "decided finish": decided(Finish()),
    "decided, stale": decided(GoTo("next"), VERSION - 1),
    "decided, ahead": decided(GoTo("next"), VERSION + 1),
    "crashed": HandlerCrashed(VERSION, _CRASH),
    "crashed, stale": HandlerCrashed(VERSION - 1, _CRASH),
    "run abandoned": RunAbandoned(VERSION, 6),
    "run abandoned, deliveries left": RunAbandoned(VERSION, 5),
    "run abandoned, stale": RunAbandoned(VERSION - 1, 6),
    "task accepted": TaskAccepted(_OPEN, 1, "w"),
    "task accepted, other attempt": TaskAccepted(_OPEN, 2, "w"),
    "task accepted, foreign": TaskAccepted(_FOREIGN, 1, "w"),
    "success": reported(OK),
    "success, other attempt": reported(OK, attempt=2),
    "success, foreign": reported(OK, _FOREIGN),
    "unlisted status": reported(Report("odd", "w")),
    "transient failure": reported(failed("TRANSIENT_ERROR")),
    "permanent failure": reported(failed("PERMANENT_ERROR")),
    "cancelled by worker": reported(Report("cancelled", "w")),
    "progress": signalled(),
    "event with a transition": signalled("found", b'{"at":3}'),
    "event, other attempt": signalled("found", attempt=2),
    "event, foreign": signalled("found", task=_FOREIGN),
    "task abandoned": TaskAbandoned(_OPEN, 1, 6),
    "task abandoned, deliveries left": TaskAbandoned(_OPEN, 1, 5),
    "task abandoned, foreign": TaskAbandoned(_FOREIGN, 1, 6),
    "dispatch deadline": DeadlinePassed(_OPEN, 1, Deadline.DISPATCH),
    "execution deadline": DeadlinePassed(_OPEN, 1, Deadline.EXECUTION),
    "result deadline": DeadlinePassed(_OPEN, 1, Deadline.RESULT),
    "deadline, other attempt": DeadlinePassed(_OPEN, 2, Deadline.RESULT),
    "alarm": AlarmRang(OPENED),
    "alarm, stale": AlarmRang(OPENED - 1),
    "signal": SignalReceived("paid", Raw(b'{"by":"card"}')),
    "signal, other name": SignalReceived("seen"),
    "child finished": child_ended(Verdict.FINISHED, result=Raw(b'{"n":1}')),
    "child failed": child_ended(Verdict.FAILED, Failure(code="INVALID_INPUT_ERROR", message="m")),
    "child timed out": child_ended(Verdict.FAILED, Failure(code="TIMEOUT_ERROR", message="m")),
    "child in quarantine": child_ended(Verdict.QUARANTINED),
    "child cancelled": child_ended(Verdict.CANCELLED),
    "child ended, stale": replace(child_ended(Verdict.FINISHED), since=OPENED - 1),
    "child ended, foreign": replace(child_ended(Verdict.FINISHED), child=JobId("k_5")),
    "yes": HumanDecided(OPENED, "yes", Raw(b'{"why":"fits"}'), "ann"),
    "yes, stale": HumanDecided(OPENED - 1, "yes"),
    "yes, ahead": HumanDecided(OPENED + 1, "yes"),
    "a decision nobody offered": HumanDecided(OPENED, "maybe"),
    "time-out as a decision": HumanDecided(OPENED, "timeout"),
    "requeued": Requeued("ann"),
    "rewound": Rewound(3, "there", {"x": Raw(b"1")}, {"y": Raw(b"2")}, Raw(b"3"), "ann"),
    "cancel": CancelRequested(),
}


def branch_for(phase: str, event: Event) -> Branch | None:
    """The record that a store would find for the event."""
    task = getattr(event, "task", None)
    if not phase.startswith("gather") or task != _OPEN:
        return None
    return Branch(a_task())


def in_words(outcome: Outcome) -> str:
    """What became of the job and what the outside is asked to do, short enough for a table."""
    if isinstance(outcome, Ignored):
        return f"ignored: {outcome.reason}"
    job, phase = outcome.job, outcome.job.phase
    match phase:
        case Ready(attempt=attempt, gathered=gathered):
            text = f"ready({job.state}" + (f", try {attempt}" if attempt > 1 else "")
            text += ")" if gathered is None else f", of {gathered})"
        case Waiting(task=task):
            told = f", {task.events} told" if task.events else ""
            text = f"waiting({task.attempt}{', accepted' if task.accepted else ''}{told})"
        case Gathering(left=left, width=width):
            text = f"gathering({left} of {width})"
        case Sleeping(then=then):
            text = f"asleep({then})"
        case Listening(name=name):
            text = f"listening({name})"
        case AwaitingChild(child=child):
            text = f"awaiting({child})"
        case AwaitingHuman():
            text = "awaiting a human"
        case Done(verdict=verdict):
            code = "" if job.failure is None else f", {job.failure.code}"
            text = f"done({verdict}{code})"
    kept = f" [{len(job.signals)} kept]" if job.signals else ""
    return " ".join([text + kept, *_counted(outcome.effects)])


def _counted(effects: tuple[Effect, ...]) -> list[str]:
    kinds = [type(effect).__name__ for effect in effects]
    return [f"{kind}*{kinds.count(kind)}" if kinds.count(kind) > 1 else kind for kind in dict.fromkeys(kinds)]
