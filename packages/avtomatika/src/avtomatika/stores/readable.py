"""What a store cannot keep, and questions that none can answer: refused in every store alike, by name.

JSON knows no number that is not finite: written, it would be null, and the store could not be opened again.
Moments have to fit into 64 bits, and text has to have an encoding.
"""

import math
from collections.abc import Iterator
from typing import Final

from avtomatika.errors import InvalidInput
from avtomatika.kernel.decisions import Ask, Decision, Dispatch, FanOut, Listen, RunChild, Sleep
from avtomatika.kernel.effects import OfferTask, RunHandler, StartChild
from avtomatika.kernel.events import Decided, Event, Submitted
from avtomatika.kernel.model import (
    AwaitingChild,
    AwaitingHuman,
    Job,
    Listening,
    Order,
    Phase,
    Sleeping,
    Task,
    Waiting,
)
from avtomatika.ports.store import Body, Commit, Fact, JobQuery, Record
from avtomatika.stores.codec import place_of

_FOR_EVER: Final = 2**63

_Moments = Iterator[int | None]


def refuse_unreadable(commit: Commit) -> None:
    """Nothing in *commit* would read differently than it was written. Raises InvalidInput."""
    for moment in _moments_of(commit):
        if moment is not None and not -_FOR_EVER < moment < _FOR_EVER:
            raise InvalidInput("A moment lies too far away.", field="time")
    if not all(map(math.isfinite, _priorities_of(commit))):
        raise InvalidInput("A priority must be a finite number.", field="priority")
    for order in _orders_of(commit):
        if not math.isfinite(order.priority):
            raise InvalidInput("A priority must be a finite number.", field="priority")
        if order.max_cost is not None and not math.isfinite(order.max_cost):
            raise InvalidInput("A maximal cost must be a finite number.", field="max_cost")


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


def _moments_of(commit: Commit) -> _Moments:
    yield commit.now
    if commit.claim is not None:
        yield commit.claim.expires_at
    if commit.job is not None:
        yield from _job_moments(commit.job)
    for fact in commit.facts:
        yield from _fact_moments(fact)
    for branch in commit.branches:
        yield from _task_moments(branch.task)
    for message in commit.send:
        yield message.visible_at
        yield from _body_moments(message.body)
    for lease in commit.take:
        yield lease.message.visible_at
        yield from _body_moments(lease.message.body)


def _job_moments(job: Job) -> _Moments:
    yield from (job.created, job.updated, job.due)
    yield from _phase_moments(job.phase)


def _phase_moments(phase: Phase) -> _Moments:
    if isinstance(phase, Waiting):
        yield from _task_moments(phase.task)
    elif isinstance(phase, Sleeping):
        yield phase.until
    elif isinstance(phase, Listening | AwaitingChild | AwaitingHuman):
        yield phase.due


def _task_moments(task: Task) -> _Moments:
    return iter((task.dispatch_due, task.result_due))


def _body_moments(body: Body) -> _Moments:
    for name in ("at", "due"):
        yield getattr(body, name, None)
    if isinstance(body, OfferTask):
        yield from _task_moments(body.task)
    elif isinstance(body, StartChild):
        yield from _job_moments(body.child)
    elif isinstance(body, Record):
        for fact in body.facts:
            yield from _fact_moments(fact)


def _fact_moments(fact: Fact) -> _Moments:
    yield fact.at
    event = fact.event
    if isinstance(event, Submitted):
        yield from _job_moments(event.job)
    elif isinstance(event, Decided):
        yield from _decision_moments(event.decision)


def _decision_moments(decision: Decision) -> _Moments:
    if isinstance(decision, Sleep):
        yield from (decision.span, decision.until)
    elif isinstance(decision, Listen | RunChild | Ask):
        yield decision.timeout


def _priorities_of(commit: Commit) -> Iterator[float]:
    if commit.job is not None:
        yield commit.job.priority
    for event in _events_of(commit):
        if isinstance(event, Submitted):
            yield event.job.priority
    for message in commit.send + tuple(lease.message for lease in commit.take):
        yield message.priority
        body = message.body
        if isinstance(body, RunHandler | OfferTask):
            yield body.priority
        elif isinstance(body, StartChild):
            yield body.child.priority


def _orders_of(commit: Commit) -> Iterator[Order]:
    if commit.job is not None and isinstance(commit.job.phase, Waiting):
        yield commit.job.phase.task.order
    for branch in commit.branches:
        yield branch.task.order
    for message in commit.send + tuple(lease.message for lease in commit.take):
        if isinstance(message.body, OfferTask):
            yield message.body.task.order
    for event in _events_of(commit):
        if isinstance(event, Decided):
            yield from _decision_orders(event.decision)


def _decision_orders(decision: Decision) -> tuple[Order, ...]:
    if isinstance(decision, Dispatch):
        return (decision.order,)
    return decision.orders if isinstance(decision, FanOut) else ()


def _events_of(commit: Commit) -> Iterator[Event]:
    for fact in commit.facts:
        yield fact.event
    for message in commit.send:
        if isinstance(message.body, Record):
            for fact in message.body.facts:
                yield fact.event
