"""What a move asks the outside world to do, in the imperative. The outbox turns each into a message."""

from msgspec import Raw

from avtomatika.kernel.events import Deadline
from avtomatika.kernel.ids import JobId, TaskId
from avtomatika.kernel.model import NULL, Failure, Job, Task, Value, Verdict
from avtomatika.kernel.time import Instant


class RunHandler(Value, frozen=True):
    """Run the handler of the job's state as of `version`, not before `at`."""

    job: JobId
    version: int
    blueprint: str
    edition: str
    at: Instant
    priority: float = 0.0


class StopRun(Value, frozen=True):
    """The run for `version` is no longer wanted."""

    job: JobId
    version: int


class OfferTask(Value, frozen=True):
    """Let a worker have the task, not before `at`."""

    job: JobId
    task: Task
    at: Instant
    tracing: dict[str, str] = {}
    priority: float = 0.0


class WithdrawTask(Value, frozen=True):
    """The task is no longer wanted, nor are the timers of these limits, which it may have."""

    job: JobId
    task: TaskId
    limits: tuple[Deadline, ...] = tuple(Deadline)


class StartTimer(Value, frozen=True):
    """Tell the job when this limit of the task's attempt has run out."""

    job: JobId
    task: TaskId
    attempt: int
    deadline: Deadline
    due: Instant


class StopTimer(Value, frozen=True):
    """This limit of the task no longer matters."""

    job: JobId
    task: TaskId
    deadline: Deadline


class StartAlarm(Value, frozen=True):
    """Tell the job when the time that it set at version `since` has come."""

    job: JobId
    since: int
    due: Instant


class StopAlarm(Value, frozen=True):
    """The time that the job set at version `since` no longer matters."""

    job: JobId
    since: int


class CloseBranches(Value, frozen=True):
    """The records of the fan-out that version `opened` began are no longer needed."""

    job: JobId
    opened: int


class StartChild(Value, frozen=True):
    """Accept `child`, a job at version 0, on behalf of `job`."""

    job: JobId
    child: Job
    at: Instant = Instant(0)


class CancelChild(Value, frozen=True):
    """The child is no longer wanted, whether it was accepted already or not."""

    job: JobId
    child: JobId
    reason: str
    at: Instant = Instant(0)


class TellParent(Value, frozen=True):
    """Tell `parent`, which waits since its version `since`, how `job` has ended."""

    job: JobId
    parent: JobId
    since: int
    verdict: Verdict
    state: str
    result: Raw = NULL
    failure: Failure | None = None
    at: Instant = Instant(0)


class SendWebhook(Value, frozen=True):
    """Tell the client's server of `event`, that the job met at `version`.

    `question` is the version that a question to a human is named by, when the event is one. `first_try` and
    `trouble` tell of the attempts before this one.
    """

    job: JobId
    version: int
    url: str
    event: str
    status: str
    client: str = ""
    result: Raw = NULL
    failure: Failure | None = None
    question: int | None = None
    attempt: int = 1
    at: Instant = Instant(0)
    first_try: Instant | None = None
    trouble: str = ""


class PurgeFiles(Value, frozen=True):
    """From `at` on nobody needs the files of the job any more, unless it lives again."""

    job: JobId
    at: Instant = Instant(0)


Effect = (
    RunHandler
    | StopRun
    | OfferTask
    | WithdrawTask
    | StartTimer
    | StopTimer
    | StartAlarm
    | StopAlarm
    | CloseBranches
    | StartChild
    | CancelChild
    | TellParent
    | SendWebhook
    | PurgeFiles
)
