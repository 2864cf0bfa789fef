"""Time, tokens and small values for tests of stores."""

import asyncio
from collections.abc import Sequence
from typing import Final

from msgspec import Raw

from avtomatika.kernel.effects import OfferTask
from avtomatika.kernel.events import CancelRequested
from avtomatika.kernel.ids import JobId, TaskId, task_id
from avtomatika.kernel.model import (
    NULL,
    Branch,
    Data,
    Done,
    Job,
    Order,
    Phase,
    Policy,
    Ready,
    Report,
    Task,
    Verdict,
)
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.store import Claim, Commit, Fact, Lease, Message, MessageId, Store

T0: Final = Instant(1_000_000)
"""When the tests of the contract begin."""

TTL: Final = Span(10_000)
"""How long they lease."""

NO_DATA: Final[Data] = {}


class VirtualClock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, now: Instant = T0) -> None:
        self._now = now
        self._moved = asyncio.Condition()

    def now(self) -> Instant:
        """The present moment."""
        return self._now

    async def sleep_until(self, when: Instant) -> None:
        """Returns when the clock shows *when* or later."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._now >= when)

    async def advance(self, span: Span) -> None:
        """The clock shows *span* more; everybody who slept until then is woken."""
        async with self._moved:
            self._now = Instant(self._now + span)
            self._moved.notify_all()


class CountedTokens:
    """A source of tokens that says the same in every run: t1, t2, …"""

    def __init__(self) -> None:
        self.drawn = 0

    def __call__(self) -> str:
        self.drawn += 1
        return f"t{self.drawn}"


def at(span: int) -> Instant:
    """The moment *span* milliseconds after the beginning."""
    return Instant(T0 + span)


def a_job(
    name: str = "j",
    version: int = 1,
    *,
    phase: Phase | None = None,
    client: str = "",
    blueprint: str = "b",
    created: Instant = T0,
    updated: Instant | None = None,
    user_input: Data = NO_DATA,
    history: Data = NO_DATA,
    last: Raw = NULL,
) -> Job:
    """A job with nothing special about it but what is said."""
    return Job(
        id=JobId(name),
        blueprint=blueprint,
        edition="1",
        state="start",
        phase=phase or Ready(),
        policy=Policy(),
        created=created,
        updated=created if updated is None else updated,
        client=client,
        version=version,
        input=user_input,
        history=history,
        last=last,
    )


def over(
    name: str = "j", version: int = 2, *, ended: Instant = T0, verdict: Verdict = Verdict.FINISHED
) -> Job:
    """A job that has ended."""
    return a_job(name, version, phase=Done(verdict), updated=ended)


def a_task(job: str = "j", opened: int = 1, index: int = 0, *, order: Order | None = None) -> Task:
    """A task of the job."""
    name = task_id(JobId(job), opened, index)
    return Task(id=name, order=order or Order(skill="s"), execution_timeout=Span(1_000))


def a_branch(job: str = "j", opened: int = 1, index: int = 0, *, report: Report | None = None) -> Branch:
    """One branch of a fan-out of the job."""
    return Branch(a_task(job, opened, index), report)


def branch_id(job: str, opened: int, index: int) -> TaskId:
    """The name of the task of a branch."""
    return task_id(JobId(job), opened, index)


def a_message(
    name: str = "m",
    queue: str = "q",
    *,
    job: str = "j",
    visible_at: Instant = T0,
    priority: float = 0.0,
    order: Order | None = None,
) -> Message:
    """A message that offers a task."""
    body = OfferTask(JobId(job), a_task(job, order=order), visible_at)
    return Message(MessageId(name), queue, JobId(job), visible_at, body, priority)


def a_fact(job: str = "j", version: int = 1, *, at: Instant = T0) -> Fact:
    """The fact that made a version."""
    return Fact(JobId(job), version, at, CancelRequested(f"reason {version}"))


def a_claim(key: str = "k", *, job: str = "j", expires_at: Instant, fingerprint: str = "f") -> Claim:
    """A claim of a key by a job."""
    return Claim(key, fingerprint, JobId(job), expires_at)


async def create(store: Store, *jobs: Job) -> None:
    """Each of the jobs, which were not there, is there with one fact."""
    for job in jobs:
        fact = a_fact(job.id, job.version)
        await store.commit(Commit(now=job.created, job=job, expected=0, facts=(fact,)))


async def send(store: Store, *messages: Message, now: Instant = T0) -> None:
    """The messages are sent, in one commit."""
    await store.commit(Commit(now=now, send=messages))


async def grab(
    store: Store, *queues: str, owner: str = "w", now: Instant = T0, ttl: Span = TTL, limit: int = 100
) -> Sequence[Lease]:
    """Everything that is available in the queues, leased."""
    return await store.lease(queues or ("q",), owner=owner, now=now, ttl=ttl, limit=limit)


async def grab_one(
    store: Store, queue: str = "q", *, owner: str = "w", now: Instant = T0, ttl: Span = TTL
) -> Lease:
    """The one message that is available in the queue, leased."""
    (lease,) = await grab(store, queue, owner=owner, now=now, ttl=ttl)
    return lease


def names(leases: Sequence[Lease]) -> list[str]:
    """The ids of the messages leased, in order."""
    return [str(lease.message.id) for lease in leases]
