"""Facts leave the queue when they are safe outside, and not before."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from msgspec import Raw

from avtomatika.clock import SystemNames
from avtomatika.commands import export as module
from avtomatika.commands.export import LEASE, Export
from avtomatika.commands.outbox import HISTORY, history_message
from avtomatika.errors import Unavailable
from avtomatika.kernel.events import SignalReceived
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Status
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.fact import Fact, Record, Standing
from avtomatika.ports.history import Row
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Commit
from avtomatika.services.supervisor import Supervisor
from avtomatika.stores.memory import MemoryStore
from avtomatika.testing.store_contract import VirtualClock

Place = tuple[str, int]


class Table:
    """A history that keeps rows in a dictionary. `trouble` is what the next writes meet, before or after."""

    def __init__(self) -> None:
        self.rows: dict[Place, Row] = {}
        self.writes: list[int] = []
        self.down = False
        self.lost_answers = 0

    async def open(self) -> None:
        if self.down:
            raise Unavailable("The table is away.")

    async def write(self, rows: Sequence[Row]) -> None:
        await self.open()
        self.writes.append(len(rows))
        for row in rows:
            self.rows.setdefault((row.job, row.version), row)
        if self.lost_answers:
            self.lost_answers -= 1
            raise Unavailable("The answer got lost.")

    async def close(self) -> None:
        self.down = True


class World:
    """A node with nothing but a queue of facts, and the table that they go to."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        names = SystemNames()
        self.store = MemoryStore(now=self.clock.now, tokens=names.token)
        self.node = NodeContext(self.store, self.clock, names, Supervisor().spawn, "n1")
        self.table = Table()
        self.export = Export(self.node, self.table)

    async def send(self, *versions: int, payload: bytes = b"1") -> None:
        """A message of one fact for each version."""
        stood = (Standing("s", Status.RUNNING),)
        now = self.clock.now()
        event = SignalReceived("news", Raw(payload))
        facts = [Fact(JobId("j"), version, now, event) for version in versions]
        messages = tuple(history_message(Record((fact,), stood, "c", "b"), now) for fact in facts)
        await self.store.commit(Commit(now=now, send=messages))

    async def left(self) -> int:
        return len(await self.store.peek(HISTORY, limit=10_000))

    @property
    def versions(self) -> list[int]:
        return sorted(version for _, version in self.table.rows)


@pytest.fixture
def world() -> World:
    return World()


async def test_facts_are_written_together_and_their_messages_are_gone(world: World) -> None:
    await world.send(1, 2, 3)
    assert await world.export.step() == 3
    assert (world.versions, world.table.writes, await world.left()) == ([1, 2, 3], [3], 0)
    assert await world.export.step() == 0


async def test_while_the_table_is_away_every_message_stays_and_is_held(world: World) -> None:
    await world.send(1, 2)
    world.table.down = True
    for _ in range(100):
        with pytest.raises(Unavailable):
            await world.export.step()
        await world.clock.advance(Span(LEASE // 3))
    assert (world.versions, await world.left()) == ([], 2)
    world.table.down = False
    assert await world.export.step() == 2
    assert (world.versions, await world.left()) == ([1, 2], 0)


async def test_a_write_whose_answer_got_lost_is_repeated(world: World) -> None:
    await world.send(1, 2)
    world.table.lost_answers = 1
    with pytest.raises(Unavailable):
        await world.export.step()
    assert (world.versions, await world.left()) == ([1, 2], 2)
    assert await world.export.step() == 2
    assert (world.table.writes, await world.left()) == ([2, 2], 0)


async def test_what_a_node_held_when_it_died_is_exported_by_the_next(world: World) -> None:
    await world.send(1, 2)
    world.table.lost_answers = 1
    with pytest.raises(Unavailable):
        await world.export.step()
    heir = Export(msgspec.structs.replace(world.node, name="n2"), world.table)
    assert await heir.step() == 0
    await world.clock.advance(LEASE)
    assert await heir.step() == 2
    assert await world.left() == 0


async def test_leases_that_ran_out_cost_a_repetition_and_nothing_else(world: World) -> None:
    await world.send(1, 2, 3)
    world.table.down = True
    with pytest.raises(Unavailable):
        await world.export.step()
    world.table.down = False
    await world.clock.advance(LEASE)
    heir = Export(msgspec.structs.replace(world.node, name="n2"), world.table)
    assert await heir.step() == 3
    assert await world.export.step() == 0
    assert (world.versions, await world.left()) == ([1, 2, 3], 0)


async def test_a_lease_lost_during_the_write_keeps_no_other_message_back(world: World) -> None:
    await world.send(1, 2, 3)
    write = world.table.write

    async def and_one_is_replaced(rows: Sequence[Row]) -> None:
        await write(rows)
        await world.send(2)  # the same message again: the lease of the first one is void

    world.table.write = and_one_is_replaced  # type: ignore[method-assign]  # it happens at this moment
    assert await world.export.step() == 3
    assert await world.left() == 1
    world.table.write = write  # type: ignore[method-assign]  # and never again
    assert await world.export.step() == 1
    assert (world.versions, await world.left()) == ([1, 2, 3], 0)


async def test_large_facts_are_written_in_portions(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 2_000)
    await world.send(*range(1, 8), payload=b'"' + b"x" * 900 + b'"')
    done = [await world.export.step() for _ in range(4)]
    assert done == [3, 3, 1, 0]
    assert (world.versions, await world.left()) == ([*range(1, 8)], 0)


async def test_no_more_messages_than_a_portion_are_held(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_MESSAGES", 2)
    await world.send(1, 2, 3)
    assert [await world.export.step() for _ in range(3)] == [2, 1, 0]


async def test_a_step_that_was_cut_off_is_taken_up_again(world: World) -> None:
    await world.send(1, 2)
    entered, never = asyncio.Event(), asyncio.Event()
    write = world.table.write

    async def hanging(rows: Sequence[Row]) -> None:
        entered.set()
        await never.wait()

    world.table.write = hanging  # type: ignore[method-assign]  # a table that does not answer
    step = asyncio.ensure_future(world.export.step())
    await asyncio.wait_for(entered.wait(), 5)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    world.table.write = write  # type: ignore[method-assign]  # it answers again
    assert await world.export.step() == 2
    assert (world.versions, await world.left()) == ([1, 2], 0)


async def test_the_time_of_a_fact_is_when_it_happened(world: World) -> None:
    await world.send(1)
    happened = world.clock.now()
    await world.clock.advance(LEASE)
    await world.export.step()
    assert world.table.rows["j", 1].at == happened > Instant(0)
