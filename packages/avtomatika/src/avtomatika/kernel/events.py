"""What can happen to a job, in the past tense. An event carries all that the rules need to judge it."""

from enum import StrEnum

from msgspec import Raw

from avtomatika.kernel.decisions import Decision
from avtomatika.kernel.ids import JobId, TaskId
from avtomatika.kernel.model import NULL, Data, Failure, Job, Report, Signal, Value, Verdict


class Deadline(StrEnum):
    """Which limit of a task ran out: waiting for a worker, being worked on, or as a whole."""

    DISPATCH = "dispatch"
    EXECUTION = "execution"
    RESULT = "result"


class Submitted(Value, frozen=True):
    """A client asked for a job. `job` is its version 0, before any rule has seen it."""

    job: Job


class Decided(Value, frozen=True):
    """A handler that looked at `version` came to a decision. `history` is the state history if it changed.

    `told` is what it had to tell whoever follows the job.
    """

    version: int
    decision: Decision
    input: Data | None = None
    history: Data | None = None
    returned: Raw = NULL
    told: tuple[Signal, ...] = ()


class HandlerCrashed(Value, frozen=True):
    """A handler that looked at `version` raised, or broke the rules of handlers."""

    version: int
    failure: Failure


class RunAbandoned(Value, frozen=True):
    """The run of a handler for `version` was begun `deliveries` times and never came to an end."""

    version: int
    deliveries: int


class TaskAccepted(Value, frozen=True):
    """A worker took the task."""

    task: TaskId
    attempt: int
    worker: str


class TaskReported(Value, frozen=True):
    """The worker that held the task reported."""

    task: TaskId
    attempt: int
    delivery: int
    report: Report


class TaskSignalled(Value, frozen=True):
    """The worker that holds the task told something about it, in an object of its own.

    `event_id` is the worker's name for this event: the same one a second time is the same event. `origin` is
    whom it comes from, when that is proven to be another one than the worker.
    """

    task: TaskId
    attempt: int
    delivery: int
    worker: str
    name: str
    payload: Raw = NULL
    event_id: str = ""
    origin: str = ""


class TaskAbandoned(Value, frozen=True):
    """The task was handed out `deliveries` times and no worker lived to report."""

    task: TaskId
    attempt: int
    deliveries: int


class DeadlinePassed(Value, frozen=True):
    """A limit of an attempt of a task ran out."""

    task: TaskId
    attempt: int
    deadline: Deadline


class AlarmRang(Value, frozen=True):
    """The time that the job set at version `since` has come."""

    since: int


class SignalReceived(Value, frozen=True):
    """Somebody sent the job a signal, with data of its own."""

    name: str
    payload: Raw = NULL


class ChildEnded(Value, frozen=True):
    """The child that the job waits for since its version `since` has ended, in `state`."""

    since: int
    child: JobId
    verdict: Verdict
    state: str
    result: Raw = NULL
    failure: Failure | None = None


class HumanDecided(Value, frozen=True):
    """A person, known as `by`, answered the question that was asked at version `question`."""

    question: int
    decision: str
    data: Raw = NULL
    by: str = ""


class Requeued(Value, frozen=True):
    """An operator asked to run the handler once more in the state where the job ended."""

    by: str = ""


class Rewound(Value, frozen=True):
    """An operator asked to go on from where the job was at version `to`: its state and its data of then."""

    to: int
    state: str
    input: Data
    history: Data
    last: Raw = NULL
    by: str = ""


class CancelRequested(Value, frozen=True):
    """Somebody who may do so asked to end the job."""

    reason: str = "cancelled on request"


TaskEvent = TaskAccepted | TaskReported | TaskSignalled | TaskAbandoned | DeadlinePassed
"""The events that speak of one task, and so of one branch when a fan-out is out."""

OutsideEvent = (
    Submitted | AlarmRang | SignalReceived | ChildEnded | HumanDecided | Requeued | Rewound | CancelRequested
)
"""The events that neither a handler nor a worker brings about."""

Event = Decided | HandlerCrashed | RunAbandoned | TaskEvent | OutsideEvent
