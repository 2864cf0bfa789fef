"""Waiting for something to happen, within one process. Hints only: no work is carried here."""

import asyncio
from collections.abc import Callable, Collection, Iterable

from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Commit


class Hints:
    """Who waits for which topic. Every waiter of a topic is woken when the topic is announced."""

    def __init__(self, now: Callable[[], Instant]) -> None:
        self._now = now
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    async def wait(self, topics: Collection[str], *, until: Instant) -> None:
        """Returns when one of *topics* was announced, at the latest at *until*."""
        left = until - self._now()
        if left <= 0:
            return
        loop = asyncio.get_running_loop()
        waker: asyncio.Future[None] = loop.create_future()
        alarm = loop.call_later(left / 1_000, _wake, waker)
        for topic in topics:
            self._waiting.setdefault(topic, set()).add(waker)
        try:
            await waker
        finally:
            alarm.cancel()
            for topic in topics:
                self._forget(topic, waker)

    def announce(self, topics: Iterable[str]) -> None:
        """Everybody who waits for one of *topics* is woken."""
        for topic in topics:
            for waker in self._waiting.get(topic, ()):
                _wake(waker)

    def announce_commit(self, commit: Commit) -> None:
        """Everybody whom *commit* may concern is woken."""
        if not self._waiting:
            return
        if commit.job is not None:
            self.announce((f"job:{commit.job.id}",))
        for message in commit.send:
            self.announce((message.queue, message.queue.partition(":")[0]))

    def _forget(self, topic: str, waker: asyncio.Future[None]) -> None:
        wakers = self._waiting.get(topic)
        if wakers is not None:
            wakers.discard(waker)
            if not wakers:
                del self._waiting[topic]


def _wake(waker: asyncio.Future[None]) -> None:
    if not waker.done():
        waker.set_result(None)
