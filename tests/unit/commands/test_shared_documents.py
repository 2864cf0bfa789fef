"""Nodes that share a registry some way off write at the same time: nothing is lost or given out twice."""

import asyncio
import random
from collections.abc import Sequence

import msgspec

from avtomatika.clock import SystemClock, SystemNames
from avtomatika.commands.holdings import Holdings
from avtomatika.commands.mailbox import MOST, Mailbox
from avtomatika.commands.presence import Introduction, Presence, SignOfLife
from avtomatika.kernel.time import Instant, Span, after
from avtomatika.matching.compliance import Skill
from avtomatika.ports.clock import Clock
from avtomatika.ports.node import NodeContext
from avtomatika.ports.registry import Doc
from avtomatika.services.supervisor import Supervisor
from avtomatika.stores.memory import MemoryStore
from avtomatika.stores.registry import MemoryRegistry
from rxon.messages import WorkerCommand

CLOCK = SystemClock()
SKILL = Skill("s")


class FarRegistry(MemoryRegistry):
    """Others have their turn before and after every call."""

    def __init__(self) -> None:
        super().__init__()
        self._chance = random.Random(0)

    async def _travel(self) -> None:
        for _ in range(self._chance.randrange(4)):
            await asyncio.sleep(0)

    async def get(self, kind: str, key: str, *, now: Instant) -> Doc | None:
        await self._travel()
        found = await super().get(kind, key, now=now)
        await self._travel()
        return found

    async def replace(self, doc: Doc, *, expected: int, now: Instant) -> bool:
        await self._travel()
        found = await MemoryRegistry.get(self, doc.kind, doc.key, now=now)
        done = (0 if found is None else found.version) == expected
        if done:
            await self.put(doc)
        await self._travel()
        return done

    async def take(self, kind: str, key: str, *, now: Instant) -> Doc | None:
        await self._travel()
        found = await MemoryRegistry.get(self, kind, key, now=now)
        await self.delete(kind, key)
        await self._travel()
        return found


class HandClock:
    """Shows what it was set to."""

    def __init__(self) -> None:
        self.time = Instant(1)

    def now(self) -> Instant:
        return self.time

    async def sleep_until(self, when: Instant) -> None:
        self.time = max(self.time, when)


def nodes(count: int, clock: Clock = CLOCK) -> Sequence[NodeContext]:
    """So many nodes of one store."""
    names = SystemNames()
    store = MemoryStore(now=clock.now, tokens=names.token)
    return [NodeContext(store, clock, names, Supervisor().spawn, f"n{n}") for n in range(count)]


def soon() -> Instant:
    return after(CLOCK.now(), Span(50))


async def test_no_command_is_lost_and_none_is_given_out_twice() -> None:
    registry = FarRegistry()
    boxes = [Mailbox(node, registry) for node in nodes(4)]
    sent = [f"c{n}" for n in range(MOST // 2)]
    given: list[str | None] = []

    async def takes(box: Mailbox) -> None:
        while len(given) < len(sent):
            given.extend(command.id for command in await box.first("w1", soon()))

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for box in boxes:
            group.create_task(takes(box))
        for n, name in enumerate(sent):
            group.create_task(boxes[n % 4].send("w1", WorkerCommand(command="ping", id=name)))
    assert sorted(map(str, given)) == sorted(sent)


async def test_the_oldest_commands_are_dropped_when_there_are_too_many() -> None:
    (node,) = nodes(1)
    box = Mailbox(node, MemoryRegistry())
    for n in range(MOST + 5):
        assert not await box.send("w1", WorkerCommand(command="ping", id=f"c{n}"))
    assert [command.id for command in await box.take("w1")] == [f"c{n}" for n in range(5, MOST + 5)]
    assert list(await box.take("w1")) == []


async def test_whoever_waits_here_is_known_to_wait() -> None:
    one, other = (Mailbox(node, registry) for registry in [MemoryRegistry()] for node in nodes(2))
    waiting = asyncio.ensure_future(one.announced("w1", after(CLOCK.now(), Span(60_000))))
    await asyncio.sleep(0)
    assert not await other.send("w1", WorkerCommand(command="ping", id="c1"))
    async with asyncio.timeout(10):
        assert [command.id for command in await waiting] == ["c1"]
    again = asyncio.ensure_future(one.first("w1", after(CLOCK.now(), Span(60_000))))
    await asyncio.sleep(0)
    assert await one.send("w1", WorkerCommand(command="ping", id="c2"))
    async with asyncio.timeout(10):
        assert [command.id for command in await again] == ["c2"]
    assert not await one.send("w1", WorkerCommand(command="ping", id="c3"))


async def test_a_list_of_tasks_loses_nothing_when_all_nodes_change_it() -> None:
    registry = FarRegistry()
    lists = [Holdings(registry, CLOCK) for _ in range(4)]
    tasks = [f"t{n}" for n in range(40)]
    await asyncio.gather(*(lists[n % 4].add("w1", [task]) for n, task in enumerate(tasks)))
    assert set(await lists[0].of("w1")) == set(tasks)
    kept = tasks[::2]
    await asyncio.gather(*(lists[n % 4].discard("w1", [task]) for n, task in enumerate(tasks[1::2])))
    assert set(await lists[1].of("w1")) == set(kept)
    await asyncio.gather(*(each.discard("w1", kept) for each in lists))
    assert list(await lists[2].of("w1")) == []


async def test_a_registration_is_not_undone_by_a_heartbeat_of_before() -> None:
    registry = FarRegistry()
    several = [Presence(node, registry, Span(60_000)) for node in nodes(3)]
    revisions: list[int] = []
    for n in range(30):
        before = await several[0].register("w1", Introduction(type="cpu", skills=[SKILL]))
        registered, *_ = await asyncio.gather(
            several[1].register("w1", Introduction(type="gpu", skills=[Skill(f"s{n}")])),
            several[0].heard(before, SignOfLife(hot=["s"], status="busy")),
            several[2].heard(await several[2].get("w1"), SignOfLife(status="idle")),
        )
        last = await several[n % 3].get("w1")
        assert (last.type, set(last.profile.skills)) == ("gpu", {f"s{n}"})
        revisions += [before.profile.revision, registered.profile.revision]
    assert revisions == sorted(set(revisions))


async def test_what_says_nothing_new_is_not_read_again() -> None:
    registry = MemoryRegistry()
    one, other = (Presence(node, registry, Span(60_000)) for node in nodes(2))
    worker = await one.register("w1", Introduction(type="cpu", skills=[SKILL]))
    first = await other.get("w1")
    await one.heard(worker, SignOfLife())
    assert await other.get("w1") is first
    assert list(await other.everyone()) == [first]
    await one.heard(await one.get("w1"), SignOfLife(status="busy"))
    assert await other.get("w1") == msgspec.structs.replace(first, status="busy")


async def test_workers_of_other_nodes_are_counted_once_they_were_looked_for() -> None:
    registry, clock = MemoryRegistry(), HandClock()
    one, other = (Presence(node, registry, Span(300)) for node in nodes(2, clock))
    for n in range(250):
        await one.register(f"w{n}", Introduction(type="cpu", skills=[SKILL]))
    assert (one.count(), other.count()) == (250, 0)
    await other.sweep()
    assert other.count() == 250
    clock.time = Instant(301)
    assert (one.count(), other.count()) == (0, 0)
    assert not one.knows("w1")
    await other.sweep()
    assert registry._docs == {}
