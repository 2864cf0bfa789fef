"""The job asks a person, and goes on by what is decided."""

import msgspec
from msgspec import Raw

from avtomatika.kernel.decisions import Ask
from avtomatika.kernel.effects import Effect, StartAlarm, StopAlarm
from avtomatika.kernel.events import HumanDecided
from avtomatika.kernel.model import AwaitingHuman, Failure, Job, Report
from avtomatika.kernel.notices import asked, decisions
from avtomatika.kernel.progress import Ignored, Moved, Outcome, enter, move
from avtomatika.kernel.retry import TIMEOUT
from avtomatika.kernel.rules.task import TIMEOUT_STATUS, follow, members_of
from avtomatika.kernel.time import Instant, after


class Decision(msgspec.Struct, frozen=True):
    """What the history of a job keeps of the last decision, under `approval`. `at` is in milliseconds."""

    decision: str
    by: str
    at: Instant
    data: Raw


def ask(job: Job, decision: Ask, now: Instant, over: tuple[Effect, ...]) -> Moved:
    """The job waiting for a person, and its client told that it does."""
    since = job.version + 1
    due = None if decision.timeout is None else after(now, decision.timeout)
    phase = AwaitingHuman(
        since, decision.integration, decision.message, decision.transitions, decision.schema, due, now
    )
    alarm = () if due is None else (StartAlarm(job.id, since, due),)
    asking = move(job, now, phase, *over, *alarm)
    return msgspec.structs.replace(asking, effects=(*asking.effects, *asked(asking.job)))


def human_decided(job: Job, event: HumanDecided, now: Instant) -> Outcome:
    """The job moved on by the first decision; an object that came with it laid over its history."""
    phase = job.phase
    if not isinstance(phase, AwaitingHuman) or phase.since != event.question:
        return Ignored("stale_question")
    if event.decision not in decisions(phase):
        return Ignored("unknown_decision")
    kept = Raw(msgspec.json.encode(Decision(event.decision, event.by, now, event.data)))
    history = {**job.history, **members_of(event.data), "approval": kept}
    decided = msgspec.structs.replace(job, history=history)
    return enter(decided, now, phase.transitions[event.decision], StopAlarm(job.id, phase.since))


def late(job: Job, phase: AwaitingHuman, now: Instant) -> Moved:
    """The job moved on because nobody decided in time."""
    failure = Failure(code=TIMEOUT, message=f"Nobody decided in time: {phase.message}")
    report = Report(status=TIMEOUT_STATUS, failure=failure)
    return follow(job, now, report, phase.transitions, StopAlarm(job.id, phase.since))
