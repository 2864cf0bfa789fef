"""What parents and children say to each other is delivered once, also when nobody is there to hear it."""

import pytest
from msgspec import Raw
from msgspec.structs import replace

from avtomatika.blueprints.client import ClientConfig
from avtomatika.clock import SystemClock, SystemNames
from avtomatika.commands.apply import Writer
from avtomatika.commands.decide import Decider
from avtomatika.commands.kin import Kin
from avtomatika.commands.outbox import KIN, Sent, message_of
from avtomatika.kernel.effects import CancelChild, StartChild, TellParent
from avtomatika.kernel.ids import JobId, child_id
from avtomatika.kernel.model import AwaitingChild, Done, Job, Parent, Policy, Ready, Status, Verdict
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Commit, Lease, LeaseLost
from avtomatika.services.supervisor import Supervisor
from avtomatika.stores.memory import MemoryStore

PARENT = JobId("p")
CHILD = child_id(PARENT, 3)


def a_job(name: JobId = PARENT, parent: Parent | None = None) -> Job:
    return Job(
        id=name,
        blueprint="b",
        edition="1",
        state="here",
        phase=Ready(),
        policy=Policy(),
        created=Instant(0),
        updated=Instant(0),
        parent=parent,
    )


class Family:
    """A node whose jobs nobody runs, so that they stay where they are put."""

    def __init__(self) -> None:
        clock, names = SystemClock(), SystemNames()
        self.store = MemoryStore(now=clock.now, tokens=names.token)
        self._node = NodeContext(self.store, clock, names, Supervisor().spawn, "n1")
        writer = Writer(self._node, Decider((), lambda name: ClientConfig(id=name, plan="")))
        self.kin = Kin(self._node, writer)

    async def put(self, job: Job) -> None:
        now = self._node.clock.now()
        await self.store.commit(Commit(now=now, job=replace(job, version=job.version or 1)))

    async def put_parent(self) -> None:
        await self.put(replace(a_job(), phase=AwaitingChild(3, CHILD, {"success": "on"}), version=3))

    async def said(self, effect: Sent) -> Lease:
        """The message is there, and leased to this node."""
        now = self._node.clock.now()
        await self.store.commit(Commit(now=now, send=(message_of(effect),)))
        (lease,) = await self.store.lease((KIN,), owner="node:n1", now=now, ttl=Span(9_000), limit=1)
        return lease

    async def deliver(self, effect: Sent) -> None:
        """The message was delivered and is gone."""
        lease = await self.said(effect)
        await self.kin.deliver(lease)
        assert lease.message not in await self.store.peek(KIN, limit=10)


START = StartChild(PARENT, a_job(CHILD, Parent(PARENT, 3, 1)))
CANCEL = CancelChild(PARENT, CHILD, "enough")
ENDED = TellParent(CHILD, PARENT, 3, Verdict.FINISHED, "end", Raw(b'{"n":1.0}'))


async def test_a_child_is_accepted_and_its_first_handler_is_due() -> None:
    family = Family()
    await family.put_parent()
    await family.deliver(START)
    child = await family.store.load(CHILD)
    assert child is not None
    assert (child.version, child.status, child.parent) == (1, Status.PENDING, Parent(PARENT, 3, 1))
    assert await family.store.next_due("run:b@1") is not None


async def test_a_child_that_is_there_already_is_left_as_it_is() -> None:
    family = Family()
    there = replace(START.child, version=7, state="further")
    await family.put(there)
    await family.deliver(START)
    assert await family.store.load(CHILD) == there


async def test_a_start_that_was_taken_back_has_no_effect() -> None:
    family = Family()
    lease = await family.said(START)
    await family.store.commit(Commit(now=Instant(1), drop=(lease.message.id,)))
    with pytest.raises(LeaseLost):
        await family.kin.deliver(lease)
    assert await family.store.load(CHILD) is None


async def test_a_child_is_cancelled_for_the_reason_that_its_parent_gave() -> None:
    family = Family()
    await family.put(START.child)
    await family.deliver(CANCEL)
    child = await family.store.load(CHILD)
    assert child is not None
    assert child.phase == Done(Verdict.CANCELLED)
    assert child.failure is not None
    assert child.failure.message == "enough"


@pytest.mark.parametrize("verdict", Verdict)
async def test_a_child_that_has_ended_stays_as_it_is(verdict: Verdict) -> None:
    family = Family()
    ended = replace(START.child, phase=Done(verdict), version=5)
    await family.put(ended)
    await family.deliver(CANCEL)
    assert await family.store.load(CHILD) == ended


async def test_a_parent_goes_on_when_it_hears_of_the_end() -> None:
    family = Family()
    await family.put_parent()
    await family.deliver(ENDED)
    parent = await family.store.load(PARENT)
    assert parent is not None
    assert (parent.state, parent.phase, parent.last) == ("on", Ready(), Raw(b'{"n":1.0}'))


async def test_a_parent_that_waits_no_longer_stays_as_it_is() -> None:
    family = Family()
    gone_on = replace(a_job(), version=9, state="on")
    await family.put(gone_on)
    await family.deliver(ENDED)
    assert await family.store.load(PARENT) == gone_on


@pytest.mark.parametrize("effect", [CANCEL, ENDED])
async def test_what_is_said_to_a_job_that_is_not_there_is_forgotten(effect: Sent) -> None:
    await Family().deliver(effect)
