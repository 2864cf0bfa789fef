"""What nodes make of ticks: jobs, what was missed, what overlaps, and what a changed configuration does."""

import asyncio
import logging
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from avtomatika.commands.ticks import Planned, tick_queue
from avtomatika.errors import ConfigError
from avtomatika.kernel.events import CancelRequested
from avtomatika.kernel.model import Policy
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.store import Commit, LeaseLost, Message
from avtomatika.schedules.rule import Daily, Interval
from avtomatika.schedules.schedule import CatchUp, Overlap, Schedule
from avtomatika.stores.memory import MemoryStore
from tests.integration.schedules.stage import CountedNames, HandClock, Node, Stage, run_until
from tests.unit.schedules.clocks import at

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
START = at("2026-05-04T10:00")


def a_stage() -> Stage:
    clock, names = HandClock(START), CountedNames()
    return Stage(MemoryStore(now=clock.now, tokens=names.token), clock, names)


def every_minute(**options: Any) -> Schedule:
    return Schedule(**{"name": "often", "blueprint": "flow", "rule": Interval(60)} | options)


def at_noon(**options: Any) -> Schedule:
    return Schedule(**{"name": "noon", "blueprint": "flow", "rule": Daily(12, 0, "UTC")} | options)


async def armed(stage: Stage, *schedules: Schedule, name: str = "n1") -> Node:
    node = stage.node(name, schedules)
    await node.ticks.arm()
    return node


async def dues(stage: Stage) -> list[int]:
    """For which ticks there are jobs, in minutes since the start."""
    return [(int(job.id.rpartition("-")[2]) - START) // MINUTE for job in await stage.jobs()]


async def waiting(stage: Stage, name: str) -> Message | None:
    return (await stage.store.queues("tick")).get(tick_queue(name))


async def test_the_job_is_what_the_schedule_says() -> None:
    stage = a_stage()
    schedule = at_noon(
        input={"src": Raw(b'"s3://a/b"')},
        dispatch_timeout=Span(5_000),
        result_timeout=Span(6_000),
        priority=2.5,
        labels={"team": "films"},
        client="default",
    )
    node = await armed(stage, schedule)
    await run_until(stage, node, Instant(START + DAY))
    (job,) = await stage.jobs()
    noon = START + 2 * HOUR
    assert job.id == f"tick-noon-{noon}"
    assert (job.blueprint, job.source, job.client) == ("flow", "scheduler:noon", "default")
    assert (job.created, job.version, job.state) == (noon, 1, "start")
    assert (job.priority, job.labels, job.input) == (2.5, {"team": "films"}, schedule.input)
    limits = msgspec.structs.replace(Policy(), dispatch_timeout=Span(5_000), result_timeout=Span(6_000))
    assert job.policy == limits
    assert [fact.version for fact in await stage.store.facts(job.id)] == [1]


async def test_the_jobs_of_a_schedule_that_names_no_client_belong_to_none_that_has_a_token() -> None:
    stage = a_stage()
    await run_until(stage, await armed(stage, every_minute()), START)
    assert [job.client for job in await stage.jobs()] == ["scheduler"]


async def test_an_interval_begins_at_once_and_goes_on_after_a_restart() -> None:
    stage = a_stage()
    await run_until(stage, await armed(stage, every_minute()), Instant(START + 90_000))
    await run_until(stage, await armed(stage, every_minute()), Instant(START + 150_000))
    assert await dues(stage) == [0, 1, 2]


@pytest.mark.parametrize("name", ["every night", "ночь", "a/b:c", "x" * 65])
async def test_the_id_of_a_job_is_plain_whatever_the_schedule_is_called(name: str) -> None:
    stage = a_stage()
    await run_until(stage, await armed(stage, every_minute(name=name)), Instant(START + MINUTE))
    first, second = (job.id for job in await stage.jobs())
    assert first.replace("-", "").replace("_", "").isalnum()
    assert first.isascii()
    assert len(first) < 100
    assert first != second


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [(CatchUp.ALL, [0, 1, 2, 3, 4, 5, 6]), (CatchUp.ONE, [0, 1, 5, 6]), (CatchUp.SKIP, [0, 1, 5, 6])],
)
async def test_after_an_outage_the_last_tick_that_is_not_old_has_its_job(
    catch_up: CatchUp, expected: list[int]
) -> None:
    stage = a_stage()
    node = await armed(stage, every_minute(catch_up=catch_up))
    await run_until(stage, node, Instant(START + MINUTE))
    stage.clock.time = START + 5 * MINUTE + 30_000
    await run_until(stage, node, Instant(START + 6 * MINUTE))
    assert await dues(stage) == expected


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [(CatchUp.ALL, ["05", "06", "07", "08"]), (CatchUp.ONE, ["07", "08"]), (CatchUp.SKIP, ["08"])],
)
async def test_ticks_that_were_missed_are_caught_up_with_as_wanted(
    catch_up: CatchUp, expected: list[str]
) -> None:
    stage = a_stage()
    stage.clock.time = at("2026-05-04T13:00")
    node = await armed(stage, at_noon(catch_up=catch_up))
    stage.clock.time = at("2026-05-07T13:00")
    await run_until(stage, node, at("2026-05-08T13:00"))
    noons = [at(f"2026-05-{day}T12:00") for day in expected]
    assert [int(job.id.rpartition("-")[2]) for job in await stage.jobs()] == noons


async def test_a_tick_that_is_less_than_a_minute_late_is_not_missed() -> None:
    stage = a_stage()
    node = await armed(stage, at_noon(catch_up=CatchUp.SKIP))
    stage.clock.time = at("2026-05-04T12:01")
    await node.step()
    assert len(await stage.jobs()) == 1
    stage.clock.time = at("2026-05-05T12:01") + 1
    await node.step()
    assert len(await stage.jobs()) == 1


async def test_a_tick_has_no_job_while_the_one_before_is_unfinished_if_so_wanted() -> None:
    stage = a_stage()
    node = await armed(stage, every_minute(overlap=Overlap.SKIP))
    await run_until(stage, node, Instant(START + 2 * MINUTE))
    (job,) = await stage.jobs()
    await node.writer.apply(job.id, CancelRequested())
    await run_until(stage, node, Instant(START + 4 * MINUTE))
    assert await dues(stage) == [0, 3]


async def test_a_delay_is_the_same_for_all_who_ask_and_within_its_limit() -> None:
    schedule = every_minute(jitter=Span(30_000))
    moments = [Instant(START + n * MINUTE) for n in range(200)]
    delays = [schedule.begins(due) - due for due in moments]
    assert delays == [every_minute(jitter=Span(30_000)).begins(due) - due for due in moments]
    assert 0 <= min(delays) < 3_000
    assert 27_000 < max(delays) <= 30_000
    assert every_minute(name="other", jitter=Span(30_000)).begins(START) != schedule.begins(START)


async def test_ticks_that_are_put_off_are_neither_missed_nor_moved() -> None:
    stage = a_stage()
    schedule = every_minute(jitter=Span(59_000), catch_up=CatchUp.SKIP)
    await run_until(stage, await armed(stage, schedule), Instant(START + 20 * MINUTE))
    jobs = await stage.jobs()
    assert (await dues(stage))[:20] == list(range(20))
    assert [job.created for job in jobs] == [
        schedule.begins(Instant(START + n * MINUTE)) for n in range(len(jobs))
    ]


async def test_a_tick_that_is_put_off_is_not_taken_for_missed_before_it_begins() -> None:
    stage = a_stage()
    node = await armed(stage, every_minute(jitter=Span(59_000)))
    stage.clock.time = START + MINUTE
    await node.step()
    assert await dues(stage) == [0]


async def test_the_minute_of_grace_begins_when_the_tick_does() -> None:
    stage = a_stage()
    schedule = at_noon(jitter=Span(HOUR), catch_up=CatchUp.SKIP)
    await run_until(stage, await armed(stage, schedule), Instant(START + 3 * DAY))
    begun = [schedule.begins(Instant(START + 2 * HOUR + n * DAY)) for n in range(3)]
    assert [job.created for job in await stage.jobs()] == begun
    assert max(begin - START for begin in begun) > 2 * HOUR + MINUTE


async def test_a_schedule_that_is_armed_the_moment_it_is_due_is_due_then() -> None:
    stage = a_stage()
    await run_until(stage, await armed(stage, at_noon(rule=Daily(10, 0, "UTC"))), START)
    assert await dues(stage) == [0]


async def test_a_tick_that_comes_again_finds_its_job_and_goes_on() -> None:
    stage = a_stage()
    node = await armed(stage, every_minute())
    before = await waiting(stage, "often")
    assert before is not None
    await node.step()
    await stage.store.commit(Commit(now=stage.clock.now(), send=(before,)))
    await run_until(stage, node, Instant(START + MINUTE))
    assert await dues(stage) == [0, 1]


async def test_who_lost_its_lease_changes_nothing() -> None:
    stage = a_stage()
    slow, quick = await armed(stage, every_minute()), await armed(stage, every_minute(), name="n2")
    (lease,) = await slow.take()
    await run_until(stage, quick, Instant(START + 20_000))
    stage.clock.time = START + MINUTE
    with pytest.raises(LeaseLost):
        await slow.ticks.fire(lease)
    assert await dues(stage) == [0]


async def test_nodes_that_start_at_once_arm_a_schedule_once() -> None:
    stage = a_stage()
    nodes = [stage.node(f"n{number}", [every_minute()]) for number in range(5)]
    await asyncio.gather(*(node.ticks.arm() for node in nodes))
    await run_until(stage, nodes[0], Instant(START + 30_000))
    assert await dues(stage) == [0]


async def test_a_node_that_looked_before_another_one_armed_does_not_undo_what_came_of_it() -> None:
    stage = a_stage()
    late, early = stage.node("late", [every_minute()]), stage.node("early", [every_minute()])
    looked, go_on = asyncio.Event(), asyncio.Event()
    commit = late.store.commit

    async def held_up(change: Commit) -> None:
        looked.set()
        await go_on.wait()
        await commit(change)

    late.store.commit = held_up  # type: ignore[method-assign]  # the moment between looking and writing
    arming = asyncio.ensure_future(late.ticks.arm())
    await looked.wait()
    stage.clock.time += 500
    await early.ticks.arm()
    await early.step()
    go_on.set()
    await arming
    await run_until(stage, early, Instant(START + 30_000))
    assert len(await stage.jobs()) == 1


async def test_a_schedule_with_another_rule_begins_anew() -> None:
    stage = a_stage()
    await run_until(stage, await armed(stage, every_minute()), START)
    node = await armed(stage, every_minute(rule=Interval(120)))
    await run_until(stage, node, Instant(START + 5 * MINUTE))
    assert await dues(stage) == [0, 2, 4]


async def test_a_rule_that_comes_back_soon_is_armed_again() -> None:
    stage = a_stage()
    for rule in (Daily(12, 0, "UTC"), Daily(11, 0, "UTC"), Daily(12, 0, "UTC"), Daily(11, 0, "UTC")):
        node = await armed(stage, at_noon(rule=rule))
        (planned,) = await node.ticks.schedules()
        assert planned.next_due == at(f"2026-05-04T{rule.hour}:00")


async def test_other_options_do_not_move_the_next_tick() -> None:
    stage = a_stage()
    await run_until(stage, await armed(stage, every_minute()), Instant(START + 30_000))
    node = await armed(stage, every_minute(input={"a": Raw(b"1")}, catch_up=CatchUp.ALL))
    await run_until(stage, node, Instant(START + MINUTE))
    assert await dues(stage) == [0, 1]
    assert [dict(job.input) for job in await stage.jobs()] == [{}, {"a": Raw(b"1")}]


async def test_a_schedule_that_is_no_longer_configured_is_dropped() -> None:
    stage = a_stage()
    await armed(stage, every_minute(), at_noon())
    assert await waiting(stage, "often") is not None
    await armed(stage, at_noon())
    assert await waiting(stage, "often") is None
    assert await waiting(stage, "noon") is not None


async def test_a_tick_that_another_node_dropped_is_there_again_soon() -> None:
    stage = a_stage()
    node = await armed(stage, every_minute(), at_noon())
    await armed(stage, at_noon(), name="older")
    stage.clock.time += MINUTE
    await node.ticks.mend()
    assert await waiting(stage, "often") is not None


async def test_a_tick_by_another_rule_is_left_to_the_nodes_that_have_it() -> None:
    stage = a_stage()
    old = await armed(stage, at_noon(rule=Daily(9, 0, "UTC")))
    new = await armed(stage, at_noon(), name="n2")
    stage.clock.time = at("2026-05-04T12:00")
    await old.step()
    assert await stage.jobs() == []
    stage.clock.time += 1_000
    await new.step()
    assert len(await stage.jobs()) == 1


async def test_a_tick_by_a_rule_that_nobody_has_any_more_becomes_one_of_the_rule_there_is() -> None:
    stage = a_stage()
    node = await armed(stage, at_noon(rule=Daily(11, 1, "UTC")))
    await armed(stage, at_noon(rule=Daily(11, 0, "UTC")), name="gone")
    await run_until(stage, node, at("2026-05-04T11:01"))
    assert await stage.jobs() == []
    await run_until(stage, node, at("2026-05-04T13:00"))
    assert await dues(stage) == [61]


async def test_operators_see_what_is_due_next() -> None:
    stage = a_stage()
    node = stage.node("n", [every_minute(overlap=Overlap.SKIP), at_noon()])
    often = Planned("often", "flow", "every 60 s", "one", "skip")
    noon = Planned("noon", "flow", "at 12:00 (UTC)", "one", "allow")
    assert await node.ticks.schedules() == [often, noon]
    await node.ticks.arm()
    await node.step()
    replaced = msgspec.structs.replace
    assert await node.ticks.schedules() == [
        replaced(often, next_due=START + MINUTE, last_job=f"tick-often-{START}"),
        replaced(noon, next_due=START + 2 * HOUR),
    ]


async def test_what_happened_is_told(caplog: pytest.LogCaptureFixture) -> None:
    stage = a_stage()
    node = await armed(stage, every_minute(overlap=Overlap.SKIP), at_noon(catch_up=CatchUp.SKIP))
    with caplog.at_level(logging.INFO, "avtomatika"):
        await node.step()
        stage.clock.time += DAY
        await node.step()
    told = [record.getMessage() for record in caplog.records]
    assert f"schedule.fired schedule=often due={START} job=tick-often-{START}" in told
    assert f"schedule.overlapped schedule=often due={START + DAY} job=tick-often-{START}" in told
    assert f"schedule.missed schedule=noon since={START + 2 * HOUR}" in told


def test_a_schedule_of_an_unknown_blueprint_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"often\.blueprint: there is no blueprint 'other'"):
        a_stage().node("n", [every_minute(blueprint="other")])
