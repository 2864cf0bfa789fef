"""Hints wake those whom something may concern, and keep nothing of those who left."""

import asyncio

from avtomatika.ports.store import Commit
from avtomatika.stores.hints import Hints
from avtomatika.testing.contract.values import T0, VirtualClock, a_job, a_message, at


async def waiting(hints: Hints, *topics: str) -> "asyncio.Task[None]":
    waiter = asyncio.create_task(hints.wait(topics, until=at(3_600_000)))
    await asyncio.sleep(0)
    assert not waiter.done()
    return waiter


async def test_a_commit_wakes_those_whom_it_concerns_and_nobody_else() -> None:
    hints = Hints(VirtualClock().now)
    concerned = [await waiting(hints, topic) for topic in ("f:a", "f", "job:j", "owner:w")]
    others = [await waiting(hints, topic) for topic in ("f:b", "g", "job:k", "f:", "owner:x")]
    hints.announce_commit(Commit(now=T0, job=a_job(), send=(a_message(queue="f:a"),)), {"w"})
    async with asyncio.timeout(10):
        await asyncio.gather(*concerned)
    assert not any(waiter.done() for waiter in others)
    for waiter in others:
        waiter.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    assert hints._waiting == {}


async def test_who_waits_for_several_topics_is_woken_by_any() -> None:
    hints = Hints(VirtualClock().now)
    waiter = await waiting(hints, "a", "b", "c")
    hints.announce(("b", "c"))
    await waiter
    assert hints._waiting == {}


async def test_announcing_to_nobody_does_nothing() -> None:
    hints = Hints(VirtualClock().now)
    hints.announce(("a",))
    hints.announce_commit(Commit(now=T0, send=(a_message(),)))
    assert hints._waiting == {}
