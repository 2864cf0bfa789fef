"""The run of a handler came to an end: with a decision, with a crash, or not at all."""

from typing import assert_never

import msgspec
from msgspec import Raw

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
from avtomatika.kernel.effects import CloseBranches, Effect, StopRun
from avtomatika.kernel.events import Decided, HandlerCrashed, RunAbandoned
from avtomatika.kernel.model import NULL, Failure, Job, Ready, Verdict
from avtomatika.kernel.progress import Ignored, Outcome, enter, finish, run
from avtomatika.kernel.retry import Remedy, backoff, remedy
from avtomatika.kernel.rules import approval, child, pause
from avtomatika.kernel.rules.fanout import fan_out
from avtomatika.kernel.rules.task import dispatch
from avtomatika.kernel.time import Instant, after

STALE = Ignored("stale_decision")


def decided(job: Job, event: Decided, now: Instant) -> Outcome:
    """The decision carried out, and the data that the handler changed kept."""
    if not isinstance(job.phase, Ready) or event.version != job.run:
        return STALE
    return _carry_out(_settled(job, event), event.decision, now, _run_over(job, job.phase))


def result_of(job: Job, event: Decided, finish: Finish) -> Raw:
    """The result that the job will have when it ends by this decision (feature A14)."""
    return _result(_settled(job, event), finish.result)


def _settled(job: Job, event: Decided) -> Job:
    return msgspec.structs.replace(
        job,
        input=job.input if event.input is None else event.input,
        history=job.history if event.history is None else event.history,
        last=job.last if event.returned == NULL else event.returned,
    )


def _carry_out(job: Job, decision: Decision, now: Instant, over: tuple[Effect, ...]) -> Outcome:
    match decision:
        case GoTo(state=state):
            return enter(job, now, state, *over)
        case Dispatch():
            return dispatch(job, decision, now, over)
        case FanOut():
            return fan_out(job, decision, now, over)
        case Sleep():
            return pause.sleep(job, decision, now, over)
        case Listen():
            return pause.listen(job, decision, now, over)
        case RunChild():
            return child.run_child(job, decision, now, over)
        case Ask():
            return approval.ask(job, decision, now, over)
        case Finish(verdict=verdict, result=result, failure=failure):
            return finish(job, now, verdict, result=_result(job, result), failure=failure)
        case _:
            assert_never(decision)


def crashed(job: Job, event: HandlerCrashed, now: Instant) -> Outcome:
    """The handler due again after a pause, or the job in quarantine when it crashed too often."""
    if not isinstance(job.phase, Ready) or event.version != job.run:
        return STALE
    attempt = job.phase.attempt
    noted = msgspec.structs.replace(job, failure=event.failure)
    if attempt > job.policy.handler_retries or remedy(event.failure.code) is not Remedy.RETRY:
        return finish(noted, now, Verdict.QUARANTINED)
    at = after(now, backoff(job.policy, attempt, f"{job.id}/{job.run}"))
    again = msgspec.structs.replace(job.phase, attempt=attempt + 1, later=0)
    return run(noted, now, again, at, StopRun(job.id, job.run))


def abandoned(job: Job, event: RunAbandoned, now: Instant) -> Outcome:
    """The job in quarantine: its handler ends the process that runs it."""
    if not isinstance(job.phase, Ready) or event.version != job.run:
        return STALE
    if event.deliveries <= job.policy.max_deliveries:
        return Ignored("deliveries_left")
    message = f"The handler of state '{job.state}' was begun {event.deliveries - 1} times and never ended."
    return finish(job, now, Verdict.QUARANTINED, failure=Failure(code="HANDLER_ABANDONED", message=message))


def _run_over(job: Job, phase: Ready) -> tuple[Effect, ...]:
    stop = StopRun(job.id, job.run)
    return (stop,) if phase.gathered is None else (stop, CloseBranches(job.id, phase.gathered))


def _result(job: Job, result: Raw) -> Raw:
    if result != NULL:
        return result
    return job.history.get("result", job.last)
