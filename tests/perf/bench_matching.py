"""How fast tasks find workers when there are many: `python -m tests.perf.bench_matching [workers] [classes]`.

In one process, over the memory store and real time: the cost of an empty poll, and the time from the commit
of a task to the moment when a parked worker holds it. `load` is used by a small test of the same.
"""

import asyncio
import random
import statistics
import sys
import time
from collections.abc import Sequence

import msgspec

from avtomatika.clock import SystemClock
from avtomatika.commands.fleet import Member
from avtomatika.kernel.model import Order
from avtomatika.kernel.time import Span
from avtomatika.matching.strategies import STRATEGIES
from tests.unit.commands.floor import Floor

PATIENCE = 600_000


class Figures(msgspec.Struct, frozen=True):
    """Times in milliseconds: of an empty poll that parks, and until a parked worker holds a task."""

    poll: float
    reached_p50: float
    reached_p99: float
    tasks_a_second: float

    def __str__(self) -> str:
        return (
            f"a poll {self.poll:.3f} ms, reached in p50 {self.reached_p50:.2f} ms and p99 "
            f"{self.reached_p99:.2f} ms, {self.tasks_a_second:.0f} tasks/s"
        )


def orders(classes: int) -> Sequence[Order]:
    """An order of each class; every worker may have all of them."""
    names = [*STRATEGIES]
    return [Order("work", strategy=names[n % len(names)], max_cost=100.0 + n) for n in range(classes)]


async def load(workers: int, classes: int, *, tasks: int = 1_000, hostile: int = 0) -> Figures:
    """The figures of a floor where all of the workers are parked; *hostile* ones only registered, for all."""
    chance = random.Random(0)
    floor = Floor(SystemClock())
    duty = asyncio.ensure_future(floor.offers.serve_for_ever())
    known = orders(classes)
    for n in range(hostile):
        floor.worker(f"hostile{n}", "work", *(f"skill{k}" for k in range(20)), cost=-1.0, hot=["work"])
    members = [floor.worker(f"w{n}", "work", cost=float(chance.randint(0, 50))) for n in range(workers)]
    for order in known:  # every class is known, as after some minutes
        await floor.send(order)
        (lease,) = await floor.take(members[0], 0)
        await floor.done(members[0], lease)
    reached: asyncio.Queue[float] = asyncio.Queue()
    polls = [asyncio.ensure_future(_asks_for_ever(floor, member, reached)) for member in members]
    await asyncio.sleep(0.1)
    cost = await _cost_of_polls(floor)
    times: list[float] = []
    begun = time.perf_counter()
    for n in range(tasks):
        sent = time.perf_counter()
        await floor.send(known[n % classes])
        times.append((await reached.get() - sent) * 1_000)
    took = time.perf_counter() - begun
    for each in (*polls, duty):
        each.cancel()
    await asyncio.gather(*polls, duty, return_exceptions=True)
    await floor.supervisor.drain(Span(1_000))
    cuts = statistics.quantiles(times, n=100)
    return Figures(cost, cuts[49], cuts[98], tasks / took)


async def _asks_for_ever(floor: Floor, member: Member, reached: "asyncio.Queue[float]") -> None:
    while True:
        for lease in await floor.take(member, PATIENCE):
            reached.put_nowait(time.perf_counter())
            await floor.done(member, lease)


async def _cost_of_polls(floor: Floor, polls: int = 500) -> float:
    """What one more poll costs that finds nothing, parks and gives up, in milliseconds of this process."""
    member = floor.worker("one-more", "work", cost=99.0)
    begun = time.process_time()
    await asyncio.gather(*(floor.take(member, 100) for _ in range(polls)))
    return (time.process_time() - begun) * 1_000 / polls


def main() -> None:
    """The figures are printed."""
    workers, classes = (int(text) for text in (*sys.argv[1:], "5000", "50")[:2])
    for count in (50, workers):
        print(f"{count} workers, {classes} classes: {asyncio.run(load(count, classes))}")
    print(f"{workers} more that only registered: {asyncio.run(load(50, classes, hostile=workers))}")


if __name__ == "__main__":
    main()
