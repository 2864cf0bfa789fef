"""The table of messages stays as small as what is in it, and names queues without walking them."""

from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.store import Lease, MessageId
from avtomatika.stores.queue import MessageTable
from avtomatika.testing.contract.values import T0, TTL, CountedTokens, a_message, at

FAR = at(10**9)


def places(table: MessageTable) -> int:
    """How many places there are in the heaps, whether they count or not."""
    return sum(len(queue.ready) + len(queue.later) for queue in table._queues.values())


def test_timers_that_were_stopped_do_not_pile_up() -> None:
    table = MessageTable(CountedTokens())
    table.put(a_message("kept", visible_at=FAR))
    for n in range(10_000):
        table.put(a_message(f"m{n}", visible_at=FAR))
        table.remove(MessageId(f"m{n}"))
    assert places(table) < 100
    assert table.next_due("q") == FAR


def test_leases_that_are_extended_for_long_do_not_pile_up() -> None:
    table = MessageTable(CountedTokens())
    table.put(a_message())
    (lease,) = table.lease("q", "w", T0, Span(10**9), 1)
    for n in range(10_000):
        lease = table.extend(lease, at(n), Span(10**9))
    assert places(table) < 100


def test_messages_that_became_available_and_were_replaced_do_not_pile_up() -> None:
    table = MessageTable(CountedTokens())
    table.put(a_message("kept", visible_at=FAR))
    for _ in range(10_000):
        table.put(a_message())
        assert list(table.lease("q", "w", T0, TTL, 0)) == []
    assert places(table) < 100


def test_a_queue_that_is_empty_is_forgotten() -> None:
    table = MessageTable(CountedTokens())
    for n in range(100):
        table.put(a_message("m", f"f:{n}"))
    assert len(table._queues) == 1
    table.remove(MessageId("m"))
    table.remove(MessageId("never was"))
    assert table._queues == {}
    assert table._entries == {}


def test_tidying_keeps_order_and_leases() -> None:
    table = MessageTable(CountedTokens())
    for n in range(200):
        table.put(a_message(f"m{n}", priority=float(n % 3)))
    held = list(table.lease("q", "w", T0, TTL, 50))
    for n in range(150, 200):
        table.remove(MessageId(f"m{n}"))
    for n in range(5_000):
        table.put(a_message("x", visible_at=Instant(FAR + n)))
    rest = [lease.message for lease in table.lease("q", "w", T0, TTL, 500)]
    assert rest == sorted(rest, key=lambda message: (-message.priority, int(message.id[1:])))
    gone = {f"m{n}" for n in range(150, 200)}
    expected = {f"m{n}" for n in range(200)} - gone - {lease.message.id for lease in held}
    assert {message.id for message in rest} == expected
    for lease in held:
        if lease.message.id not in gone:
            assert table.held(lease.message.id, T0) == lease


def test_a_message_is_found_with_the_lease_that_it_was_under_last() -> None:
    table = MessageTable(CountedTokens())
    table.put(a_message())
    (first,) = table.lease("q", "w", T0, TTL, 1)
    assert _lease_of(table) == first
    (second,) = table.lease("q", "w", at(TTL), TTL, 1)
    assert _lease_of(table) == second
    assert table.held(MessageId("m"), at(9 * TTL)) is None
    assert _lease_of(table) == second, "it ran out, but nobody else had it since"
    table.put(a_message())
    assert _lease_of(table) is None
    table.remove(MessageId("m"))
    assert table.find(MessageId("m")) is None


def _lease_of(table: MessageTable) -> Lease | None:
    entry = table.find(MessageId("m"))
    assert entry is not None
    return entry.lease


def test_looking_into_a_queue_sees_every_message_once_wherever_its_place_is() -> None:
    table = MessageTable(CountedTokens())
    for n in range(300):
        table.put(a_message(f"m{n:03}", visible_at=at(n % 7), priority=float(n % 3)))
    held = list(table.lease("q", "w", at(3), TTL, 60))
    for lease in held[:20]:
        table.extend(lease, at(4), TTL)
    for n in range(0, 300, 10):
        table.put(a_message(f"m{n:03}", visible_at=FAR))
    for n in range(5, 300, 10):
        table.remove(MessageId(f"m{n:03}"))
        table.peek("q", None, 1)
    there = [f"m{n:03}" for n in range(300) if n % 10 != 5]
    assert [message.id for message in table.peek("q", None, 1_000)] == there
    assert [message.id for message in table.peek("q", MessageId("m1"), 5)] == [n for n in there if n > "m1"][
        :5
    ]


def test_a_queue_that_was_looked_into_stays_in_order_while_it_changes() -> None:
    table = MessageTable(CountedTokens())
    there: set[str] = set()
    for n in range(2_000):
        name = f"m{(n * 7_919) % 500:03}"
        if n % 3:
            table.put(a_message(name, visible_at=at(n % 50)))
            there.add(name)
        else:
            table.remove(MessageId(name))
            there.discard(name)
        if n % 10 == 0:
            list(table.lease("q", "w", at(n), TTL, 1))
            assert [str(message.id) for message in table.peek("q", None, 1_000)] == sorted(there)
    assert len(there) > 100


def test_looking_again_into_a_large_queue_does_not_walk_it() -> None:
    table = MessageTable(CountedTokens())
    for n in range(20_000):
        table.put(a_message(f"m{n:05}"))
    table.peek("q", None, 1)
    compared = 0

    class Counted(str):
        __slots__ = ()

        def __lt__(self, other: str) -> bool:
            nonlocal compared
            compared += 1
            return str(self) < other

    assert table.peek("q", MessageId(Counted("m10000")), 2)[1].id == "m10002"
    assert compared < 20
