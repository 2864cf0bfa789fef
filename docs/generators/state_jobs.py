"""The jobs and events that the tables of the rulebook are about."""

from collections.abc import Sequence
from typing import get_args

import msgspec

from avtomatika.kernel.decisions import GoTo
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
from avtomatika.kernel.ids import JobId, child_id, task_id
from avtomatika.kernel.model import (
    AwaitingChild,
    AwaitingHuman,
    Done,
    Failure,
    Gathering,
    Job,
    Listening,
    Order,
    Phase,
    Policy,
    Ready,
    Report,
    Sleeping,
    Task,
    Verdict,
    Waiting,
)
from avtomatika.kernel.time import Instant, Span

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
LATE = Failure(code="TIMEOUT_ERROR", message="")
CHILD = child_id(NAME, 3)
DECISIONS = {"yes": "next", "no": "stopped", "timeout": "late"}
ALL_WAYS = {"success": "next", "failure": "rescue", "timeout": "late", "cancelled": "stopped"}

PHASES: Sequence[type] = get_args(Phase)
EVENTS: Sequence[type] = get_args(Event)
SAMPLES: Sequence[Phase] = (
    Ready(),
    Waiting(OPEN, ALL_WAYS),
    Gathering(opened=2, width=2, left=2, then="sum"),
    Sleeping(3, NOW, "next"),
    Listening(3, "paid", ALL_WAYS, NOW),
    AwaitingChild(3, CHILD, ALL_WAYS, NOW),
    AwaitingHuman(3, "mail", "Ship it?", DECISIONS, due=NOW),
    Done(Verdict.FINISHED),
)
"""A job in each phase, for the events that it has no use for."""


def job_in(phase: Phase, version: int = 3) -> Job:
    """A job in its middle, in the phase."""
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


def reported(report: Report, attempt: int = 1) -> TaskReported:
    """The event that a worker reported."""
    return TaskReported(TASK, attempt, 1, report)


def told(name: str, attempt: int = 1) -> TaskSignalled:
    """The event that a worker told something."""
    return TaskSignalled(TASK, attempt, 1, "w", name)


def failing(failure: Failure, attempt: int = 1) -> TaskReported:
    """The event that a worker reported a failure."""
    return reported(Report("failure", failure=failure), attempt)


def any_of(kind: type) -> Event:
    """An event of the kind, of which nothing special is to be said."""
    samples: Sequence[Event] = (
        Submitted(job_in(Ready(), version=0)),
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
        ChildEnded(2, CHILD, Verdict.FINISHED, "end"),
        HumanDecided(2, "yes"),
        Requeued(),
        Rewound(1, "earlier", {}, {}),
        CancelRequested(),
    )
    return next(sample for sample in samples if type(sample) is kind)
