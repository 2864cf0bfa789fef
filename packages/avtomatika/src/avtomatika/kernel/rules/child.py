"""The job runs a job of another blueprint and goes on when that has ended, however it ended."""

from typing import Final

import msgspec
from msgspec import Raw

from avtomatika.kernel.decisions import RunChild
from avtomatika.kernel.effects import CancelChild, Effect, StartAlarm, StartChild, StopAlarm
from avtomatika.kernel.events import ChildEnded
from avtomatika.kernel.ids import child_id
from avtomatika.kernel.model import (
    AwaitingChild,
    Data,
    Failure,
    Job,
    Parent,
    Ready,
    Report,
    Verdict,
)
from avtomatika.kernel.progress import Ignored, Moved, Outcome, finish, move
from avtomatika.kernel.retry import TIMEOUT
from avtomatika.kernel.rules.submission import limited
from avtomatika.kernel.rules.task import CANCELLED, FAILURE, SUCCESS, TIMEOUT_STATUS, follow, target_of
from avtomatika.kernel.time import Instant, after, earlier

DEPTH: Final = "DEPTH_EXCEEDED"
CHILD_FAILED: Final = "CHILD_FAILED"


class ChildResult(msgspec.Struct, frozen=True):
    """What the history of a parent keeps of a child, under `sub_job_<id>_result`."""

    outcome: str
    final_state: str
    error_message: str | None
    result: Raw


def run_child(job: Job, decision: RunChild, now: Instant, over: tuple[Effect, ...]) -> Moved:
    """The child on its way and the job waiting for it, or in quarantine when it is nested too deeply."""
    depth = 1 if job.parent is None else job.parent.depth + 1
    if depth > job.policy.max_depth:
        message = f"Blueprints are nested more than {job.policy.max_depth} deep."
        return finish(job, now, Verdict.QUARANTINED, failure=Failure(code=DEPTH, message=message))
    since = job.version + 1
    due = None if decision.timeout is None else after(now, decision.timeout)
    child = _child(job, decision, Parent(job.id, since, depth), due, now)
    alarm = () if due is None else (StartAlarm(job.id, since, due),)
    phase = AwaitingChild(since, child.id, decision.transitions, due)
    return move(job, now, phase, *over, StartChild(job.id, child, now), *alarm)


def _child(job: Job, decision: RunChild, parent: Parent, due: Instant | None, now: Instant) -> Job:
    policy = limited(job.policy, decision.dispatch_timeout, decision.result_timeout)
    return Job(
        id=child_id(job.id, parent.since),
        blueprint=decision.blueprint,
        edition=decision.edition,
        state=decision.state,
        phase=Ready(),
        policy=policy,
        created=now,
        updated=now,
        client=job.client,
        tracing=job.tracing,
        labels=job.labels,
        priority=job.priority,
        due=earlier(due, job.due),
        parent=parent,
        source=f"parent:{job.id}",
        input=decision.input,
    )


def ended(job: Job, event: ChildEnded, now: Instant) -> Outcome:
    """The job moved on by the outcome of its child, whose result is in the history."""
    phase = job.phase
    if not isinstance(phase, AwaitingChild) or phase.since != event.since or phase.child != event.child:
        return Ignored("stale_child")
    report = _report(event)
    merged = msgspec.structs.replace(
        job,
        history=_with_result(job.history, event, report.status),
        last=event.result if report.status == SUCCESS else job.last,
    )
    stop = StopAlarm(job.id, phase.since)
    if report.status == SUCCESS or target_of(report.status, phase.transitions) is not None:
        return follow(merged, now, report, phase.transitions, stop)
    return finish(merged, now, event.verdict, failure=report.failure, withdrawn=(stop,))


def late(job: Job, phase: AwaitingChild, now: Instant) -> Moved:
    """The child cancelled because it took too long, and the job moved on."""
    failure = Failure(code=TIMEOUT, message=f"The child {phase.child} did not end in time.")
    reason = "cancelled because it did not end in time"
    effects = (StopAlarm(job.id, phase.since), CancelChild(job.id, phase.child, reason, now))
    report = Report(status=TIMEOUT_STATUS, failure=failure)
    return follow(job, now, report, phase.transitions, *effects)


def _report(event: ChildEnded) -> Report:
    if event.verdict is Verdict.FINISHED:
        return Report(status=SUCCESS, data=event.result)
    if event.verdict is Verdict.CANCELLED:
        return Report(status=CANCELLED, failure=event.failure)
    message = f"The child {event.child} ended as {event.verdict}."
    failure = event.failure or Failure(code=CHILD_FAILED, message=message)
    timed_out = failure.code == TIMEOUT and event.verdict is Verdict.FAILED
    return Report(status=TIMEOUT_STATUS if timed_out else FAILURE, failure=failure)


def _with_result(history: Data, event: ChildEnded, outcome: str) -> Data:
    message = None if event.failure is None or outcome == SUCCESS else event.failure.message
    kept = ChildResult(outcome, event.state, message, event.result)
    return {**history, f"sub_job_{event.child}_result": Raw(msgspec.json.encode(kept))}
