"""Reputations are kept where workers cannot reach, and several nodes add up what each has seen."""

import asyncio

import pytest
from msgspec import Raw

from avtomatika.commands.reputations import SHELF, Reputations
from avtomatika.errors import Unavailable
from avtomatika.kernel.model import Failure, Report
from avtomatika.kernel.time import Instant
from avtomatika.matching.reputation import DAY, HOUR, ReputationRules
from avtomatika.stores.shelf import MemoryShelf


class HandClock:
    def __init__(self) -> None:
        self.time = Instant(1_000 * DAY)

    def now(self) -> Instant:
        return self.time

    async def sleep_until(self, when: Instant) -> None:
        self.time = when


class FaultyShelf(MemoryShelf):
    """A shelf that is away while `away`, and lets others have their turn in every verb."""

    away = False

    async def get(self, store: str, key: str) -> Raw | None:
        await asyncio.sleep(0)
        return await super().get(store, key)

    async def put(self, store: str, key: str, value: Raw) -> None:
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("The shelf is away.")
        await super().put(store, key, value)


BAD = Report(status="failure", worker="w", failure=Failure(code="PERMANENT_ERROR", message="no"))
GOOD = Report(status="success", worker="w")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def shelf() -> FaultyShelf:
    return FaultyShelf()


def node(shelf: FaultyShelf, clock: HandClock, heard: list[str] | None = None) -> Reputations:
    return Reputations(shelf, clock, ReputationRules(), ([] if heard is None else heard).append)


async def test_a_penalty_is_kept_at_once_and_a_reward_soon(shelf: FaultyShelf, clock: HandClock) -> None:
    heard: list[str] = []
    here = node(shelf, clock, heard)
    await here.reported(BAD)
    await here.reported(GOOD)
    assert here.of("w") == pytest.approx(0.951)
    assert heard == ["w", "w"]
    later = node(shelf, clock)
    await later.refresh()
    assert later.of("w") == pytest.approx(0.95)
    await here.refresh()
    await later.refresh()
    assert later.of("w") == pytest.approx(0.951)


async def test_several_nodes_add_up_what_they_see(shelf: FaultyShelf, clock: HandClock) -> None:
    one, other = node(shelf, clock), node(shelf, clock)
    for _ in range(3):
        await one.reported(BAD)
        await other.reported(BAD)
    await one.refresh()
    assert one.of("w") == other.of("w") == pytest.approx(0.7)


async def test_results_that_come_together_all_count(shelf: FaultyShelf, clock: HandClock) -> None:
    here = node(shelf, clock)
    await asyncio.gather(*(here.reported(BAD) for _ in range(8)))
    later = node(shelf, clock)
    await later.refresh()
    assert here.of("w") == later.of("w") == pytest.approx(0.6)


async def test_what_could_not_be_written_is_written_later(shelf: FaultyShelf, clock: HandClock) -> None:
    here = node(shelf, clock)
    shelf.away = True
    await here.reported(BAD)
    await here.reported(BAD)
    assert here.of("w") == pytest.approx(0.9)
    with pytest.raises(Unavailable):
        await here.refresh()
    shelf.away = False
    await here.refresh()
    later = node(shelf, clock)
    await later.refresh()
    assert here.of("w") == later.of("w") == pytest.approx(0.9)


async def test_the_hour_is_judged_once_by_whichever_node(shelf: FaultyShelf, clock: HandClock) -> None:
    one, other = node(shelf, clock), node(shelf, clock)
    await one.reported(BAD)
    await one.reported(GOOD)
    clock.time = Instant(clock.time + HOUR)
    for each in (one, other, one, other):
        await each.refresh()
    assert one.of("w") == other.of("w") == pytest.approx(0.7 * 0.5 + 0.3 * 0.951, abs=0.001)


async def test_a_record_of_which_nothing_is_left_is_thrown_away(shelf: FaultyShelf, clock: HandClock) -> None:
    here = node(shelf, clock)
    await here.reported(GOOD)
    await here.refresh()
    assert await shelf.items(SHELF)
    clock.time = Instant(clock.time + 40 * DAY)
    await here.refresh()
    assert not await shelf.items(SHELF)
    assert here.of("w") == 1.0


async def test_a_report_of_nobody_counts_for_nobody(shelf: FaultyShelf, clock: HandClock) -> None:
    here = node(shelf, clock)
    await here.reported(Report(status="success"))
    await here.refresh()
    assert not await shelf.items(SHELF)
