"""What a move asks the outside world to do, in the imperative. The outbox turns each into a message."""

from avtomatika.kernel.events import Deadline
from avtomatika.kernel.ids import JobId, TaskId
from avtomatika.kernel.model import Task, Value
from avtomatika.kernel.time import Instant


class RunHandler(Value, frozen=True):
    """Run the handler of the job's state as of `version`, not before `at`."""

    job: JobId
    version: int
    blueprint: str
    edition: str
    at: Instant


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


class WithdrawTask(Value, frozen=True):
    """The task and its timers are no longer wanted."""

    job: JobId
    task: TaskId


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
)
