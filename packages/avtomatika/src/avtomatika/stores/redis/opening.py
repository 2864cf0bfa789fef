"""The store and the registry of one Redis, open."""

from collections.abc import Callable
from functools import partial

import msgspec

from avtomatika.kernel.time import Instant
from avtomatika.stores.announcements import Announcements
from avtomatika.stores.hints import Hints
from avtomatika.stores.redis.calls import Calls
from avtomatika.stores.redis.checks import check
from avtomatika.stores.redis.news import News
from avtomatika.stores.redis.primary import connect_with_scripts, primary_of
from avtomatika.stores.redis.registry import RedisRegistry
from avtomatika.stores.redis.store import RedisStore


class Place(msgspec.Struct, frozen=True):
    """Where a store is and what it has to be; all nodes of one `prefix` share it.

    With `replicated` nothing is accepted that is on one machine only. What is `volatile` may forget.
    """

    url: str
    prefix: str
    replicated: bool = False
    volatile: bool = False

    def __repr__(self) -> str:
        return f"Place(prefix={self.prefix!r})"  # the URL may hold a password


async def open_redis(
    place: Place, *, now: Callable[[], Instant], tokens: Callable[[], str], sender: str
) -> tuple[RedisStore, RedisRegistry]:
    """What is kept there. *sender* is a name that no other process has or had.

    Raises ConfigError when the server promises less than it has to, Unavailable when it is not there.
    """
    primary = primary_of(place.url, place.prefix)
    promise = await check(primary, replicated=place.replicated, volatile=place.volatile)
    hints = Hints(now, is_far=True)
    announcements = Announcements(hints, sender)
    calls = Calls(partial(connect_with_scripts, primary), place.prefix, sender, promise.barrier)
    news = News(calls, primary.connect, place.prefix, announcements)
    store = RedisStore(
        calls, news, promise.durability, hints=hints, announcements=announcements, tokens=tokens
    )
    return store, RedisRegistry(calls)
