"""Jobs are let in while there is room; far below the limit nobody is asked each time."""

from collections import Counter

import pytest

from avtomatika.commands.headroom import FAR, GOOD_FOR, Headroom, Room
from avtomatika.errors import Overloaded, Unavailable
from avtomatika.kernel.time import Span
from avtomatika.stores.memory import MemoryStore
from avtomatika.testing.contract.values import CountedTokens, VirtualClock, a_job, create


class Asked(MemoryStore):
    """Counts who asks how many jobs there are."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(now=clock.now, tokens=CountedTokens())
        self.asked: Counter[str | None] = Counter()

    async def unfinished(self, client: str | None = None) -> int:
        self.asked[client] += 1
        return await super().unfinished(client)


async def test_a_client_has_as_many_jobs_as_it_may_and_no_more() -> None:
    clock = VirtualClock()
    store = Asked(clock)
    room = Headroom(store, clock, Room(of_client=2, of_all=3))
    await room.admit("a", 2)
    await create(store, a_job("j1", client="a"), a_job("j2", client="a"))
    with pytest.raises(Overloaded):
        await room.admit("a", 1)
    await room.admit("b", 1)
    with pytest.raises(Unavailable):
        await room.admit("b", 2)


async def test_far_below_the_limit_the_store_is_asked_once_a_while() -> None:
    clock = VirtualClock()
    store = Asked(clock)
    room = Headroom(store, clock, Room(of_client=FAR + 1, of_all=FAR + 10))
    for _ in range(50):
        await room.admit("a", 1)
    assert store.asked == {"a": 1, None: 1}
    await clock.advance(Span(GOOD_FOR))
    await room.admit("a", 1)
    assert store.asked == {"a": 2, None: 2}


async def test_near_the_limit_the_store_is_asked_each_time() -> None:
    clock = VirtualClock()
    store = Asked(clock)
    room = Headroom(store, clock, Room(of_client=FAR, of_all=FAR))
    for _ in range(5):
        await room.admit("a", 1)
    assert store.asked == {"a": 5, None: 5}
