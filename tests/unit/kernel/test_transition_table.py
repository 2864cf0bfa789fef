"""The whole rulebook as a table: what every event does to a job in every phase.

An event that does not fit is ignored, for a reason that depends on its kind alone: `UNFIT`. `TABLE` has, for
each phase, the events that fit it, or nearly do. Everything else about a job that is over is ignored.
"""

import typing

import pytest
from msgspec.structs import replace

from avtomatika.kernel.events import Event, TaskEvent
from avtomatika.kernel.machine import transition
from avtomatika.kernel.model import Phase
from avtomatika.kernel.progress import Ignored
from tests.unit.kernel.samples import EVENTS, NOW, PHASES, branch_for, in_words

UNFIT = {
    "Submitted": "already_submitted",
    "Decided": "stale_decision",
    "HandlerCrashed": "stale_decision",
    "RunAbandoned": "stale_decision",
    "TaskAccepted": "stale_task",
    "TaskReported": "stale_task",
    "TaskSignalled": "stale_task",
    "TaskAbandoned": "stale_task",
    "DeadlinePassed": "stale_task",
    "AlarmRang": "stale_alarm",
    "ChildEnded": "stale_child",
    "HumanDecided": "stale_question",
    "Requeued": "not_over",
}

ALWAYS = ("signal", "signal, other name", "rewound", "cancel")
"""What any job that is not over takes, so that every such phase says what it does."""

TABLE: dict[str, dict[str, str]] = {
    "new": {
        "submitted": "ready(here) RunHandler",
        "signal": "ignored: not_submitted",
        "signal, other name": "ignored: not_submitted",
        "rewound": "ready(there) StopRun RunHandler",
        "cancel": "done(cancelled, CANCELLED) StopRun",
    },
    "ready": {
        "decided go to": "ready(next) StopRun RunHandler",
        "decided dispatch": "waiting(1) StopRun OfferTask",
        "decided fan-out": "gathering(2 of 2) StopRun OfferTask*2",
        "decided sleep": "asleep(next) StopRun StartAlarm",
        "decided listen": "listening(paid) StopRun StartAlarm",
        "decided run child": "awaiting(j_8) StopRun StartChild StartAlarm",
        "decided ask": "awaiting a human StopRun StartAlarm",
        "decided finish": "done(finished) StopRun",
        "crashed": "ready(here, try 2) StopRun RunHandler",
        "run abandoned": "done(quarantined, HANDLER_ABANDONED) StopRun",
        "run abandoned, deliveries left": "ignored: deliveries_left",
        "signal": "ready(here) [1 kept]",
        "signal, other name": "ready(here) [1 kept]",
        "rewound": "ready(there) StopRun RunHandler",
        "cancel": "done(cancelled, CANCELLED) StopRun",
    },
    "aggregating": {
        "decided go to": "ready(next) StopRun CloseBranches RunHandler",
        "decided dispatch": "waiting(1) StopRun CloseBranches OfferTask",
        "decided fan-out": "gathering(2 of 2) StopRun CloseBranches OfferTask*2",
        "decided sleep": "asleep(next) StopRun CloseBranches StartAlarm",
        "decided listen": "listening(paid) StopRun CloseBranches StartAlarm",
        "decided run child": "awaiting(j_8) StopRun CloseBranches StartChild StartAlarm",
        "decided ask": "awaiting a human StopRun CloseBranches StartAlarm",
        "decided finish": "done(finished) StopRun CloseBranches",
        "crashed": "ready(here, try 2, of 5) StopRun RunHandler",
        "run abandoned": "done(quarantined, HANDLER_ABANDONED) StopRun CloseBranches",
        "run abandoned, deliveries left": "ignored: deliveries_left",
        "signal": "ready(here, of 5) [1 kept]",
        "signal, other name": "ready(here, of 5) [1 kept]",
        "rewound": "ready(there) StopRun CloseBranches RunHandler",
        "cancel": "done(cancelled, CANCELLED) StopRun CloseBranches",
    },
    "waiting": {
        "task accepted": "waiting(1, accepted) StopTimer",
        "success": "ready(next) WithdrawTask RunHandler",
        "unlisted status": "done(failed, UNHANDLED_STATUS) WithdrawTask",
        "transient failure": "waiting(2) WithdrawTask OfferTask",
        "permanent failure": "ready(failed) WithdrawTask RunHandler",
        "cancelled by worker": "ready(undone) WithdrawTask RunHandler",
        "progress": "waiting(1, 1 told)",
        "event with a transition": "ready(search over) WithdrawTask RunHandler",
        "task abandoned": "ready(failed) WithdrawTask RunHandler",
        "task abandoned, deliveries left": "ignored: deliveries_left",
        "dispatch deadline": "ready(failed) WithdrawTask RunHandler",
        "execution deadline": "waiting(2) WithdrawTask OfferTask",
        "result deadline": "ready(failed) WithdrawTask RunHandler",
        "signal": "waiting(1) [1 kept]",
        "signal, other name": "waiting(1) [1 kept]",
        "rewound": "ready(there) WithdrawTask RunHandler",
        "cancel": "done(cancelled, CANCELLED) WithdrawTask",
    },
    "accepted": {
        "task accepted": "ignored: already_accepted",
        "success": "ready(next) WithdrawTask RunHandler",
        "unlisted status": "done(failed, UNHANDLED_STATUS) WithdrawTask",
        "transient failure": "waiting(2) WithdrawTask OfferTask",
        "permanent failure": "ready(failed) WithdrawTask RunHandler",
        "cancelled by worker": "ready(undone) WithdrawTask RunHandler",
        "progress": "waiting(1, accepted, 1 told)",
        "event with a transition": "ready(search over) WithdrawTask RunHandler",
        "task abandoned": "ready(failed) WithdrawTask RunHandler",
        "task abandoned, deliveries left": "ignored: deliveries_left",
        "dispatch deadline": "ignored: already_accepted",
        "execution deadline": "waiting(2) WithdrawTask OfferTask",
        "result deadline": "ready(failed) WithdrawTask RunHandler",
        "signal": "waiting(1, accepted) [1 kept]",
        "signal, other name": "waiting(1, accepted) [1 kept]",
        "rewound": "ready(there) WithdrawTask RunHandler",
        "cancel": "done(cancelled, CANCELLED) WithdrawTask",
    },
    "gather fail": {
        "task accepted": "gathering(2 of 3) StopTimer",
        "success": "gathering(1 of 3) WithdrawTask",
        "unlisted status": "gathering(1 of 3) WithdrawTask",
        "transient failure": "gathering(2 of 3) WithdrawTask OfferTask",
        "permanent failure": "done(quarantined, PERMANENT_ERROR) WithdrawTask*3 CloseBranches",
        "cancelled by worker": "done(cancelled) WithdrawTask*3 CloseBranches",
        "progress": "gathering(2 of 3)",
        "event with a transition": "gathering(2 of 3)",
        "task abandoned": "done(quarantined, PERMANENT_ERROR) WithdrawTask*3 CloseBranches",
        "task abandoned, deliveries left": "ignored: deliveries_left",
        "dispatch deadline": "done(failed, TIMEOUT_ERROR) WithdrawTask*3 CloseBranches",
        "execution deadline": "gathering(2 of 3) WithdrawTask OfferTask",
        "result deadline": "done(failed, TIMEOUT_ERROR) WithdrawTask*3 CloseBranches",
        "signal": "gathering(2 of 3) [1 kept]",
        "signal, other name": "gathering(2 of 3) [1 kept]",
        "rewound": "ready(there) WithdrawTask*3 CloseBranches RunHandler",
        "cancel": "done(cancelled, CANCELLED) WithdrawTask*3 CloseBranches",
    },
    "gather collect": {
        "task accepted": "gathering(2 of 3) StopTimer",
        "success": "gathering(1 of 3) WithdrawTask",
        "unlisted status": "gathering(1 of 3) WithdrawTask",
        "transient failure": "gathering(2 of 3) WithdrawTask OfferTask",
        "permanent failure": "gathering(1 of 3) WithdrawTask",
        "cancelled by worker": "gathering(1 of 3) WithdrawTask",
        "progress": "gathering(2 of 3)",
        "event with a transition": "gathering(2 of 3)",
        "task abandoned": "gathering(1 of 3) WithdrawTask",
        "task abandoned, deliveries left": "ignored: deliveries_left",
        "dispatch deadline": "gathering(1 of 3) WithdrawTask",
        "execution deadline": "gathering(2 of 3) WithdrawTask OfferTask",
        "result deadline": "gathering(1 of 3) WithdrawTask",
        "signal": "gathering(2 of 3) [1 kept]",
        "signal, other name": "gathering(2 of 3) [1 kept]",
        "rewound": "ready(there) WithdrawTask*3 CloseBranches RunHandler",
        "cancel": "done(cancelled, CANCELLED) WithdrawTask*3 CloseBranches",
    },
    "gather last": {
        "task accepted": "gathering(1 of 3) StopTimer",
        "success": "ready(all, of 5) WithdrawTask RunHandler",
        "unlisted status": "ready(all, of 5) WithdrawTask RunHandler",
        "transient failure": "gathering(1 of 3) WithdrawTask OfferTask",
        "permanent failure": "ready(all, of 5) WithdrawTask RunHandler",
        "cancelled by worker": "ready(all, of 5) WithdrawTask RunHandler",
        "progress": "gathering(1 of 3)",
        "event with a transition": "gathering(1 of 3)",
        "task abandoned": "ready(all, of 5) WithdrawTask RunHandler",
        "task abandoned, deliveries left": "ignored: deliveries_left",
        "dispatch deadline": "ready(all, of 5) WithdrawTask RunHandler",
        "execution deadline": "gathering(1 of 3) WithdrawTask OfferTask",
        "result deadline": "ready(all, of 5) WithdrawTask RunHandler",
        "signal": "gathering(1 of 3) [1 kept]",
        "signal, other name": "gathering(1 of 3) [1 kept]",
        "rewound": "ready(there) WithdrawTask*3 CloseBranches RunHandler",
        "cancel": "done(cancelled, CANCELLED) WithdrawTask*3 CloseBranches",
    },
    "asleep": {
        "alarm": "ready(next) StopAlarm RunHandler",
        "signal": "asleep(next) [1 kept]",
        "signal, other name": "asleep(next) [1 kept]",
        "rewound": "ready(there) StopAlarm RunHandler",
        "cancel": "done(cancelled, CANCELLED) StopAlarm",
    },
    "listening": {
        "alarm": "ready(failed) StopAlarm RunHandler",
        "signal": "ready(next) StopAlarm RunHandler",
        "signal, other name": "listening(paid) [1 kept]",
        "rewound": "ready(there) StopAlarm RunHandler",
        "cancel": "done(cancelled, CANCELLED) StopAlarm",
    },
    "awaiting child": {
        "alarm": "ready(failed) StopAlarm CancelChild RunHandler",
        "signal": "awaiting(j_5) [1 kept]",
        "signal, other name": "awaiting(j_5) [1 kept]",
        "child finished": "ready(next) StopAlarm RunHandler",
        "child failed": "ready(failed) StopAlarm RunHandler",
        "child timed out": "ready(failed) StopAlarm RunHandler",
        "child in quarantine": "ready(failed) StopAlarm RunHandler",
        "child cancelled": "ready(undone) StopAlarm RunHandler",
        "rewound": "ready(there) StopAlarm CancelChild RunHandler",
        "cancel": "done(cancelled, CANCELLED) StopAlarm CancelChild",
    },
    "awaiting human": {
        "alarm": "ready(failed) StopAlarm RunHandler",
        "signal": "awaiting a human [1 kept]",
        "signal, other name": "awaiting a human [1 kept]",
        "yes": "ready(next) StopAlarm RunHandler",
        "a decision nobody offered": "ignored: unknown_decision",
        "time-out as a decision": "ignored: unknown_decision",
        "rewound": "ready(there) StopAlarm RunHandler",
        "cancel": "done(cancelled, CANCELLED) StopAlarm",
    },
    "finished": {},
    "cancelled": {},
    "failed": {
        "requeued": "ready(here) RunHandler",
        "rewound": "ready(there) RunHandler",
    },
    "in quarantine": {
        "requeued": "ready(here) RunHandler",
        "rewound": "ready(there) RunHandler",
    },
    "failed aggregating": {
        "requeued": "ignored: aggregation_over",
        "rewound": "ready(there) RunHandler",
    },
}

PAIRS = [(phase, event) for phase in PHASES for event in EVENTS]


def answer(phase: str, event: str) -> str:
    if event in TABLE[phase]:
        return TABLE[phase][event]
    return "ignored: " + ("job_over" if PHASES[phase].over else UNFIT[type(EVENTS[event]).__name__])


@pytest.mark.parametrize(("phase", "event"), PAIRS)
def test_every_pair_of_phase_and_event_has_its_answer(phase: str, event: str) -> None:
    happened = EVENTS[event]
    outcome = transition(PHASES[phase], happened, NOW, branch_for(phase, happened))
    assert in_words(outcome) == answer(phase, event)


def test_every_phase_is_in_the_table_and_nothing_else() -> None:
    assert list(TABLE) == list(PHASES)
    assert {event for row in TABLE.values() for event in row} <= set(EVENTS)
    assert all(set(ALWAYS) <= set(row) for phase, row in TABLE.items() if not PHASES[phase].over)


def test_every_kind_of_phase_and_of_event_is_in_the_table() -> None:
    assert {type(job.phase) for job in PHASES.values()} == set(typing.get_args(Phase))
    assert {type(event) for event in EVENTS.values()} == set(typing.get_args(Event))


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("event", [name for name, event in EVENTS.items() if isinstance(event, TaskEvent)])
def test_an_event_for_another_job_s_task_changes_nothing(phase: str, event: str) -> None:
    foreign = replace(EVENTS[event], task="other-5-0")
    outcome = transition(PHASES[phase], foreign, NOW, None)
    assert isinstance(outcome, Ignored)


@pytest.mark.parametrize("phase", [name for name, job in PHASES.items() if job.final])
@pytest.mark.parametrize("event", EVENTS)
def test_what_is_finished_or_cancelled_never_changes(phase: str, event: str) -> None:
    assert transition(PHASES[phase], EVENTS[event], NOW) == Ignored("job_over")
