"""The duty that exports facts: an outage is told once, nothing is lost, what waits is exported at the end."""

import asyncio
import logging
from collections.abc import Sequence

import pytest
from msgspec import Raw

from avtomatika.clock import SystemClock, SystemNames
from avtomatika.commands.export import Export
from avtomatika.commands.outbox import HISTORY, history_message
from avtomatika.errors import Unavailable
from avtomatika.kernel.events import SignalReceived
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Status
from avtomatika.kernel.time import Span
from avtomatika.ports.fact import Fact, Record, Standing
from avtomatika.ports.history import Row
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Commit
from avtomatika.services import exporter as module
from avtomatika.services.exporter import Exporter
from avtomatika.services.supervisor import Supervisor
from avtomatika.stores.memory import MemoryStore


class Table:
    """A history that can be away, and that wakes who waits for a number of rows or of refusals."""

    def __init__(self) -> None:
        self.versions: set[int] = set()
        self.down = self.closed = False
        self.opened = self.refusals = 0
        self.changed = asyncio.Condition()

    async def open(self) -> None:
        self.opened += 1
        await self.write([])

    async def write(self, rows: Sequence[Row]) -> None:
        async with self.changed:
            self.changed.notify_all()
            if self.down:
                self.refusals += 1
                raise Unavailable("The table is away.")
            self.versions |= {row.version for row in rows}

    async def close(self) -> None:
        self.closed = True

    async def until(self, *, rows: int = 0, refusals: int = 0) -> None:
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: len(self.versions) >= rows and self.refusals >= refusals)


class World:
    def __init__(self) -> None:
        clock, names = SystemClock(), SystemNames()
        self.store = MemoryStore(now=clock.now, tokens=names.token)
        self.node = NodeContext(self.store, clock, names, Supervisor().spawn, "n1")
        self.table = Table()
        self.exporter = Exporter(self.node, Export(self.node, self.table))

    async def send(self, *versions: int) -> None:
        now = self.node.clock.now()
        stood = (Standing("s", Status.RUNNING),)
        facts = [Fact(JobId("j"), version, now, SignalReceived("n", Raw(b"1"))) for version in versions]
        messages = tuple(history_message(Record((fact,), stood), now) for fact in facts)
        await self.store.commit(Commit(now=now, send=messages))

    async def left(self) -> int:
        return len(await self.store.peek(HISTORY, limit=1_000))


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", Span(1))
    monkeypatch.setattr(module, "LONGEST_PAUSE", Span(4))


async def stop(running: "asyncio.Future[None]") -> None:
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_facts_are_exported_as_they_come() -> None:
    world = World()
    running = asyncio.ensure_future(world.exporter.run())
    for version in range(1, 6):
        await world.send(version)
        await world.table.until(rows=version)
    await stop(running)
    assert world.table.versions == {1, 2, 3, 4, 5}


async def test_the_table_is_looked_at_before_there_is_anything_to_write() -> None:
    world = World()
    world.table.down = True
    running = asyncio.ensure_future(world.exporter.run())
    await world.table.until(refusals=1)
    await stop(running)
    assert world.table.opened >= 1


async def test_an_outage_is_told_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = World()
    running = asyncio.ensure_future(world.exporter.run())
    rows = 0
    for _ in range(2):
        world.table.down, refusals = True, world.table.refusals
        await world.send(rows + 1, rows + 2)
        await world.table.until(refusals=refusals + 5)
        assert len(world.table.versions) == rows
        world.table.down = False
        rows += 2
        await world.table.until(rows=rows)
        await world.send(rows + 1)
        rows += 1
        await world.table.until(rows=rows)
    await stop(running)
    told = [(record.levelname, record.message.split()[0]) for record in caplog.records]
    assert told == [("WARNING", "history.down"), ("INFO", "history.back")] * 2
    assert "why=The table is away." in caplog.records[0].message


async def test_what_waits_is_exported_at_the_end() -> None:
    world = World()
    await world.send(*range(1, 1_301))
    await world.exporter.finish(Span(10_000))
    assert (len(world.table.versions), await world.left(), world.table.closed) == (1_300, 0, True)


async def test_the_end_does_not_wait_for_a_table_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    await world.send(1)
    world.table.down = True
    await world.exporter.finish(Span(10_000))
    assert (await world.left(), world.table.closed) == (1, True)
    assert [record.message for record in caplog.records] == ["history.left why=The table is away."]


async def test_the_end_waits_no_longer_than_it_may(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    await world.send(1)
    await world.table.changed.acquire()  # every write waits from now on
    await world.exporter.finish(Span(20))
    assert (await world.left(), world.table.closed) == (1, True)
    assert "history.left" in caplog.text
