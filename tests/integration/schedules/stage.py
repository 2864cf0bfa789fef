"""Nodes with schedules over one store, and a clock that is set by hand."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.blueprints.client import ClientConfig
from avtomatika.commands.apply import Writer
from avtomatika.commands.decide import Decider
from avtomatika.commands.ticks import Ticks
from avtomatika.errors import Unavailable
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Job, Policy
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Commit, JobQuery, Lease, LeaseLost, Store
from avtomatika.schedules.schedule import Schedule
from avtomatika.services.supervisor import Supervisor

LEASE = Span(10_000)
FLOW = Blueprint("flow")


@FLOW.handler(is_start=True, is_end=True)
async def start() -> None: ...


class HandClock:
    """Shows what it was set to."""

    def __init__(self, now: Instant) -> None:
        self.time: int = now

    def now(self) -> Instant:
        return Instant(self.time)

    async def sleep_until(self, when: Instant) -> None:
        self.time = max(self.time, when)


class CountedNames:
    """Names that nobody else has, without chance."""

    def __init__(self) -> None:
        self._count = 0

    def token(self) -> str:
        self._count += 1
        return f"t{self._count}"

    def job(self, now: Instant) -> JobId:
        return JobId(f"j{now}-{self.token()}")


class Crash(Unavailable):
    """The process is gone."""


class Fragile:
    """A store whose user dies before or after the next commit, when told to."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.dies = ""

    async def commit(self, commit: Commit) -> None:
        dies, self.dies = self.dies, ""
        if dies == "before":
            raise Crash
        await self._store.commit(commit)
        if dies == "after":
            raise Crash

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class Node:
    """A node of which only the schedules are at work. Its jobs are accepted; nobody runs them."""

    def __init__(
        self, name: str, store: Store, clock: HandClock, names: CountedNames, schedules: Sequence[Schedule]
    ) -> None:
        self.store, self._clock = Fragile(store), clock
        self.context = NodeContext(self.store, clock, names, Supervisor().spawn, name)
        self.writer = Writer(self.context, Decider((), lambda client: ClientConfig(id=client)))
        self.ticks = Ticks(self.context, self.writer, Policy(), schedules, [FLOW])

    async def take(self, limit: int = 100) -> Sequence[Lease]:
        queues, owner = self.ticks.queues, self.context.owner
        return await self.store.lease(queues, owner=owner, now=self._clock.now(), ttl=LEASE, limit=limit)

    async def step(self) -> int:
        """Every tick that is due has been acted on; how many."""
        leases = await self.take()
        for lease in leases:
            await self.ticks.fire(lease)
        return len(leases)


class Stage:
    """What happens to the nodes of one store."""

    def __init__(self, store: Store, clock: HandClock, names: CountedNames) -> None:
        self.store, self.clock, self.names = store, clock, names
        self.queues: Sequence[str] = ()

    def node(self, name: str, schedules: Sequence[Schedule]) -> Node:
        """A node with these schedules; the last one that was made has those that count."""
        node = Node(name, self.store, self.clock, self.names, schedules)
        self.queues = node.ticks.queues
        return node

    async def next_due(self) -> Instant | None:
        """When the next tick may be leased."""
        found = [await self.store.next_due(queue) for queue in self.queues]
        return min((due for due in found if due is not None), default=None)

    async def jobs(self) -> list[Job]:
        """All jobs, oldest first."""
        found: list[Job] = []
        after: str | None = None
        while True:
            page = await self.store.find(JobQuery(after=after, limit=1_000_000))
            found += page.jobs
            after = page.next
            if after is None:
                return found[::-1]


async def run_until(stage: Stage, node: Node, end: Instant) -> None:
    """The node has acted on every tick up to *end*, each in its moment."""
    while (due := await stage.next_due()) is not None and due <= end:
        stage.clock.time = max(stage.clock.time, due)
        await node.step()
    stage.clock.time = max(stage.clock.time, end)


class Trouble:
    """Nodes that compete, die, freeze, and are all down at times, by chance from a seed."""

    def __init__(self, stage: Stage, schedules: Sequence[Schedule], seed: int) -> None:
        self.stage, self._schedules = stage, schedules
        self.rng = random.Random(seed)
        self.nodes = [self._born(number) for number in range(3)]
        self.crashes = self.lost = self.outages = self.restarts = 0

    def _born(self, number: int) -> Node:
        return self.stage.node(f"n{number}", self._schedules)

    async def start(self) -> None:
        """All nodes arm the schedules, at the same time."""
        await asyncio.gather(*(node.ticks.arm() for node in self.nodes))

    async def run(self, end: Instant) -> None:
        """Every tick up to *end* has been acted on, in spite of everything."""
        clock = self.stage.clock
        while (due := await self.stage.next_due()) is not None and due <= end:
            clock.time = max(clock.time, due)
            chance = self.rng.random()
            if chance < 0.01:
                await self._crash()
            elif chance < 0.02:
                await self._freeze()
            elif chance < 0.022:
                await self._outage()
            elif chance < 0.1:
                await asyncio.gather(*(node.step() for node in self.nodes))
            else:
                await self.rng.choice(self.nodes).step()

    async def _crash(self) -> None:
        """A node dies at the commit of a tick, and another one takes its place."""
        number = self.rng.randrange(len(self.nodes))
        node = self.nodes[number]
        leases = await node.take(limit=1)
        node.store.dies = self.rng.choice(["before", "after"])
        for lease in leases:
            self.crashes += 1
            try:
                await node.ticks.fire(lease)
            except Crash:
                pass
            else:
                raise AssertionError("it should have died")
        self.nodes[number] = self._born(number)
        await self.nodes[number].ticks.arm()
        self.restarts += 1

    async def _freeze(self) -> None:
        """A node stands still until its leases are gone, and goes on after another one has acted."""
        frozen, other = self.rng.sample(self.nodes, 2)
        leases = await frozen.take()
        self.stage.clock.time += LEASE + 1
        await other.step()
        for lease in leases:
            try:
                await frozen.ticks.fire(lease)
            except LeaseLost:
                self.lost += 1

    async def _outage(self) -> None:
        """Nobody is there for a while, once in a while for long."""
        self.outages += 1
        self.stage.clock.time += self.rng.choice([30_000, 600_000, 7_200_000, 86_400_000])
        self.nodes = [self._born(number) for number in range(len(self.nodes))]
        await self.start()
