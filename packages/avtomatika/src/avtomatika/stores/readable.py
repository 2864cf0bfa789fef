"""What a store cannot keep, and questions that none can answer: refused in every store alike, by name.

JSON knows no number that is not finite: written, it would be null, and the store could not be opened again.
Moments have to fit into 64 bits, and text has to have an encoding.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from avtomatika.errors import InvalidInput
from avtomatika.kernel.decisions import Ask, Dispatch, FanOut, Listen, RunChild, Sleep
from avtomatika.kernel.effects import (
    CancelChild,
    OfferTask,
    PurgeFiles,
    RunHandler,
    SendWebhook,
    StartAlarm,
    StartChild,
    StartTimer,
    TellParent,
)
from avtomatika.kernel.events import Decided, Submitted
from avtomatika.kernel.model import (
    AwaitingChild,
    AwaitingHuman,
    Job,
    Listening,
    Order,
    Sleeping,
    Task,
    Waiting,
)
from avtomatika.ports.store import Commit, Fact, JobQuery, Message, Record, Tick
from avtomatika.stores.codec import place_of

_FOR_EVER: Final = 2**63

_P = TypeVar("_P")
_Due = Listening | AwaitingChild | AwaitingHuman | StartTimer | StartAlarm | Tick


def refuse_unreadable(commit: Commit) -> None:
    """Nothing in *commit* would read differently than it was written. Raises InvalidInput."""
    _moments(commit.now, *[fact.at for fact in commit.facts])
    if commit.claim is not None:
        _moments(commit.claim.expires_at)
    if commit.job is not None:
        _job(commit.job)
    for fact in commit.facts:
        _part(_OF_EVENTS, fact.event)
    for branch in commit.branches:
        _task(branch.task)
    for message in commit.send:
        _message(message)
    for lease in commit.take:
        _message(lease.message)


def refuse_unanswerable(query: JobQuery) -> None:
    """Every store has an answer to *query*. Raises InvalidInput that names the field."""
    if query.limit < 1:
        raise InvalidInput("A page holds at least one job.", field="limit")
    for moment in (query.since, query.before):
        if moment is not None and not -_FOR_EVER < moment < _FOR_EVER:
            raise InvalidInput("A moment lies too far away.", field="time")
    if query.after is not None:
        place_of(query.after)
    refuse_unencodable("client", query.client or "")
    refuse_unencodable("blueprint", query.blueprint or "")
    for pair in query.labels:
        refuse_unencodable("labels", *pair)


def refuse_unencodable(field: str, *texts: str) -> None:
    """Every text can be written. Raises InvalidInput that names *field*."""
    try:
        for text in texts:
            text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("This text holds half a character.", field=field) from error


def _moments(*values: int | None) -> None:
    for value in values:
        if value is not None and not -_FOR_EVER < value < _FOR_EVER:
            raise InvalidInput("A moment lies too far away.", field="time")


def _number(value: float | None, field: str = "priority") -> None:
    if value is not None and not math.isfinite(value):
        raise InvalidInput("This must be a finite number.", field=field)


def _job(job: Job) -> None:
    _moments(job.created, job.updated, job.due)
    if job.priority:  # here and below: most have none, and every commit passes here
        _number(job.priority)
    _part(_OF_PHASES, job.phase)


def _task(task: Task) -> None:
    order = task.order
    if task.dispatch_due is not None or task.result_due is not None:
        _moments(task.dispatch_due, task.result_due)
    if order.priority or order.max_cost:
        _order(order)


def _order(order: Order) -> None:
    _number(order.priority)
    _number(order.max_cost, "max_cost")


def _fact(fact: Fact) -> None:
    _moments(fact.at)
    _part(_OF_EVENTS, fact.event)


def _message(message: Message) -> None:
    _moments(message.visible_at)
    if message.priority:
        _number(message.priority)
    _part(_OF_BODIES, message.body)


def _part(checks: "_Checks", part: object) -> None:
    check = checks.get(type(part))
    if check is not None:
        check(part)


def _due(part: _Due) -> None:
    _moments(part.due)


def _at(part: CancelChild | TellParent | PurgeFiles) -> None:
    _moments(part.at)


def _sleep(decision: Sleep) -> None:
    _moments(decision.span, decision.until)


def _webhook(body: SendWebhook) -> None:
    _moments(body.at, body.first_try)


def _run(body: RunHandler) -> None:
    _moments(body.at)
    _number(body.priority)


def _offer(body: OfferTask) -> None:
    _moments(body.at)
    if body.priority:
        _number(body.priority)
    _task(body.task)


def _child(body: StartChild) -> None:
    _moments(body.at)
    _job(body.child)


def _each(check: Callable[[_P], None], parts: Iterable[_P]) -> None:
    for part in parts:
        check(part)


# By type, because most kinds hold nothing of the sort and every commit passes here.
_Checks = Mapping[type, Callable[[Any], None]]

_OF_PHASES: Final[_Checks] = {
    Waiting: lambda phase: _task(phase.task),
    Sleeping: lambda phase: _moments(phase.until),
    Listening: _due,
    AwaitingChild: _due,
    AwaitingHuman: _due,
}
_OF_DECISIONS: Final[_Checks] = {
    Dispatch: lambda decision: _order(decision.order),
    FanOut: lambda decision: _each(_order, decision.orders),
    Sleep: _sleep,
    Listen: lambda decision: _moments(decision.timeout),
    RunChild: lambda decision: _moments(decision.timeout),
    Ask: lambda decision: _moments(decision.timeout),
}
_OF_EVENTS: Final[_Checks] = {
    Submitted: lambda event: _job(event.job),
    Decided: lambda event: _part(_OF_DECISIONS, event.decision),
}
_OF_BODIES: Final[_Checks] = {
    RunHandler: _run,
    OfferTask: _offer,
    StartTimer: _due,
    StartAlarm: _due,
    StartChild: _child,
    CancelChild: _at,
    TellParent: _at,
    SendWebhook: _webhook,
    PurgeFiles: _at,
    Tick: _due,
    Record: lambda body: _each(_fact, body.facts),
}
