"""A node need not ask the store for a lease that it granted; the store has the last word all the same."""

import pytest
from msgspec import Raw

from avtomatika.blueprints.client import ClientConfig
from avtomatika.clock import SystemNames
from avtomatika.commands.apply import Writer
from avtomatika.commands.decide import Decider
from avtomatika.commands.fleet import Fleet, owner_of
from avtomatika.commands.outbox import message_of
from avtomatika.commands.results import Handle, Results
from avtomatika.kernel.effects import OfferTask
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Report, Waiting
from avtomatika.kernel.time import Instant, Span
from avtomatika.matching.compliance import WorkerProfile
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Commit, Lease, LeaseLost, MessageId
from avtomatika.services.supervisor import Supervisor
from avtomatika.stores.memory import MemoryStore
from avtomatika.testing.contract.values import T0, TTL, CountedTokens, VirtualClock, a_job, a_task, at, create


class Asked(MemoryStore):
    """Counts how often a lease is looked up."""

    asked = 0

    async def held(self, message: MessageId, *, now: Instant) -> Lease | None:
        self.asked += 1
        return await super().held(message, now=now)


class World:
    """A task that a worker holds by a lease that this node granted."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.store = Asked(now=self.clock.now, tokens=CountedTokens())
        node = NodeContext(self.store, self.clock, SystemNames(), Supervisor().spawn, "n")
        writer = Writer(node, Decider((), lambda name: ClientConfig(id=name, plan="")))
        self.fleet = Fleet()
        self.results = Results(node, writer, granted=self.fleet.lease)

    async def grant(self) -> tuple[Handle, Lease]:
        task = a_task()
        await create(self.store, a_job(phase=Waiting(task, {"ok": "on"})))
        message = message_of(OfferTask(JobId("j"), task, T0))
        await self.store.commit(Commit(now=T0, send=(message,)))
        lease = await self.leased()
        member = self.fleet.seen(WorkerProfile(id="w", revision=1, skills={}), "idle", at(9 * TTL))
        member.took(lease)
        return Handle(task.id, task.attempt, 1), lease

    async def leased(self, worker: str = "w") -> Lease:
        queue = next(iter(await self.store.queues("task")))
        now = self.clock.now()
        (lease,) = await self.store.lease((queue,), owner=owner_of(worker), now=now, ttl=TTL, limit=1)
        return lease

    async def report(self, handle: Handle, lease: Lease) -> bool:
        """True when the result was taken."""
        report = Report("ok", worker="w", data=Raw(b"{}"))
        accepted = await self.results.take(JobId("j"), handle, report, lease.token)
        return not accepted.duplicate


async def test_the_store_is_not_asked_for_a_lease_that_was_granted_here() -> None:
    world = World()
    handle, lease = await world.grant()
    assert await world.report(handle, lease)
    assert world.store.asked == 0


async def test_a_lease_that_has_run_out_is_asked_for_and_refused() -> None:
    world = World()
    handle, lease = await world.grant()
    await world.clock.advance(Span(TTL))
    with pytest.raises(LeaseLost):
        await world.report(handle, lease)
    assert world.store.asked == 1


async def test_a_task_that_was_withdrawn_elsewhere_takes_no_result() -> None:
    world = World()
    handle, lease = await world.grant()
    await world.store.commit(Commit(now=T0, drop=(lease.message.id,)))
    with pytest.raises(LeaseLost):
        await world.report(handle, lease)
    job = await world.store.load(JobId("j"))
    assert job is not None
    assert isinstance(job.phase, Waiting), "nothing has happened"


async def test_a_token_that_is_not_that_of_the_lease_is_refused() -> None:
    world = World()
    handle, lease = await world.grant()
    with pytest.raises(LeaseLost):
        await world.results.take(JobId("j"), handle, Report("ok", worker="w"), f"{lease.token}x")
    with pytest.raises(LeaseLost):
        await world.results.take(JobId("j"), handle, Report("ok", worker="other"), lease.token)
