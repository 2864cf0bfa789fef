"""Waiting for something to happen, within one process. Hints only: no work is carried here."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator

from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Commit
from avtomatika.stores.lately import Lately


class Hints:
    """Who waits for which topic. Every waiter of a topic is woken when the topic is announced.

    Whoever *is_far* from what it looks at looked some time before it waits, and does not sleep through what
    was announced meanwhile: its wait ends at once, once, for what was announced since it last waited.
    """

    def __init__(self, now: Callable[[], Instant], *, is_far: bool = False) -> None:
        self._now = now
        self._waiting: dict[str, dict[asyncio.Future[None], Instant]] = {}
        self._lately = Lately() if is_far else None

    async def wait(self, topics: Collection[str], *, until: Instant) -> None:
        """Returns when one of *topics* was announced, at the latest at *until*."""
        left = until - self._now()
        if left <= 0 or (self._lately is not None and self._lately.missed(topics, until)):
            return
        loop = asyncio.get_running_loop()
        waker: asyncio.Future[None] = loop.create_future()
        alarm = loop.call_later(left / 1_000, _wake, waker)
        for topic in topics:
            self._waiting.setdefault(topic, {})[waker] = until
        try:
            await waker
        finally:
            alarm.cancel()
            for topic in topics:
                self._forget(topic, waker)
            if self._lately is not None:
                self._lately.looks()

    def announce(self, topics: Iterable[str], at: int = 0) -> None:
        """Everybody who waits for one of *topics* is woken, but for those who look again before *at*."""
        for topic in topics:
            self._announce(topic, at)

    def announce_commit(self, commit: Commit, robbed: Iterable[str] = ()) -> None:
        """Everybody whom *commit* may concern is woken, and those whose messages it withdrew."""
        if self._waiting or self._lately is not None:
            for topic, at in told_by(commit, robbed):
                self._announce(topic, at)

    def _announce(self, topic: str, at: int) -> None:
        if self._lately is not None:
            self._lately.announced(topic, at)
        waiting = self._waiting.get(topic)
        if waiting is not None:
            for waker, until in waiting.items():
                if until >= at:
                    _wake(waker)

    def _forget(self, topic: str, waker: asyncio.Future[None]) -> None:
        wakers = self._waiting.get(topic)
        if wakers is not None:
            wakers.pop(waker, None)
            if not wakers:
                del self._waiting[topic]


def told_by(commit: Commit, robbed: Iterable[str]) -> Iterator[tuple[str, int]]:
    """What *commit* is about, and from when on, if the messages that it withdrew were with those owners."""
    for owner in robbed:
        yield f"owner:{owner}", 0
    job = commit.job
    if job is not None:
        yield f"job:{job.id}", 0
        if job.over:
            yield f"end:{job.id}", 0
    for message in commit.send:
        yield message.queue, message.visible_at
        yield message.queue.partition(":")[0], message.visible_at


def _wake(waker: asyncio.Future[None]) -> None:
    if not waker.done():
        waker.set_result(None)
