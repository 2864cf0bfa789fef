"""A worker is present for a while after it was last heard of."""

import random
from typing import Any

import msgspec
import pytest

from avtomatika.commands.introduction import hot_of
from avtomatika.commands.presence import Introduction, Presence, SignOfLife
from avtomatika.errors import NotFound
from avtomatika.kernel.time import Instant, Span
from avtomatika.matching.compliance import Skill
from avtomatika.ports.node import NodeContext
from avtomatika.services.supervisor import Supervisor
from avtomatika.stores.memory import MemoryStore
from avtomatika.stores.registry import MemoryRegistry
from avtomatika.testing.clock import SeededNames
from rxon.messages import Heartbeat


class HandClock:
    def __init__(self) -> None:
        self.time = Instant(0)

    def now(self) -> Instant:
        return self.time

    async def sleep_until(self, when: Instant) -> None:
        self.time = when


class PatientClock(HandClock):
    """Remembers how long everybody waited."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[int] = []
        self.stands = False

    async def sleep_until(self, when: Instant) -> None:
        self.waits.append(when - self.time)
        if not self.stands:
            self.time = when


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def a_node(clock: HandClock) -> NodeContext:
    names = SeededNames(random.Random(0))
    return NodeContext(MemoryStore(now=clock.now, tokens=names.token), clock, names, Supervisor().spawn, "n")


@pytest.fixture
def presence(clock: HandClock) -> Presence:
    return Presence(a_node(clock), MemoryRegistry(), Span(100))


async def test_a_stranger_must_register(presence: Presence) -> None:
    with pytest.raises(NotFound, match="w1"):
        await presence.get("w1")


async def test_a_silent_worker_is_forgotten_at_the_end_of_its_time(
    presence: Presence, clock: HandClock
) -> None:
    await presence.register("w1", Introduction(type="cpu", skills=[Skill("s")]))
    clock.time = Instant(99)
    assert (await presence.get("w1")).profile.id == "w1"
    clock.time = Instant(100)
    with pytest.raises(NotFound):
        await presence.get("w1")
    assert list(await presence.everyone()) == []


async def test_a_worker_that_is_heard_of_stays(presence: Presence, clock: HandClock) -> None:
    await presence.register("w1", Introduction(type="cpu", skills=[Skill("s")]))
    for time in (60, 120, 180):
        clock.time = Instant(time)
        await presence.heard(await presence.get("w1"), SignOfLife())
    assert (await presence.get("w1")).registered_at == 0


async def test_registering_again_replaces_what_was_said(presence: Presence) -> None:
    first = await presence.register("w1", Introduction(type="cpu", skills=[Skill("a")], costs={"a": 1.0}))
    second = await presence.register("w1", Introduction(type="gpu", skills=[Skill("b")]))
    assert (await presence.get("w1")).profile.skills.keys() == {"b"}
    assert second.profile.revision != first.profile.revision


async def test_new_skills_are_a_new_revision_and_a_mere_sign_of_life_is_none(presence: Presence) -> None:
    worker = await presence.register("w1", Introduction(type="cpu", skills=[Skill("a")]))
    same = await presence.heard(worker, SignOfLife(status="busy"))
    assert (same.profile.revision, same.status) == (worker.profile.revision, "busy")
    changed = await presence.heard(same, SignOfLife(skills=[Skill("b")]))
    assert changed.profile.revision != same.profile.revision
    assert (await presence.get("w1")).profile.skills.keys() == {"b"}


async def test_everyone_is_listed_by_id(presence: Presence) -> None:
    for worker in ("b", "a", "c"):
        await presence.register(worker, Introduction(type="cpu", skills=[]))
    assert [worker.profile.id for worker in await presence.everyone()] == ["a", "b", "c"]


async def test_what_another_part_of_the_node_wrote_is_read(clock: HandClock) -> None:
    registry = MemoryRegistry()
    one, other = (Presence(a_node(clock), registry, Span(100)) for _ in range(2))
    await one.register("w1", Introduction(type="cpu", skills=[Skill("a", "t", "1")], costs={"a": 0.5}))
    assert (await other.get("w1")).profile.skills == {"a": Skill("a", "t", "1")}
    await one.register("w1", Introduction(type="cpu", skills=[Skill("b")]))
    assert (await other.get("w1")).profile.skills.keys() == {"b"}


async def test_what_is_hot_is_what_was_said_last_and_may_be_nothing(presence: Presence) -> None:
    worker = await presence.register("w1", Introduction(type="gpu", skills=[Skill("s")], hot=frozenset("s")))
    kept = await presence.heard(worker, SignOfLife())
    assert (kept.profile.hot, kept.profile.revision) == (frozenset("s"), worker.profile.revision)
    cold = await presence.heard(kept, SignOfLife(hot=()))
    assert cold.profile.hot == frozenset()
    assert cold.profile.revision != worker.profile.revision


async def test_the_same_skills_once_more_change_nothing(presence: Presence) -> None:
    worker = await presence.register("w1", Introduction(type="gpu", skills=[Skill("s")]))
    again = await presence.heard(worker, SignOfLife(skills=[Skill("s")], usage={"ram_used_gb": 1.0}))
    assert again.profile is worker.profile
    assert (await presence.heard(again, SignOfLife())).usage == {"ram_used_gb": 1.0}


@pytest.mark.parametrize(
    ("said", "hot"),
    [
        ({}, None),
        ({"hot_skills": []}, set()),
        ({"hot_skills": ["a"], "hot_cache": ["m"]}, {"a"}),
        ({"hot_cache": ["m"]}, set()),
        ({"hot_cache": ["a", "m"]}, {"a"}),
        ({"hot_cache": ["m"], "skill_dependencies": {"a": ["m"], "b": ["m", "n"]}}, {"a"}),
        ({"hot_cache": ["a"], "skill_dependencies": {"a": ["m"]}}, set()),
    ],
)
def test_hot_is_said_in_several_ways(said: dict[str, Any], hot: set[str] | None) -> None:
    found = hot_of(msgspec.convert(said, Heartbeat), {"a", "b"})
    assert (None if found is None else set(found)) == hot
