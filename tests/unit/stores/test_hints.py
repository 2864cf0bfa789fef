"""Hints wake those whom something may concern, and keep nothing of those who left."""

import asyncio

import pytest

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


async def test_who_is_far_does_not_sleep_through_what_was_announced_while_it_looked() -> None:
    hints = Hints(VirtualClock().now, is_far=True)
    far = at(3_600_000)
    hints.announce(("a",))
    async with asyncio.timeout(10):
        await hints.wait(("a", "b"), until=far)  # a task that is new may have looked before

    async def looks_again() -> None:
        for _ in range(3):
            await hints.wait(("a", "b"), until=far)
            hints.announce_commit(Commit(now=T0, job=a_job(), send=(a_message(queue="b:x"),)))

    hints.announce(("b",))
    async with asyncio.timeout(10):
        await asyncio.create_task(looks_again())


async def test_what_was_announced_ends_one_wait_of_each_task() -> None:
    hints = Hints(VirtualClock().now, is_far=True)
    hints.announce(("a",))
    for _ in range(2):

        async def twice() -> None:
            await hints.wait(("a",), until=at(3_600_000))
            async with asyncio.timeout(0.05):
                await hints.wait(("a",), until=at(3_600_000))

        with pytest.raises(TimeoutError):
            await asyncio.create_task(twice())
    assert hints._waiting == {}


async def test_what_is_announced_for_later_than_a_wait_does_not_end_it() -> None:
    hints = Hints(VirtualClock().now, is_far=True)
    hints.announce(("a",), at(7_200_000))
    waiter = await waiting(hints, "a")
    waiter.cancel()
    hints.announce(("a",), at(3_600_000))
    async with asyncio.timeout(10):
        await hints.wait(("a",), until=at(3_600_000))
