"""What no store could read back is refused by every store, and leaves nothing behind."""

import math
from collections.abc import Callable

import msgspec
import pytest

from avtomatika.errors import InvalidInput
from avtomatika.kernel.decisions import (
    Decision,
    Dispatch,
    FanOut,
    Sleep,
)
from avtomatika.kernel.effects import (
    OfferTask,
    RunHandler,
    SendWebhook,
    StartChild,
    StartTimer,
)
from avtomatika.kernel.events import (
    Deadline,
    Decided,
    Event,
    Submitted,
)
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import (
    AwaitingChild,
    AwaitingHuman,
    Branch,
    Job,
    Listening,
    Order,
    Phase,
    Sleeping,
    Task,
    Waiting,
)
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import (
    Body,
    Commit,
    Fact,
    Lease,
    Message,
    MessageId,
    Record,
    Store,
    Tick,
    Token,
)
from avtomatika.testing.contract.values import (
    T0,
    a_claim,
    a_fact,
    a_job,
    a_message,
    a_task,
    at,
    branch_id,
)

J = JobId("j")


async def refused(store: Store, commit: Commit) -> None:
    """The store refuses the commit together with a message that nothing is wrong with, and keeps neither."""
    whole = msgspec.structs.replace(commit, send=(a_message("sound"), *commit.send))
    with pytest.raises(InvalidInput):
        await store.commit(whole)
    assert await store.load(J) is None
    assert await store.next_due("q") is None
    assert list(await store.facts(J)) == []


def _with(job: Job, **values: object) -> Job:
    return msgspec.structs.replace(job, **values)


def _with_due(moment: Instant) -> Task:
    return msgspec.structs.replace(a_task(), result_due=moment)


def _about(body: Body) -> Commit:
    return Commit(now=T0, send=(Message(MessageId("m"), "q", J, T0, body),))


def _moved(event: Event) -> Commit:
    return Commit(now=T0, job=a_job(), facts=(Fact(J, 1, T0, event),))


def _phase(phase: Phase) -> Commit:
    return Commit(now=T0, job=a_job(phase=phase))


def _decided(decision: Decision) -> Commit:
    return _moved(Decided(1, decision))


WITH_A_NUMBER: dict[str, Callable[[float], Commit]] = {
    "job": lambda n: Commit(now=T0, job=_with(a_job(), priority=n)),
    "message": lambda n: Commit(now=T0, job=a_job(), send=(a_message(priority=n),)),
    "order": lambda n: Commit(now=T0, job=a_job(), send=(a_message(order=Order("s", priority=n)),)),
    "max cost": lambda n: Commit(now=T0, send=(a_message(order=Order("s", max_cost=n)),)),
    "taken": lambda n: Commit(now=T0, take=(Lease(a_message(priority=n), "w", Token("t"), at(9), 1),)),
    "offer": lambda n: _about(OfferTask(J, a_task(), T0, {}, n)),
    "run": lambda n: _about(RunHandler(J, 1, "b", "1", T0, n)),
    "child": lambda n: _about(StartChild(J, _with(a_job(), priority=n))),
    "record": lambda n: _about(Record((Fact(J, 1, T0, Submitted(_with(a_job(), priority=n))),))),
    "phase": lambda n: _phase(Waiting(a_task(order=Order("s", priority=n)), {})),
    "branch": lambda n: Commit(now=T0, job=a_job(), branches=(Branch(a_task(order=Order("s", max_cost=n))),)),
    "dispatched": lambda n: _decided(Dispatch(Order("s", priority=n), {})),
    "fanned out": lambda n: _decided(FanOut((Order("s"), Order("s", max_cost=n)), "then")),
    "submitted": lambda n: _moved(Submitted(_with(a_job(), priority=n))),
}
"""A commit with a number at every place that has one."""

WITH_A_MOMENT: dict[str, Callable[[Instant], Commit]] = {
    "created": lambda t: Commit(now=T0, job=a_job(created=t)),
    "updated": lambda t: Commit(now=T0, job=a_job(updated=t)),
    "due": lambda t: Commit(now=T0, job=_with(a_job(), due=t)),
    "claim": lambda t: Commit(now=T0, job=a_job(), claim=a_claim(expires_at=t)),
    "fact": lambda t: Commit(now=T0, job=a_job(), facts=(a_fact(at=t),)),
    "visible": lambda t: Commit(now=T0, send=(a_message(visible_at=t),)),
    "until": lambda t: _phase(Sleeping(1, t, "s")),
    "listening": lambda t: _phase(Listening(1, "n", {}, t)),
    "child's end": lambda t: _phase(AwaitingChild(1, JobId("c"), {}, t)),
    "decision": lambda t: _phase(AwaitingHuman(1, "i", "m", {}, due=t)),
    "task": lambda t: _phase(Waiting(_with_due(t), {})),
    "branch": lambda t: Commit(now=T0, job=a_job(), branches=(Branch(_with_due(t)),)),
    "offer": lambda t: _about(OfferTask(J, a_task(), t)),
    "offered": lambda t: _about(OfferTask(J, _with_due(t), T0)),
    "timer": lambda t: _about(StartTimer(J, branch_id("j", 1, 0), 1, Deadline.RESULT, t)),
    "webhook": lambda t: _about(SendWebhook(J, 1, "u", "e", "s", at=t)),
    "tick": lambda t: _about(Tick("s", t, "r")),
    "child": lambda t: _about(StartChild(J, _with(a_job(), due=t))),
    "record": lambda t: _about(Record((a_fact(at=t),))),
    "slept": lambda t: _decided(Sleep(until=t)),
    "submitted": lambda t: _moved(Submitted(_with(a_job(), due=t))),
}
"""A commit with a moment at every place that has one."""


class RefusalContract:
    """Numbers and moments that could not be read back."""

    @pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("where", sorted(WITH_A_NUMBER))
    async def test_a_number_that_could_not_be_read_back_is_refused_and_leaves_nothing(
        self, store: Store, durable: bool, where: str, number: float
    ) -> None:
        await refused(store, msgspec.structs.replace(WITH_A_NUMBER[where](number), durable=durable))

    @pytest.mark.parametrize("moment", [2**63, -(2**63), 2**70])
    @pytest.mark.parametrize("where", sorted(WITH_A_MOMENT))
    async def test_a_moment_beyond_64_bits_is_refused_and_leaves_nothing(
        self, store: Store, durable: bool, where: str, moment: int
    ) -> None:
        commit = WITH_A_MOMENT[where](Instant(moment))
        await refused(store, msgspec.structs.replace(commit, durable=durable))
