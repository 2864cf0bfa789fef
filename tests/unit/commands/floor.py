"""A floor where tasks meet workers: real offers over a real store, under whatever clock the loop has."""

import random
from collections.abc import Collection, Sequence
from itertools import count

from avtomatika.commands.access import Access
from avtomatika.commands.apply import Writer, WriterPolicy
from avtomatika.commands.decide import Decider
from avtomatika.commands.fleet import Fleet, Member, Wanted
from avtomatika.commands.offers import Offers
from avtomatika.commands.outbox import message_of
from avtomatika.kernel.effects import OfferTask
from avtomatika.kernel.ids import JobId, TaskId
from avtomatika.kernel.model import Order, Task
from avtomatika.kernel.time import Span, after
from avtomatika.matching.compliance import Skill, WorkerProfile
from avtomatika.matching.strategies import DispatchRules
from avtomatika.ports.clock import Clock
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Commit, Lease
from avtomatika.services.supervisor import Supervisor
from avtomatika.stores.memory import MemoryStore
from avtomatika.testing.clock import SeededNames

LEASE = Span(600_000)
PRESENT = Span(3_600_000)


class Floor:
    """Offers with nothing around them: whoever is named asks, and what is sent waits."""

    def __init__(self, clock: Clock, rules: DispatchRules | None = None) -> None:
        names = SeededNames(random.Random(0))
        self.clock = clock
        self.store = MemoryStore(now=clock.now, tokens=names.token)
        self.supervisor = Supervisor()
        node = NodeContext(self.store, clock, names, self.supervisor.spawn, "n")
        writer = Writer(node, Decider((), Access(()).client_of), WriterPolicy())
        self.trust: dict[str, float] = {}
        self.fleet = Fleet(lambda worker: self.trust.get(worker, 1.0))
        self.rules = rules or DispatchRules()
        self.offers = Offers(node, writer, LEASE, self.fleet, self.rules)
        self._names = count(1)
        self._revisions = count(1)

    def worker(
        self,
        name: str,
        *skills: str,
        cost: float = 0.0,
        hot: Collection[str] = (),
        capacity: int | None = None,
        status: str = "idle",
    ) -> Member:
        """The worker is present and as described."""
        profile = WorkerProfile(
            id=name,
            revision=next(self._revisions),
            skills={skill: Skill(skill) for skill in skills},
            costs=dict.fromkeys(skills, cost),
            hot=frozenset(hot),
            capacity=capacity,
        )
        return self.fleet.seen(profile, status, after(self.clock.now(), PRESENT))

    async def send(self, order: Order, avoid: str = "", priority: float = 0.0) -> TaskId:
        """A task waits for a worker."""
        job = JobId(f"j{next(self._names)}")
        task = Task(TaskId(f"{job}-1-0"), order, Span(600_000), avoid=avoid)
        now = self.clock.now()
        offer = OfferTask(job, task, now, priority=priority)
        await self.store.commit(Commit(now=now, send=(message_of(offer),)))
        return task.id

    async def take(
        self, member: Member, patience: int, limit: int = 1, skills: frozenset[str] | None = None
    ) -> Sequence[Lease]:
        """What the worker gets when it asks."""
        wanted = Wanted(member.profile, skills, limit)
        return await self.offers.take(wanted, after(self.clock.now(), Span(patience)))

    async def done(self, member: Member, lease: Lease) -> None:
        """The worker has done the task."""
        await self.store.commit(Commit(now=self.clock.now(), ack=(lease,)))
        self.fleet.let_go(member.profile.id, lease.message.id)
