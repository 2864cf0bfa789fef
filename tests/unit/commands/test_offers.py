"""Tasks and workers meet: in time, in order, and whoever is idle gets what it may have."""

import asyncio
import random
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avtomatika.kernel.effects import OfferTask
from avtomatika.kernel.model import Order
from avtomatika.kernel.time import Span, after
from avtomatika.matching.strategies import STRATEGIES, DispatchRules
from avtomatika.testing.clock import SimClock
from avtomatika.testing.loop import SimLoop
from tests.unit.commands.floor import Floor

SKILLS = ("a", "b", "c")
SPILL = Span(2_000)
TICK = 0.1
TOLERANCE = 150


def simulated(play: Coroutine[Any, Any, None]) -> None:
    """The play is over; waiting in it costs no time."""
    with asyncio.Runner(loop_factory=SimLoop) as runner:
        runner.run(play)


def floor_of(rules: DispatchRules | None = None) -> Floor:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    return Floor(SimClock(loop), rules or DispatchRules(spill_after=SPILL))


async def waits_in_vain(floor: Floor) -> str | None:
    """An idle worker, and a task that it may have and that has waited for too long."""
    now = floor.clock.now()
    for queue, sample in (await floor.store.queues("task")).items():
        members = floor.offers.classes.of(queue, sample)
        assert members is not None
        for message in await floor.store.peek(queue, limit=100):
            body = message.body
            assert isinstance(body, OfferTask)
            late = after(message.visible_at, Span(SPILL + TOLERANCE)) < now
            if not late or await floor.store.held(message.id, now=now) is not None:
                continue
            for member in floor.fleet.everyone():
                idle = any(not each.answer.done() for each in member.parked.values())
                if idle and not members.why_not(member):
                    return f"{member.profile.id} is idle, and {message.id} waits in {queue}"
    return None


async def lives(floor: Floor, name: str, chance: random.Random) -> None:
    """A worker with some skills asks, works and changes for ever."""
    skills = chance.sample(SKILLS, chance.randint(1, 3))
    cost, capacity = chance.choice((0.0, 1.0, 2.0)), chance.choice((None, 1, 3))
    while True:
        hot = [skill for skill in skills if chance.random() < 0.2]
        member = floor.worker(name, *skills, cost=cost, hot=hot, capacity=capacity)
        leases = await floor.take(member, chance.randint(1, 8_000), limit=chance.randint(1, 3))
        await asyncio.sleep(chance.random() * 3)
        for lease in leases:
            await floor.done(member, lease)
        if chance.random() < 0.1:
            floor.trust[name] = chance.choice((0.1, 0.5, 1.0))
            floor.fleet.changed(name)


async def day(seed: int) -> None:
    """A day on a floor: tasks of all kinds come, workers come and go."""
    chance = random.Random(seed)
    floor = floor_of(DispatchRules(spill_after=SPILL, max_candidates=chance.choice((1, 3, 50))))
    names = [f"w{n}" for n in range(chance.randint(1, 6))]
    async with asyncio.TaskGroup() as group:
        duties = [group.create_task(floor.offers.serve_for_ever())]
        duties += [group.create_task(lives(floor, name, random.Random(f"{seed} {name}"))) for name in names]
        for _ in range(200):
            if chance.random() < 0.15:
                order = Order(
                    chance.choice(SKILLS),
                    strategy=chance.choice([*STRATEGIES]),
                    max_cost=chance.choice((None, None, 1.0)),
                )
                await floor.send(order, chance.choice(("", "", *names)), float(chance.randint(0, 2)))
            await asyncio.sleep(TICK)
            assert await waits_in_vain(floor) is None
        for duty in duties:
            duty.cancel()
    await floor.supervisor.drain(Span(1_000))


@given(st.integers(0, 2**32))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_worker_is_idle_while_a_task_that_it_may_have_waits_for_long(seed: int) -> None:
    simulated(day(seed))


def test_the_best_of_those_that_are_parked_gets_the_task() -> None:
    async def play() -> None:
        floor = floor_of()
        duty = asyncio.ensure_future(floor.offers.serve_for_ever())
        workers = [
            floor.worker(f"w{n}", "a", cost=float(cost), capacity=1) for n, cost in enumerate((3, 1, 2))
        ]
        polls = [asyncio.ensure_future(floor.take(worker, 10_000)) for worker in workers]
        await asyncio.sleep(0.01)
        won = []
        for _ in workers:
            await floor.send(Order("a", strategy="cheapest"))
            await asyncio.sleep(0.01)
            (winner,) = (n for n, poll in enumerate(polls) if poll.done() and n not in won)
            won.append(winner)
        assert won == [1, 2, 0], "who is full is not waited for"
        duty.cancel()

    simulated(play())


@pytest.mark.parametrize("strategy", ["cheapest", "best_value", "overflow", "default"])
def test_a_task_is_kept_for_the_preferred_ones_no_longer_than_it_spills(strategy: str) -> None:
    async def play() -> None:
        floor = floor_of()
        duty = asyncio.ensure_future(floor.offers.serve_for_ever())
        best, other = floor.worker("best", "a", hot=["a"]), floor.worker("other", "a", cost=2.0)
        await floor.take(best, 0)
        begun = floor.clock.now()
        await floor.send(Order("a", strategy=strategy))
        assert await floor.take(other, 10_000)
        assert SPILL <= floor.clock.now() - begun < SPILL + TOLERANCE
        duty.cancel()

    simulated(play())


def test_the_oldest_task_opens_the_class_and_the_highest_priority_goes_first() -> None:
    async def play() -> None:
        floor = floor_of()
        best, other = floor.worker("best", "a"), floor.worker("other", "a", cost=2.0)
        await floor.take(best, 0)
        order = Order("a", strategy="cheapest")
        old = await floor.send(order)
        await asyncio.sleep(SPILL / 1_000)
        await floor.take(best, 0, skills=frozenset())
        urgent = await floor.send(order, priority=5.0)
        taken = [await floor.take(other, 0) for _ in range(2)]
        assert [lease.message.id for (lease,) in taken] == [f"task:{urgent}", f"task:{old}"]

    simulated(play())


def test_those_who_came_later_do_not_overtake_a_better_one_that_waits() -> None:
    async def play() -> None:
        floor = floor_of()
        await floor.send(Order("b"))  # so that nobody serves the parked ones but a poll
        first = floor.worker("first", "a")
        poll = asyncio.ensure_future(floor.take(first, 10_000))
        await asyncio.sleep(0)
        await floor.send(Order("a", strategy="round_robin"))
        late = floor.worker("late", "a")
        floor.fleet.given(late)
        assert not await floor.take(late, 50)
        assert poll.done()

    simulated(play())


def test_a_worker_that_goes_takes_no_task_with_it() -> None:
    async def play() -> None:
        floor = floor_of()
        duty = asyncio.ensure_future(floor.offers.serve_for_ever())
        gone, other = floor.worker("gone", "a"), floor.worker("other", "a", cost=1.0)
        poll = asyncio.ensure_future(floor.take(gone, 10_000))
        await asyncio.sleep(0.01)
        await floor.send(Order("a"))
        poll.cancel()
        with suppress(asyncio.CancelledError):
            await poll
        (lease,) = await floor.take(other, 10_000)
        assert (lease.delivery, gone.load(floor.clock.now())) == (1, 0)
        duty.cancel()

    simulated(play())


def test_many_classes_are_forgotten_when_their_tasks_are_gone() -> None:
    async def play() -> None:
        floor = floor_of()
        member = floor.worker("w", "a")
        for n in range(600):
            await floor.send(Order("a", max_cost=float(n)))
            (lease,) = await floor.take(member, 0)
            await floor.done(member, lease)
        poll = asyncio.ensure_future(floor.take(member, 100))
        await asyncio.sleep(0)
        await floor.offers.serve()
        await poll
        assert len(floor.offers.classes._by_name) < 300
        assert len(floor.offers.classes._by_queue) < 300

    simulated(play())


async def looks(workers: int, hostile: int = 0) -> tuple[float, float]:
    """At how many workers a poll looks that finds nothing for it, and a task that finds a parked worker."""
    floor = floor_of()
    duty = asyncio.ensure_future(floor.offers.serve_for_ever())
    orders = [Order("a", strategy=name, max_cost=100.0 + n) for n in range(8) for name in STRATEGIES]
    for n in range(hostile):
        floor.worker(f"hostile{n}", "a", hot=["a"], cost=-1.0)
    members = [floor.worker(f"w{n}", "a", cost=float(n % 7)) for n in range(workers)]
    for order in orders:  # a task of each class is being worked on
        await floor.send(order)
        await floor.take(members[0], 10_000)
    polls = [asyncio.ensure_future(floor.take(member, 3_000_000)) for member in members]
    await asyncio.sleep(2)
    looked = 0
    real = floor.fleet.candidate

    def candidate(*args: Any) -> Any:
        nonlocal looked
        looked += 1
        return real(*args)

    setattr(floor.fleet, "candidate", candidate)  # noqa: B010 - it counts, and does the same
    one_more = floor.worker("one-more", "a", cost=9.0)
    for _ in range(20):
        await floor.take(one_more, 1)
    of_polls, looked = looked / 20, 0
    for n in range(40):
        await floor.send(orders[n % len(orders)])
        await asyncio.sleep(0.01)
    for each in (*polls, duty):
        each.cancel()
    return of_polls, looked / 40


def test_neither_a_poll_nor_a_task_looks_at_all_workers() -> None:
    async def play() -> None:
        few, many, beset = await looks(50), await looks(1_000), await looks(50, hostile=1_000)
        for n in range(2):
            assert many[n] <= 2 * few[n] + 10
            assert beset[n] <= 2 * few[n] + 60, "as many as are compared, and no more"

    simulated(play())
