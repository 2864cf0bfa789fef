"""One job for each tick, whatever happens to the nodes, in five zones over changes of the clocks (G10).

What is expected is found out minute by minute, from what the clocks of the zones show.
"""

import gc
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest

from avtomatika.engine import run_loop
from avtomatika.errors import StorageBroken
from avtomatika.kernel.model import Job
from avtomatika.kernel.time import Instant
from avtomatika.schedules.rule import Cron, Daily, Interval, Rule
from avtomatika.schedules.schedule import CatchUp, Schedule
from avtomatika.stores.memory import MemoryStore
from avtomatika.stores.sql.sqlite import SqliteStore
from tests.integration.schedules.stage import CountedNames, Crash, HandClock, Stage, Trouble
from tests.unit.schedules import clocks
from tests.unit.schedules.clocks import Matches, at

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata")
SPRING = ("2026-03-01T00:07", "2026-04-09T00:00")
AUTUMN = ("2026-09-04T00:07", "2026-11-05T00:00")
"""Each with a change in all zones that have any: Berlin, New York, Lord Howe, Santiago."""

ByElapsedTime = bool
Kind = tuple[Callable[[str], Rule], ByElapsedTime, Matches]

FREQUENT: dict[str, Kind] = {
    "tens": (lambda zone: Cron("*/10 * * * *", zone), True, lambda t: t.minute % 10 == 0),
    "twice-an-hour": (lambda zone: Cron("5,35 0-23 * * *", zone), False, lambda t: t.minute in (5, 35)),
}
RARE: dict[str, Kind] = {
    "night": (lambda zone: Daily(2, 15, zone), False, lambda t: (t.hour, t.minute) == (2, 15)),
    "midnight": (lambda zone: Daily(0, 0, zone), False, lambda t: (t.hour, t.minute) == (0, 0)),
    "sundays": (
        lambda zone: Daily(1, 45, zone, weekdays=(6,)),
        False,
        lambda t: (t.weekday(), t.hour, t.minute) == (6, 1, 45),
    ),
    "month": (
        lambda zone: Daily(2, 30, zone, dates=(1, 5, 31)),
        False,
        lambda t: t.day in (1, 5, 31) and (t.hour, t.minute) == (2, 30),
    ),
    "weekdays": (
        lambda zone: Cron("30 2 * * mon-fri", zone),
        False,
        lambda t: t.weekday() < 5 and (t.hour, t.minute) == (2, 30),
    ),
}
Tick = tuple[str, int]


def schedules(kinds: dict[str, Kind], jitter: int = 0) -> list[Schedule]:
    found = [
        Schedule(
            name=name_of(kind, zone), blueprint="flow", rule=rule(zone), catch_up=CatchUp.ALL, jitter=jitter
        )
        for zone in ZONES
        for kind, (rule, _, _) in kinds.items()
    ]
    every = Schedule(name="every-hour", blueprint="flow", rule=Interval(3_600), catch_up=CatchUp.ALL)
    return [*found, every]


def name_of(kind: str, zone: str) -> str:
    return f"{kind}_{zone.replace('/', '-')}"


def expected(kinds: dict[str, Kind], start: str, end: str) -> set[Tick]:
    """Every tick from *start* to before *end*."""
    begin, stop = at(start), at(end)
    ticks = {("every-hour", moment) for moment in range(begin, stop, 3_600_000)}
    for zone in ZONES:
        rules = [(name_of(kind, zone), elapsed, matches) for kind, (_, elapsed, matches) in kinds.items()]
        for moment, shown, come in clocks.minutes(zone, *map(datetime.fromisoformat, (start, end))):
            if shown.minute % 5 and len(come) == 1:
                continue  # no rule here has such minutes
            for name, elapsed, matches in rules:
                if any(map(matches, (shown,) if elapsed else come)):
                    ticks.add((name, moment))
    return ticks


def made(jobs: Sequence[Job]) -> list[Tick]:
    """The ticks that the jobs were made for."""
    return [(job.source.removeprefix("scheduler:"), int(job.id.rpartition("-")[2])) for job in jobs]


@pytest.fixture
def no_collection() -> Iterator[None]:
    """What lives to the end of a test need not be looked at again and again."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(
    ("seed", "start", "end", "least"), [(1, *SPRING, 38_500), (2, *AUTUMN, 61_500)], ids=["spring", "autumn"]
)
def test_a_hundred_thousand_ticks_have_one_job_each(seed: int, start: str, end: str, least: int) -> None:
    run_loop(_ticks_have_one_job_each(seed, start, end, least))


async def _ticks_have_one_job_each(seed: int, start: str, end: str, least: int) -> None:
    kinds = FREQUENT | RARE
    clock, names = HandClock(at(start)), CountedNames()
    stage = Stage(MemoryStore(now=clock.now, tokens=names.token), clock, names)
    trouble = Trouble(stage, schedules(kinds), seed)
    await trouble.start()
    await trouble.run(Instant(at(end) - 1))
    jobs = await stage.jobs()
    found = [tick for tick in made(jobs) if tick[1] < at(end)]
    assert len(found) == len(set(found)) >= least
    assert set(found) == expected(kinds, start, end)
    assert min(trouble.crashes, trouble.lost, trouble.outages, trouble.restarts) > 10
    in_time = sum(job.created == due for job, (_, due) in zip(jobs, made(jobs), strict=True))
    assert in_time > len(jobs) / 2


async def test_ticks_have_a_job_each_though_the_process_dies_and_the_file_is_read_again(
    tmp_path: Path,
) -> None:
    start, end = "2026-03-07T20:07", "2026-03-08T12:00"
    clock, names = HandClock(at(start)), CountedNames()
    wanted = schedules(FREQUENT | RARE)
    rng = random.Random(3)
    deaths = 0

    def broken(error: StorageBroken) -> None:
        raise error

    while clock.time < at(end):
        store = SqliteStore(tmp_path / "jobs.db", now=clock.now, tokens=names.token, broken=broken)
        stage = Stage(store, clock, names)
        node = stage.node("n", wanted)
        await node.ticks.arm()
        dies_after = rng.randrange(1, 60)
        while (due := await stage.next_due()) is not None and due < at(end) and dies_after:
            clock.time = max(clock.time, due)
            dies_after -= 1
            if not dies_after:
                node.store.dies = rng.choice(["before", "after"])
                deaths += 1
            with suppress(Crash):
                await node.step()
        jobs = await stage.jobs()
        await store.close()
        clock.time = max(clock.time + rng.choice([0, 1_000, 1_800_000]), min(due or 0, at(end)))
    found = [tick for tick in made(jobs) if tick[1] < at(end)]
    assert len(found) == len(set(found)) >= 600
    assert set(found) == expected(FREQUENT | RARE, start, end)
    assert deaths > 3
