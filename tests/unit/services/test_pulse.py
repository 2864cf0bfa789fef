"""A node tells how late its loop is and what waits."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from avtomatika import observe
from avtomatika.clock import SystemClock, SystemNames
from avtomatika.commands.introduction import introduction
from avtomatika.commands.presence import Presence
from avtomatika.kernel.effects import RunHandler
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.time import Instant, Span
from avtomatika.matching.placement import FAMILY
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Commit, Message, MessageId
from avtomatika.services.pulse import MOST_COUNTED, Pulse
from avtomatika.services.supervisor import Supervisor
from avtomatika.stores.memory import MemoryStore
from avtomatika.stores.registry import MemoryRegistry
from rxon.messages import Registration

Told = list[tuple[str, Mapping[str, Any]]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """What is told while the test runs."""
    heard: Told = []
    monkeypatch.setattr(observe, "_listeners", [])
    observe.listen(lambda name, fields: heard.append((name, fields)))
    return heard


def a_node() -> tuple[NodeContext, Presence]:
    clock, names = SystemClock(), SystemNames()
    store = MemoryStore(now=clock.now, tokens=names.token)
    node = NodeContext(store, clock, names, Supervisor().spawn, "n1")
    return node, Presence(node, MemoryRegistry(), Span(60_000))


async def wait_in(node: NodeContext, queue: str, count: int) -> None:
    """So many messages are in the queue."""
    body = RunHandler(JobId("j"), 1, "bp", "1", Instant(0))
    messages = tuple(
        Message(id=MessageId(f"{queue}-{n}"), queue=queue, job=body.job, visible_at=Instant(0), body=body)
        for n in range(count)
    )
    await node.store.commit(Commit(now=node.clock.now(), send=messages))


async def test_a_sample_counts_the_tasks_that_no_worker_holds_and_the_workers(told: Told) -> None:
    node, presence = a_node()
    registration = msgspec.convert({"worker_id": "w1", "worker_type": "t"}, Registration)
    await presence.register("w1", introduction(registration))
    await wait_in(node, f"{FAMILY}:a", 3)
    await wait_in(node, f"{FAMILY}:b", 2)
    await node.store.lease(
        (f"{FAMILY}:a",), owner="worker:w1", now=node.clock.now(), ttl=Span(60_000), limit=1
    )
    await Pulse(node, presence).sample()
    assert told == [("node.sample", {"node": "n1", "queued": 4, "workers": 1})]


async def test_a_sample_does_not_look_at_more_than_it_may(told: Told) -> None:
    node, presence = a_node()
    await wait_in(node, f"{FAMILY}:a", MOST_COUNTED)
    await wait_in(node, f"{FAMILY}:b", 5)
    await Pulse(node, presence).sample()
    assert told == [("node.sample", {"node": "n1", "queued": MOST_COUNTED, "workers": 0})]


async def test_a_beat_tells_how_late_the_loop_was(told: Told) -> None:
    node, presence = a_node()
    beat = asyncio.ensure_future(Pulse(node, presence).beat())
    await asyncio.sleep(0.9)
    time.sleep(0.4)  # the loop is blocked beyond the second
    await beat
    ((name, fields),) = told
    assert name == "loop.beat"
    assert 0.2 < fields["lag"] < 5


async def test_when_the_node_stops_its_figures_are_said_to_be_gone(told: Told) -> None:
    node, presence = a_node()
    running = asyncio.ensure_future(Pulse(node, presence).run())
    while not told:
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait((running,))
    assert told[-1] == ("node.gone", {"node": "n1"})
