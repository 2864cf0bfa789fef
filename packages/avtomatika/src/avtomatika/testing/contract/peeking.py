"""Looking into a queue without taking anything."""

from avtomatika.ports.store import Commit, Message, MessageId, Store
from avtomatika.testing.contract.values import (
    T0,
    TTL,
    a_message,
    at,
    grab,
    grab_one,
    names,
    send,
)


async def peeked(store: Store, queue: str = "q", after: str | None = None, limit: int = 100) -> list[str]:
    """The ids of the messages that were seen."""
    place = None if after is None else MessageId(after)
    return [str(message.id) for message in await store.peek(queue, after=place, limit=limit)]


class PeekContract:
    """Every message of the queue by id, whatever its state; nothing changes by looking."""

    async def test_a_queue_that_holds_nothing_shows_nothing(self, store: Store) -> None:
        assert await peeked(store) == []
        await send(store, a_message())
        await store.commit(Commit(now=T0, ack=(await grab_one(store),)))
        assert await peeked(store) == []

    async def test_messages_are_seen_as_they_were_sent(self, store: Store, durable: bool) -> None:
        sent = a_message(visible_at=at(9), priority=-1.5)
        await store.commit(Commit(now=T0, send=(sent,), durable=durable))
        seen: list[Message] = list(await store.peek("q", limit=1))
        assert seen == [sent]

    async def test_ids_decide_the_order_and_no_queue_shows_another(self, store: Store) -> None:
        sent = [a_message(name, priority=float(n)) for n, name in enumerate(("c", "a", "é", "B", "b", "a1"))]
        await send(store, *sent, a_message("other", "q:"), a_message("else", "p"))
        assert await peeked(store) == ["B", "a", "a1", "b", "c", "é"]

    async def test_leased_visible_and_later_messages_are_all_seen(self, store: Store, durable: bool) -> None:
        late = a_message("late", visible_at=at(50))
        await store.commit(Commit(now=T0, send=(late, *(a_message(name) for name in "abc")), durable=durable))
        (held,) = await store.lease(("q",), owner="w", now=T0, ttl=TTL, limit=1)
        everything = ["a", "b", "c", "late"]
        assert await peeked(store) == everything
        longer = await store.extend(held, now=at(1), ttl=TTL)
        assert await peeked(store) == everything
        assert names(await grab(store)) == ["b", "c"], "looking took nothing"
        assert await store.next_due("q") == at(50)
        assert await peeked(store) == everything
        assert names(await grab(store, now=at(9 * TTL))) == ["late", "b", "c", "a"]
        assert await peeked(store) == everything
        assert longer.message.id == "a"

    async def test_what_was_replaced_dropped_or_moved_is_seen_as_it_is_now(
        self, store: Store, durable: bool
    ) -> None:
        await send(store, *(a_message(name) for name in "abc"))
        again = (a_message("a", visible_at=at(5)), a_message("c", "p"))
        await store.commit(Commit(now=T0, send=again, drop=(MessageId("b"),), durable=durable))
        assert list(await store.peek("q", limit=9)) == [again[0]]
        assert list(await store.peek("p", limit=9)) == [again[1]]

    async def test_pages_together_are_all_messages_once(self, store: Store) -> None:
        await send(store, *(a_message(f"m{n:02}") for n in range(25)))
        place: str | None = None
        seen: list[str] = []
        while page := await peeked(store, after=place, limit=10):
            seen += page
            place = page[-1]
        assert seen == [f"m{n:02}" for n in range(25)]

    async def test_a_page_begins_above_a_message_that_is_gone_and_holds_no_more_than_asked(
        self, store: Store
    ) -> None:
        await send(store, *(a_message(name) for name in "bdf"))
        assert await peeked(store, after="c") == ["d", "f"]
        assert await peeked(store, after="d") == ["f"]
        assert await peeked(store, after="f") == []
        assert await peeked(store, limit=2) == ["b", "d"]
        assert await peeked(store, limit=0) == []

    async def test_the_backlog_of_a_family_is_what_nobody_holds(self, store: Store) -> None:
        assert await store.backlog("f", now=T0, most=9) == 0
        await send(
            store,
            *(a_message(name, "f:one") for name in "abc"),
            a_message("late", "f:two", visible_at=at(50)),
        )
        await send(store, a_message("x", "f"), a_message("y", "g:f:one"))
        assert await store.backlog("f", now=T0, most=9) == 4
        assert await store.backlog("f", now=T0, most=3) == 3
        await grab(store, "f:one", limit=1)
        assert await store.backlog("f", now=T0, most=9) == 3
        assert await store.backlog("f", now=at(TTL), most=9) == 4
