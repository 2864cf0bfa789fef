"""A task was given out, taken, reported or lost. The same judgement serves single tasks and branches."""

from typing import Final

import msgspec
from msgspec import Raw

from avtomatika.kernel.decisions import Dispatch
from avtomatika.kernel.effects import Effect, OfferTask, StartTimer, StopTimer
from avtomatika.kernel.events import Deadline, TaskAbandoned, TaskAccepted
from avtomatika.kernel.ids import JobId, TaskId, task_id
from avtomatika.kernel.model import NULL, Data, Failure, Job, Order, Report, Task, Verdict, Waiting
from avtomatika.kernel.progress import Ignored, Moved, Outcome, enter, finish, move, withdraw_task
from avtomatika.kernel.retry import TIMEOUT, TRANSIENT, Remedy, backoff, remedy
from avtomatika.kernel.time import Instant, after, earlier

SUCCESS: Final = "success"
FAILURE: Final = "failure"
CANCELLED: Final = "cancelled"
TIMEOUT_STATUS: Final = "timeout"
NOT_OPEN: Final = Ignored("stale_task")


def dispatch(job: Job, decision: Dispatch, now: Instant, over: tuple[Effect, ...]) -> Moved:
    """The order out as one task, the job waiting for it."""
    task = new_task(job, decision.order, task_id(job.id, job.version + 1, 0), now)
    phase = Waiting(task, decision.transitions, decision.event_transitions)
    return move(job, now, phase, *over, *offer(job, task, now))


def new_task(job: Job, order: Order, name: TaskId, now: Instant) -> Task:
    """The first attempt of *order*, with the limits it names or else those of the job.

    Nobody waits for its result when nobody waits for the job any more.
    """
    policy = job.policy
    waiting = order.dispatch_timeout or policy.dispatch_timeout
    whole = order.result_timeout or policy.result_timeout
    return Task(
        id=name,
        order=order,
        execution_timeout=order.execution_timeout or policy.execution_timeout,
        dispatch_due=None if waiting is None else after(now, waiting),
        result_due=earlier(None if whole is None else after(now, whole), job.due),
    )


def offer(job: Job, task: Task, at: Instant) -> tuple[Effect, ...]:
    """The effects that put *task* before the workers at *at*, with the timers it needs."""
    limits = ((Deadline.DISPATCH, task.dispatch_due), (Deadline.RESULT, task.result_due))
    timers = (StartTimer(job.id, task.id, task.attempt, kind, due) for kind, due in limits if due is not None)
    return (OfferTask(job.id, task, at, job.tracing, job.priority), *timers)


def execution_timer(job: JobId, task: Task, now: Instant) -> StartTimer:
    """The timer of a task that a worker takes at *now*."""
    return StartTimer(job, task.id, task.attempt, Deadline.EXECUTION, after(now, task.execution_timeout))


def accepted(job: Job, phase: Waiting, event: TaskAccepted, now: Instant) -> Outcome:
    """The task marked as taken: its limit for waiting no longer counts."""
    if phase.task.accepted:
        return Ignored("already_accepted")
    task = msgspec.structs.replace(phase.task, accepted=True)
    stop = StopTimer(job.id, task.id, Deadline.DISPATCH)
    return move(job, now, msgspec.structs.replace(phase, task=task), stop)


def reported(job: Job, phase: Waiting, report: Report, now: Instant) -> Outcome:
    """The task retried, or the job moved on by the status that it ended with."""
    retry = next_attempt(job, phase.task, report, now)
    if retry is not None:
        task, at = retry
        waiting = msgspec.structs.replace(phase, task=task)
        noted = msgspec.structs.replace(job, failure=report.failure)
        return move(noted, now, waiting, withdraw_task(job.id, phase.task), *offer(noted, task, at))
    return follow(merge(job, report), now, report, phase.transitions, withdraw_task(job.id, phase.task))


def next_attempt(job: Job, task: Task, report: Report, now: Instant) -> tuple[Task, Instant] | None:
    """The next attempt of *task* and when it may be taken, or None when the report is final."""
    if report.status != FAILURE or report.failure is None:
        return None
    if remedy(report.failure.code) is not Remedy.RETRY:
        return None
    retries = job.policy.task_retries if task.order.retries is None else task.order.retries
    if task.attempt > retries:
        return None
    at = after(now, backoff(job.policy, task.attempt, task.id))
    if task.result_due is not None and at >= task.result_due:
        return None
    waited = task.order.dispatch_timeout or job.policy.dispatch_timeout
    due = None if waited is None else after(at, waited)
    again = msgspec.structs.replace(
        task,
        attempt=task.attempt + 1,
        dispatch_due=due,
        accepted=False,
        progress=NULL,
        avoid=report.worker or task.avoid,
    )
    return again, at


def follow(job: Job, now: Instant, report: Report, transitions: dict[str, str], *effects: Effect) -> Moved:
    """The job in the state that *transitions* names for the report, or over when they name none.

    A time-out follows `timeout`, else `failure`; a failure without transition ends the job by its code.
    *effects* take back what the job leaves behind.
    """
    noted = job if report.failure is None else msgspec.structs.replace(job, failure=report.failure)
    status = report.status
    target = target_of(status, transitions)
    if target is not None:
        return enter(noted, now, target, *effects)
    if status == CANCELLED:
        return finish(noted, now, Verdict.CANCELLED, withdrawn=effects)
    if report.failure is None:
        message = f"No transition is given for the status '{status}' in state '{job.state}'."
        failure = Failure(code="UNHANDLED_STATUS", message=message)
        return finish(noted, now, Verdict.FAILED, failure=failure, withdrawn=effects)
    return finish(noted, now, verdict(report), withdrawn=effects)


def target_of(status: str, transitions: dict[str, str]) -> str | None:
    """The state that *transitions* lead to for the status, or None."""
    if status == TIMEOUT_STATUS and TIMEOUT_STATUS not in transitions:
        return transitions.get(FAILURE)
    return transitions.get(status)


def verdict(report: Report) -> Verdict:
    """How a job ends by a failure that no transition handles."""
    if report.status == TIMEOUT_STATUS:
        return Verdict.FAILED
    code = TRANSIENT if report.failure is None else report.failure.code
    return Verdict.FAILED if remedy(code) is Remedy.FAIL else Verdict.QUARANTINED


def merge(job: Job, report: Report) -> Job:
    """The job with the data of a report that is neither failure nor cancellation laid over its history."""
    if report.failure is not None or report.status == CANCELLED:
        return job
    members = members_of(report.data)
    if not members:
        return msgspec.structs.replace(job, last=report.data)
    return msgspec.structs.replace(job, last=report.data, history={**job.history, **members})


def members_of(data: Raw) -> Data:
    """The members of a JSON object, each still encoded; none for any other value, or if names are no text."""
    if bytes(data).lstrip()[:1] != b"{":
        return {}
    try:
        return _MEMBERS.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}  # data is passed through unread, so that nobody has looked at the names before


_MEMBERS: Final = msgspec.json.Decoder(dict[str, Raw])


def lost(task: Task, event: TaskAbandoned) -> Report:
    """The report that stands in for workers that took the task and were not heard of again."""
    message = f"The task was handed out {event.deliveries - 1} times and no worker reported."
    return Report(status=FAILURE, failure=Failure(code="PERMANENT_ERROR", message=message, task=task.id))


def timed_out(task: Task, deadline: Deadline) -> Report:
    """The report that stands in for a task that ran out of time. Only work that is begun is worth a retry."""
    words = {
        Deadline.DISPATCH: "no worker took it in time",
        Deadline.EXECUTION: "it was worked on for longer than allowed",
        Deadline.RESULT: "its result did not come in time",
    }
    failure = Failure(code=TIMEOUT, message=f"The task timed out: {words[deadline]}.", task=task.id)
    status = FAILURE if deadline is Deadline.EXECUTION else TIMEOUT_STATUS
    return Report(status=status, failure=failure)
