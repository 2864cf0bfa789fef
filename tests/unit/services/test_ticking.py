"""Who arms the schedules, and who acts on their ticks."""

import asyncio

from avtomatika.commands.ticks import TICKS
from avtomatika.kernel.time import SECOND, Instant
from avtomatika.ports.store import Commit, MessageId
from avtomatika.schedules.rule import Interval
from avtomatika.schedules.schedule import Schedule
from avtomatika.services.ticking import MEND_EVERY, Armer, tick_consumer
from avtomatika.stores.memory import MemoryStore
from tests.integration.schedules.stage import CountedNames, HandClock, Node, Stage

START = Instant(1_800_000_000_000)
EVERY_MINUTE = Schedule(name="often", blueprint="flow", rule=Interval(60))


class SteppedClock(HandClock):
    """Who sleeps waits for the test, which hears until when."""

    def __init__(self) -> None:
        super().__init__(START)
        self.asked: asyncio.Queue[Instant] = asyncio.Queue()
        self.go_on = asyncio.Semaphore(0)

    async def sleep_until(self, when: Instant) -> None:
        self.asked.put_nowait(when)
        await self.go_on.acquire()
        await super().sleep_until(when)


def a_node() -> tuple[Stage, SteppedClock, Node]:
    clock, names = SteppedClock(), CountedNames()
    stage = Stage(MemoryStore(now=clock.now, tokens=names.token), clock, names)
    return stage, clock, stage.node("n", [EVERY_MINUTE])


async def test_schedules_are_armed_as_soon_as_the_store_takes_it_and_looked_after_from_then_on() -> None:
    stage, clock, node = a_node()
    node.store.dies = "before"
    running = asyncio.ensure_future(Armer(node.context, node.ticks).run())
    assert await clock.asked.get() == START + SECOND
    assert await stage.store.queues(TICKS) == {}
    clock.go_on.release()
    assert await clock.asked.get() == START + SECOND + MEND_EVERY
    assert [*await stage.store.queues(TICKS)] == ["tick:often"]
    await stage.store.commit(Commit(now=clock.now(), drop=(MessageId("tick:often"),)))
    clock.go_on.release()
    assert await clock.asked.get() == START + SECOND + 2 * MEND_EVERY
    assert [*await stage.store.queues(TICKS)] == ["tick:often"]
    running.cancel()


async def test_the_consumer_of_ticks_acts_on_what_is_due() -> None:
    stage, _, node = a_node()
    await node.ticks.arm()
    consumer = tick_consumer(node.context, node.ticks, width=10)
    assert await consumer.step()
    while not await stage.jobs():
        await asyncio.sleep(0)
    assert not await consumer.step()
