"""What a job is. Values only: frozen, serialisable; user data stays encoded and is never altered."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Raw

from avtomatika.kernel.ids import JobId, TaskId
from avtomatika.kernel.time import Instant, Span

NULL: Final = Raw(b"null")
"""No value. JSON null and absence are the same for results, data of tasks and details."""

Data = Mapping[str, Raw]
"""A JSON object whose members are kept as the bytes they arrived in."""


class Value(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Root of every stored value: tagged, so that unions decode, and open to fields of later versions."""


class Verdict(StrEnum):
    """How a job ended."""

    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"


class Status(StrEnum):
    """Where a job stands, in the words of the public API (protocol facts 1.3)."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING_FOR_WORKER = "waiting_for_worker"
    WAITING_FOR_PARALLEL_TASKS = "waiting_for_parallel_tasks"
    WAITING_FOR_SUB_JOB = "waiting_for_sub_job"
    WAITING_FOR_HUMAN = "waiting_for_human"
    SLEEPING = "sleeping"
    WAITING_FOR_EVENT = "waiting_for_event"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"


class OnFailure(StrEnum):
    """What the final failure of one branch does to a fan-out."""

    FAIL = "fail"
    COLLECT = "collect"


class Failure(Value, frozen=True):
    """Why something did not work, in the words of whoever saw it."""

    code: str
    message: str
    task: TaskId | None = None
    details: Raw = NULL


class Policy(Value, frozen=True):
    """Limits of one job, as of its submission. Files of workers stay for `keep_files` after its end."""

    handler_retries: int = 3
    task_retries: int = 3
    max_deliveries: int = 5
    max_steps: int = 100
    max_signals: int = 100
    max_task_events: int = 1_000
    max_depth: int = 10
    execution_timeout: Span = Span(300_000)
    dispatch_timeout: Span | None = None
    result_timeout: Span | None = None
    backoff_first: Span = Span(1_000)
    backoff_most: Span = Span(300_000)
    keep_files: Span | None = None


class Order(Value, frozen=True):
    """What a handler asks a worker to do, and what a worker must offer to get it."""

    skill: str
    params: Raw = Raw(b"{}")
    skill_version: str | None = None
    skill_type: str | None = None
    strategy: str = "default"
    max_cost: float | None = None
    requirements: Raw = NULL
    output_schema: Raw = NULL
    priority: float = 0.0
    execution_timeout: Span | None = None
    dispatch_timeout: Span | None = None
    result_timeout: Span | None = None
    retries: int | None = None


class Task(Value, frozen=True):
    """An order that was given out. `attempt` counts the retries that the rules granted, from 1.

    `events` counts what workers told about it, `progress` is what the one that holds it told last.
    `avoid` is the worker that failed at the attempt before.
    """

    id: TaskId
    order: Order
    execution_timeout: Span
    attempt: int = 1
    dispatch_due: Instant | None = None
    result_due: Instant | None = None
    accepted: bool = False
    events: int = 0
    progress: Raw = NULL
    avoid: str = ""


class Report(Value, frozen=True):
    """What came of a task. `origin` did the work, when that is proven to be another one than `worker`."""

    status: str
    worker: str = ""
    data: Raw = NULL
    failure: Failure | None = None
    origin: str = ""


class Branch(Value, frozen=True):
    """One task of a fan-out, kept as a record of its own beside the job. `report` once it has ended."""

    task: Task
    report: Report | None = None


class Ready(Value, frozen=True):
    """A handler must run for the current state. `gathered` names the fan-out that it aggregates.

    `later` counts the moves that the job made since, without making the run stale.
    """

    attempt: int = 1
    gathered: int | None = None
    later: int = 0


class Waiting(Value, frozen=True):
    """One task is out."""

    task: Task
    transitions: dict[str, str]
    event_transitions: dict[str, str] = {}


class Gathering(Value, frozen=True):
    """A fan-out is out: branches `0 … width-1` of version `opened`, of which `left` have not ended."""

    opened: int
    width: int
    left: int
    then: str
    on_failure: OnFailure = OnFailure.FAIL
    transitions: dict[str, str] = {}


class Sleeping(Value, frozen=True):
    """The job rests until a moment. `since` is the version that began it, and names its alarm."""

    since: int
    until: Instant
    then: str


class Listening(Value, frozen=True):
    """The job waits for a signal from outside, until `due` if that is given."""

    since: int
    name: str
    transitions: dict[str, str]
    due: Instant | None = None


class AwaitingChild(Value, frozen=True):
    """A child runs for the job, until `due` if that is given."""

    since: int
    child: JobId
    transitions: dict[str, str]
    due: Instant | None = None


class AwaitingHuman(Value, frozen=True):
    """Somebody has to decide: one of the keys of `transitions`, until `due` if that is given.

    `since` names the question, `asked` is when. `schema`: what data that come with a decision are like.
    """

    since: int
    integration: str
    message: str
    transitions: dict[str, str]
    schema: Raw = NULL
    due: Instant | None = None
    asked: Instant = Instant(0)


class Done(Value, frozen=True):
    """The job is over. `gathered` names the fan-out that it was aggregating when it ended."""

    verdict: Verdict
    result: Raw = NULL
    gathered: int | None = None


Phase = Ready | Waiting | Gathering | Sleeping | Listening | AwaitingChild | AwaitingHuman | Done


class Signal(Value, frozen=True):
    """Something that was sent to the job from outside and that it has not listened for yet."""

    name: str
    payload: Raw = NULL


class Parent(Value, frozen=True):
    """The job that waits for this one since its version `since`. `depth` is 1 for the child of a root."""

    job: JobId
    since: int
    depth: int


class Job(Value, frozen=True):
    """One run of a blueprint. `version` counts its moves: the comparand of commits, the source of names.

    `due` is when nobody waits for its end any more. `source` tells what made it, when it was no client.
    """

    id: JobId
    blueprint: str
    edition: str
    state: str
    phase: Phase
    policy: Policy
    created: Instant
    updated: Instant
    client: str = ""
    webhook_url: str | None = None
    tracing: dict[str, str] = {}
    labels: dict[str, str] = {}
    priority: float = 0.0
    due: Instant | None = None
    parent: Parent | None = None
    source: str = ""
    version: int = 0
    steps: int = 0
    input: Data = {}
    history: Data = {}
    last: Raw = NULL
    failure: Failure | None = None
    signals: tuple[Signal, ...] = ()

    @property
    def over(self) -> bool:
        """True when the job has ended."""
        return isinstance(self.phase, Done)

    @property
    def final(self) -> bool:
        """True when no event can move the job any more."""
        phase = self.phase
        return isinstance(phase, Done) and phase.verdict in (Verdict.FINISHED, Verdict.CANCELLED)

    @property
    def run(self) -> int:
        """The version that made the due run due: what its message and its decision are named by."""
        return self.version - (self.phase.later if isinstance(self.phase, Ready) else 0)

    @property
    def status(self) -> Status:
        """Where the job stands."""
        match self.phase:
            case Ready():
                return Status.PENDING if self.run == 1 else Status.RUNNING
            case Waiting():
                return Status.WAITING_FOR_WORKER
            case Gathering():
                return Status.WAITING_FOR_PARALLEL_TASKS
            case Sleeping():
                return Status.SLEEPING
            case Listening():
                return Status.WAITING_FOR_EVENT
            case AwaitingChild():
                return Status.WAITING_FOR_SUB_JOB
            case AwaitingHuman():
                return Status.WAITING_FOR_HUMAN
            case Done(verdict=verdict):
                return Status(verdict)
