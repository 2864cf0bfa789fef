"""Queues as a whole, and waiting for something to happen in them."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

import pytest

from avtomatika.kernel.time import Span
from avtomatika.ports.store import Commit, MessageId, Store
from avtomatika.testing.contract.values import (
    T0,
    TTL,
    VirtualClock,
    a_job,
    a_message,
    at,
    create,
    grab_one,
    over,
    send,
)

PATIENCE = 20.0
FAR = Span(3_600_000)


async def wakes(waiting: Awaitable[None], stir: Callable[[int], Awaitable[None]]) -> None:
    """Whoever waits is woken by what *stir* does, within seconds. Hints may be lost: it does it again."""
    waiter = asyncio.ensure_future(waiting)
    try:
        async with asyncio.timeout(PATIENCE):
            for n in count():
                await stir(n)
                if (await asyncio.wait((waiter,), timeout=0.05))[0]:
                    break
        await waiter
    finally:
        waiter.cancel()


class WaitContract:
    """`wait` is a hint that comes early or late, but comes."""

    @pytest.mark.parametrize("topic", ["f:one", "f"])
    async def test_sending_wakes_those_who_wait_for_the_queue_or_its_family(
        self, store: Store, clock: VirtualClock, durable: bool, topic: str
    ) -> None:
        async def stir(n: int) -> None:
            await store.commit(Commit(now=T0, send=(a_message(f"m{n}", "f:one"),), durable=durable))

        until = at(FAR)
        assert clock.now() == T0
        await wakes(store.wait(("none", topic), until=until), stir)

    async def test_a_move_wakes_those_who_wait_for_the_job(self, store: Store, durable: bool) -> None:
        await create(store, a_job())

        async def stir(n: int) -> None:
            await store.commit(Commit(now=T0, job=a_job(version=n + 2), expected=n + 1, durable=durable))

        await wakes(store.wait(("job:j",), until=at(FAR)), stir)

    async def test_the_end_of_a_job_wakes_everybody_who_waits_for_it(self, store: Store) -> None:
        await create(store, a_job())
        waiters = asyncio.gather(*(store.wait(("job:j", f"other{n}"), until=at(FAR)) for n in range(5)))

        async def all_wait() -> None:
            await waiters

        async def stir(n: int) -> None:
            await store.commit(Commit(now=T0, job=over(version=n + 2), expected=n + 1))

        await wakes(all_wait(), stir)

    async def test_who_holds_a_message_that_is_withdrawn_is_woken(self, store: Store, durable: bool) -> None:
        async def stir(n: int) -> None:
            await store.commit(Commit(now=T0, send=(a_message(f"m{n}"),)))
            await grab_one(store)
            await store.commit(Commit(now=T0, drop=(MessageId(f"m{n}"),), durable=durable))

        await wakes(store.wait(("owner:w", "owner:nobody"), until=at(FAR)), stir)

    async def test_announcing_wakes_those_who_wait_for_the_topic(self, store: Store) -> None:
        async def stir(_: int) -> None:
            await store.announce(("mail:w",))

        await wakes(store.wait(("none", "mail:w"), until=at(FAR)), stir)

    async def test_waiting_ends_at_its_deadline(self, store: Store, clock: VirtualClock) -> None:
        async with asyncio.timeout(PATIENCE):
            await store.wait(("q",), until=clock.now())
            await store.wait((), until=at(-1))
            await store.wait(("q", "f", "job:j"), until=at(20))

    async def test_waiting_can_be_cancelled(self, store: Store) -> None:
        waiter = asyncio.ensure_future(store.wait(("q",), until=at(FAR)))
        await asyncio.wait((waiter,), timeout=0)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        await send(store, a_message())


async def is_due(store: Store, queue: str, now: int) -> bool:
    """True when the store says that the queue has something available."""
    due = await store.next_due(queue)
    return due is not None and due <= at(now)


class QueueContract:
    """What queues there are, and when the next message of one is due."""

    async def test_an_empty_queue_has_nothing_due(self, store: Store) -> None:
        assert await store.next_due("q") is None
        await send(store, a_message())
        lease = await grab_one(store)
        await store.commit(Commit(now=T0, ack=(lease,)))
        assert await store.next_due("q") is None

    async def test_the_earliest_message_is_due_next(self, store: Store) -> None:
        await send(store, a_message("a", visible_at=at(50)), a_message("b", visible_at=at(20), priority=-1.0))
        assert await store.next_due("q") == at(20)
        await store.commit(Commit(now=T0, drop=(MessageId("b"),)))
        assert await store.next_due("q") == at(50)

    async def test_a_message_is_due_as_long_as_nobody_takes_it(self, store: Store) -> None:
        await send(store, a_message("a", visible_at=at(50)), a_message("b", visible_at=at(60), priority=1.0))
        assert not await is_due(store, "q", 49)
        assert list(await store.lease(("q",), owner="w", now=at(70), ttl=TTL, limit=0)) == []
        assert await is_due(store, "q", 70)

    async def test_what_waited_longest_tells_since_when_a_queue_is_due(self, store: Store) -> None:
        await send(
            store, a_message("old", visible_at=at(50)), a_message("new", visible_at=at(60), priority=1.0)
        )
        assert list(await store.lease(("q",), owner="w", now=at(70), ttl=TTL, limit=0)) == []
        assert await store.next_due("q") == at(50), "whatever the priority of another one"
        (lease,) = await store.lease(("q",), owner="w", now=at(70), ttl=TTL, limit=1)
        assert lease.message.id == "new"
        assert await store.next_due("q") == at(50)
        await store.lease(("q",), owner="w", now=at(71), ttl=TTL, limit=1)
        assert await store.next_due("q") == at(70 + TTL)

    async def test_a_leased_message_is_due_when_its_lease_runs_out(self, store: Store) -> None:
        await send(store, a_message())
        lease = await grab_one(store)
        assert await store.next_due("q") == at(TTL)
        await store.extend(lease, now=at(5), ttl=TTL)
        assert await store.next_due("q") == at(TTL + 5)
        await send(store, a_message("other", visible_at=at(7)))
        assert await store.next_due("q") == at(7)

    async def test_the_queues_of_a_family_are_those_that_hold_messages(self, store: Store) -> None:
        await send(
            store,
            a_message("a", "f:one"),
            a_message("b", "f:two", visible_at=at(FAR)),
            a_message("c", "f:two", visible_at=at(FAR)),
            a_message("d", "f"),
            a_message("e", "family:x"),
            a_message("g", "f:"),
            a_message("h", "f:one:more"),
        )
        found = await store.queues("f")
        assert set(found) == {"f:one", "f:two", "f:", "f:one:more"}
        assert all(message.queue == queue for queue, message in found.items())
        assert found["f:one"] == a_message("a", "f:one")
        assert found["f:two"].id in {"b", "c"}

    async def test_a_queue_counts_while_its_message_is_leased_and_no_longer_when_it_is_gone(
        self, store: Store, durable: bool
    ) -> None:
        await send(store, a_message("a", "f:one"))
        lease = await grab_one(store, "f:one")
        assert set(await store.queues("f")) == {"f:one"}
        await store.commit(Commit(now=T0, ack=(lease,), durable=durable))
        assert await store.queues("f") == {}
        await send(store, a_message("b", "f:one"))
        assert await store.queues("f") == {"f:one": a_message("b", "f:one")}
