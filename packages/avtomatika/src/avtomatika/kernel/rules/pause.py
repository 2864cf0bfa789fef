"""The job rests: for a time, or until somebody outside sends it a signal."""

from typing import Final

import msgspec

from avtomatika.kernel.decisions import Listen, Sleep
from avtomatika.kernel.effects import Effect, StartAlarm, StopAlarm
from avtomatika.kernel.events import AlarmRang, SignalReceived
from avtomatika.kernel.model import (
    AwaitingChild,
    AwaitingHuman,
    Failure,
    Job,
    Listening,
    Ready,
    Report,
    Signal,
    Sleeping,
)
from avtomatika.kernel.progress import Ignored, Moved, Outcome, enter, move
from avtomatika.kernel.retry import TIMEOUT
from avtomatika.kernel.rules import approval, child
from avtomatika.kernel.rules.task import SUCCESS, TIMEOUT_STATUS, follow, merge
from avtomatika.kernel.time import Instant, after

_TIMED: Final = (Sleeping, Listening, AwaitingChild, AwaitingHuman)


def sleep(job: Job, decision: Sleep, now: Instant, over: tuple[Effect, ...]) -> Moved:
    """The job asleep, its alarm set."""
    until = after(now, decision.span) if decision.until is None else decision.until
    since = job.version + 1
    phase = Sleeping(since, until, job.state if decision.then is None else decision.then)
    return move(job, now, phase, *over, StartAlarm(job.id, since, until))


def listen(job: Job, decision: Listen, now: Instant, over: tuple[Effect, ...]) -> Moved:
    """The job waiting for the signal, or already moved on by the first one of that name it has."""
    for place, signal in enumerate(job.signals):
        if signal.name == decision.name:
            rest = (*job.signals[:place], *job.signals[place + 1 :])
            heard = msgspec.structs.replace(job, signals=rest)
            return _heard(heard, signal, decision.transitions, now, *over)
    since = job.version + 1
    due = None if decision.timeout is None else after(now, decision.timeout)
    alarm = () if due is None else (StartAlarm(job.id, since, due),)
    return move(job, now, Listening(since, decision.name, decision.transitions, due), *over, *alarm)


def received(job: Job, event: SignalReceived, now: Instant) -> Outcome:
    """The job moved on by the signal, or the signal kept until it listens. It keeps so many, and no more."""
    if job.version == 0:
        return Ignored("not_submitted")
    signal = Signal(event.name, event.payload)
    phase = job.phase
    if isinstance(phase, Listening) and phase.name == event.name:
        return _heard(job, signal, phase.transitions, now, StopAlarm(job.id, phase.since))
    if len(job.signals) >= job.policy.max_signals:
        return Ignored("too_many_signals")
    kept = msgspec.structs.replace(job, signals=(*job.signals, signal))
    if isinstance(phase, Ready):
        phase = msgspec.structs.replace(phase, later=phase.later + 1)
    return move(kept, now, phase)


def rang(job: Job, event: AlarmRang, now: Instant) -> Outcome:
    """The job awake in its next state, or moved on by what did not come in time."""
    phase = job.phase
    if not isinstance(phase, _TIMED) or phase.since != event.since:
        return Ignored("stale_alarm")
    if isinstance(phase, AwaitingChild):
        return child.late(job, phase, now)
    if isinstance(phase, AwaitingHuman):
        return approval.late(job, phase, now)
    stop = StopAlarm(job.id, phase.since)
    if isinstance(phase, Sleeping):
        return enter(job, now, phase.then, stop)
    failure = Failure(code=TIMEOUT, message=f"The signal '{phase.name}' did not come in time.")
    return follow(job, now, Report(status=TIMEOUT_STATUS, failure=failure), phase.transitions, stop)


def _heard(job: Job, signal: Signal, transitions: dict[str, str], now: Instant, *effects: Effect) -> Moved:
    report = Report(status=SUCCESS, data=signal.payload)
    return follow(merge(job, report), now, report, transitions, *effects)
