"""A message is leased to at most one owner at a time, and only a standing lease counts."""

import asyncio

import msgspec
import pytest

from avtomatika.kernel.time import Span
from avtomatika.ports.store import Commit, Lease, LeaseLost, Message, MessageId, Store, Token
from avtomatika.testing.contract.values import T0, TTL, a_message, at, grab, grab_one, names, send

END = at(TTL)


async def refuses(store: Store, lease: Lease, *, now: int) -> None:
    """The lease can neither be extended nor acknowledged."""
    moment = at(now)
    with pytest.raises(LeaseLost):
        await store.extend(lease, now=moment, ttl=TTL)
    for durable in (True, False):
        with pytest.raises(LeaseLost):
            await store.commit(Commit(now=moment, ack=(lease,), durable=durable))


class LeaseContract:
    """Exclusive, for a time, and lost for good when the time is over or the message is gone."""

    async def test_a_lease_says_what_who_and_until_when(self, store: Store) -> None:
        await send(store, a_message())
        (lease,) = await store.lease(("q",), owner="w", now=at(5), ttl=TTL, limit=1)
        assert lease == Lease(a_message(), "w", lease.token, at(TTL + 5), 1)
        assert lease.token

    async def test_a_leased_message_is_given_to_nobody_else(self, store: Store) -> None:
        await send(store, a_message())
        await grab_one(store)
        assert list(await grab(store)) == []
        assert list(await grab(store, owner="other", now=at(TTL - 1))) == []

    async def test_every_grant_has_a_token_of_its_own(self, store: Store) -> None:
        await send(store, *(a_message(f"m{n}") for n in range(50)))
        first = await grab(store)
        again = await grab(store, now=END)
        assert len({lease.token for lease in (*first, *again)}) == 100

    async def test_concurrent_owners_never_share_a_message(self, store: Store) -> None:
        await send(store, *(a_message(f"m{n}") for n in range(20)))
        taken = await asyncio.gather(
            *(store.lease(("q",), owner=f"w{n}", now=T0, ttl=TTL, limit=2) for n in range(20))
        )
        given = [name for leases in taken for name in names(leases)]
        assert sorted(given) == sorted(f"m{n}" for n in range(20))

    async def test_a_message_cannot_be_seen_before_its_time(self, store: Store) -> None:
        await send(store, a_message(visible_at=at(100)))
        assert list(await grab(store, now=at(99))) == []
        assert names(await grab(store, now=at(100))) == ["m"]

    async def test_a_message_comes_again_when_its_lease_runs_out(self, store: Store) -> None:
        await send(store, a_message())
        first = await grab_one(store, owner="a")
        assert list(await grab(store, owner="b", now=at(TTL - 1))) == []
        second = await grab_one(store, owner="b", now=END)
        assert (second.owner, second.delivery, second.until) == ("b", 2, at(2 * TTL))
        assert second.token != first.token
        third = await grab_one(store, owner="a", now=at(5 * TTL))
        assert third.delivery == 3

    async def test_an_extended_lease_lasts_longer_under_the_same_token(self, store: Store) -> None:
        await send(store, a_message())
        lease = await grab_one(store)
        longer = await store.extend(lease, now=at(TTL - 1), ttl=TTL)
        assert longer == msgspec.structs.replace(lease, until=at(2 * TTL - 1))
        assert list(await grab(store, now=at(2 * TTL - 2))) == []
        again = await store.extend(longer, now=at(2 * TTL - 2), ttl=TTL)
        await store.commit(Commit(now=at(3 * TTL - 3), ack=(again,)))

    async def test_the_value_from_before_an_extension_stands_for_the_same_lease(
        self, store: Store, durable: bool
    ) -> None:
        await send(store, a_message())
        lease = await grab_one(store)
        await store.extend(lease, now=at(1), ttl=TTL)
        await store.commit(Commit(now=END, ack=(lease,), durable=durable))
        assert await store.held(MessageId("m"), now=END) is None

    async def test_a_lease_may_be_cut_short(self, store: Store) -> None:
        await send(store, a_message())
        lease = await grab_one(store)
        await store.extend(lease, now=at(1), ttl=Span(1))
        assert (await grab_one(store, now=at(2))).delivery == 2

    async def test_a_lease_that_ran_out_is_lost_even_when_nobody_took_the_message(self, store: Store) -> None:
        await send(store, a_message())
        await refuses(store, await grab_one(store), now=TTL)

    async def test_a_lease_is_lost_when_somebody_else_has_the_message(self, store: Store) -> None:
        await send(store, a_message())
        old = await grab_one(store)
        new = await grab_one(store, now=END)
        await refuses(store, old, now=TTL + 1)
        await store.commit(Commit(now=at(TTL + 1), ack=(new,)))

    async def test_a_lease_counts_once(self, store: Store, durable: bool) -> None:
        await send(store, a_message())
        lease = await grab_one(store)
        await store.commit(Commit(now=T0, ack=(lease,), durable=durable))
        await refuses(store, lease, now=1)
        assert list(await grab(store, now=at(10 * TTL))) == []

    async def test_a_lease_with_another_token_is_none(self, store: Store) -> None:
        await send(store, a_message())
        lease = await grab_one(store)
        for token in ("", "t", lease.token + "x"):
            await refuses(store, msgspec.structs.replace(lease, token=Token(token)), now=1)

    async def test_a_lease_of_a_message_that_never_was_is_none(self, store: Store) -> None:
        await refuses(store, Lease(a_message(), "w", Token("t"), END, 1), now=1)

    async def test_a_message_is_held_while_its_lease_stands(self, store: Store) -> None:
        message = MessageId("m")
        assert await store.held(message, now=T0) is None
        await send(store, a_message())
        assert await store.held(message, now=T0) is None
        lease = await grab_one(store)
        assert await store.held(message, now=at(TTL - 1)) == lease
        assert await store.held(message, now=END) is None
        longer = await store.extend(lease, now=at(1), ttl=TTL)
        assert await store.held(message, now=END) == longer
        await store.commit(Commit(now=at(2), ack=(lease,)))
        assert await store.held(message, now=at(2)) is None


class ReplacementContract:
    """Sending again replaces, dropping removes; either ends the lease."""

    async def test_sending_a_message_again_replaces_it(self, store: Store, durable: bool) -> None:
        await send(store, a_message())
        changed = a_message(queue="other", visible_at=at(7), priority=2.0, job="j2")
        await store.commit(Commit(now=T0, send=(changed,), durable=durable))
        assert list(await grab(store, "q", now=at(9))) == []
        assert (await grab_one(store, "other", now=at(9))).message == changed

    async def test_a_replaced_message_is_given_anew_and_its_old_lease_is_lost(
        self, store: Store, durable: bool
    ) -> None:
        await send(store, a_message())
        old = await grab_one(store)
        await store.commit(Commit(now=T0, send=(a_message(priority=1.0),), durable=durable))
        await refuses(store, old, now=1)
        new = await grab_one(store, now=at(1))
        assert (new.message, new.delivery) == (a_message(priority=1.0), 1)
        await refuses(store, old, now=1)
        await store.commit(Commit(now=at(1), ack=(new,)))

    async def test_the_last_of_several_messages_of_one_id_counts(self, store: Store, durable: bool) -> None:
        sent = (a_message(), a_message(queue="other"), a_message(priority=3.0))
        await store.commit(Commit(now=T0, send=sent, durable=durable))
        assert [lease.message for lease in await grab(store, "q", "other")] == [a_message(priority=3.0)]

    async def test_a_commit_may_acknowledge_and_send_the_same_message(
        self, store: Store, durable: bool
    ) -> None:
        await send(store, a_message())
        lease = await grab_one(store)
        again = a_message(visible_at=at(50))
        await store.commit(Commit(now=T0, ack=(lease,), send=(again,), durable=durable))
        new = await grab_one(store, now=at(50))
        assert (new.message, new.delivery) == (again, 1)

    async def test_a_commit_may_drop_and_send_the_same_message(self, store: Store, durable: bool) -> None:
        await send(store, a_message())
        await store.commit(
            Commit(now=T0, drop=(MessageId("m"),), send=(a_message(queue="other"),), durable=durable)
        )
        assert names(await grab(store, "q", "other")) == ["m"]

    async def test_a_dropped_message_is_gone_and_its_lease_lost(self, store: Store, durable: bool) -> None:
        await send(store, *(a_message(name) for name in "ab"))
        lease, _ = await grab(store)
        dropped = tuple(MessageId(name) for name in ("a", "b", "never was"))
        await store.commit(Commit(now=T0, drop=dropped, durable=durable))
        await refuses(store, lease, now=1)
        assert list(await grab(store, now=at(10 * TTL))) == []

    async def test_a_message_can_be_sent_already_leased(self, store: Store, durable: bool) -> None:
        taken = Lease(a_message(), "me", Token("mine"), END, 1)
        await store.commit(Commit(now=T0, take=(taken,), durable=durable))
        assert await store.held(MessageId("m"), now=T0) == taken
        assert list(await grab(store, now=at(TTL - 1))) == []
        longer = await store.extend(taken, now=at(1), ttl=TTL)
        await store.commit(Commit(now=at(2), ack=(longer,), durable=durable))
        assert list(await grab(store, now=at(10 * TTL))) == []

    async def test_a_message_sent_leased_comes_again_when_the_lease_runs_out(self, store: Store) -> None:
        taken = Lease(a_message(), "me", Token("mine"), END, 1)
        await store.commit(Commit(now=T0, take=(taken,)))
        again = await grab_one(store, now=END)
        assert (again.message, again.delivery) == (a_message(), 2)
        await refuses(store, taken, now=TTL)

    async def test_a_message_sent_leased_replaces_the_one_before(self, store: Store, durable: bool) -> None:
        await send(store, a_message())
        old = await grab_one(store)
        taken = Lease(a_message(), "me", Token("mine"), END, 1)
        await store.commit(Commit(now=T0, take=(taken,), durable=durable))
        await refuses(store, old, now=1)
        await store.commit(Commit(now=at(1), ack=(taken,), durable=durable))

    async def test_what_was_sent_but_not_durably_can_be_leased_and_acknowledged(self, store: Store) -> None:
        for durable in (True, False):
            await store.commit(Commit(now=T0, send=(a_message(),), durable=False))
            lease = await grab_one(store)
            longer = await store.extend(lease, now=at(1), ttl=TTL)
            await store.commit(Commit(now=at(2), ack=(longer,), durable=durable))
            assert await store.queues("q") == {}
            assert await store.next_due("q") is None

    async def test_what_was_taken_but_not_durably_can_be_acknowledged(
        self, store: Store, durable: bool
    ) -> None:
        taken = Lease(a_message(), "me", Token("mine"), END, 1)
        await store.commit(Commit(now=T0, take=(taken,), durable=False))
        await store.commit(Commit(now=at(1), ack=(taken,), durable=durable))
        assert list(await grab(store, now=at(10 * TTL))) == []


def message(name: str, visible_at: int = 0, priority: float = 0.0) -> Message:
    """A message by what decides its turn."""
    return a_message(name, visible_at=at(visible_at), priority=priority)


class OrderContract:
    """By priority, then by the moment they became available, then in the order they were sent."""

    async def test_higher_priority_comes_first(self, store: Store) -> None:
        priorities = (0.0, -1.5, 1e300, 0.5, 7.0)
        await send(store, *(message(f"{p}", priority=p) for p in priorities))
        assert names(await grab(store)) == [f"{p}" for p in sorted(priorities, reverse=True)]

    async def test_of_one_priority_the_earlier_available_comes_first(self, store: Store) -> None:
        await send(store, message("late", 30), message("early", 10), message("middle", 20))
        assert names(await grab(store, now=at(40))) == ["early", "middle", "late"]

    async def test_otherwise_they_come_in_the_order_they_were_sent(self, store: Store) -> None:
        sent = ["c", "a", "b", "z", "y", "0"]
        await send(store, *(message(name) for name in sent[:4]))
        for name in sent[4:]:
            await send(store, message(name))
        assert names(await grab(store)) == sent

    async def test_what_is_sent_again_is_sent_last(self, store: Store) -> None:
        await send(store, *(message(name) for name in "abc"))
        await send(store, message("a"))
        assert names(await grab(store)) == ["b", "c", "a"]

    async def test_priority_does_not_make_a_message_visible(self, store: Store) -> None:
        await send(store, message("urgent", 10, 9.0), message("plain"))
        assert names(await grab(store, now=at(9))) == ["plain"]
        assert names(await grab(store, now=at(10))) == ["urgent"]

    async def test_a_message_whose_lease_ran_out_became_available_then(self, store: Store) -> None:
        await send(store, message("first"), message("later", TTL + 1), message("sooner", TTL - 1))
        await grab_one(store)
        assert names(await grab(store, now=at(2 * TTL))) == ["sooner", "first", "later"]

    async def test_messages_whose_leases_ran_out_together_come_in_the_order_they_were_sent(
        self, store: Store
    ) -> None:
        await send(store, *(message(name) for name in "abc"))
        await store.extend((await grab(store))[0], now=T0, ttl=TTL)
        assert names(await grab(store, now=END)) == ["a", "b", "c"]

    async def test_earlier_queues_come_first_whatever_they_hold(self, store: Store) -> None:
        await send(
            store,
            a_message("a", "one", priority=-5.0),
            a_message("b", "two", priority=5.0),
            a_message("c", "one", priority=-6.0),
        )
        assert names(await grab(store, "none", "one", "two")) == ["a", "c", "b"]

    async def test_a_lease_takes_no_more_than_asked(self, store: Store) -> None:
        await send(store, *(a_message(name, "one") for name in "abc"), a_message("d", "two"))
        assert list(await grab(store, "one", "two", limit=0)) == []
        assert names(await grab(store, "one", "two", limit=2)) == ["a", "b"]
        assert names(await grab(store, "one", "two", limit=2)) == ["c", "d"]
        assert list(await grab(store, "one", "two", limit=2)) == []

    async def test_no_queues_hold_nothing(self, store: Store) -> None:
        await send(store, a_message())
        assert list(await store.lease((), owner="w", now=T0, ttl=TTL, limit=9)) == []
