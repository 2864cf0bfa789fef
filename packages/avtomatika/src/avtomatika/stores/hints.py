"""Waiting for something to happen, within one process. Hints only: no work is carried here."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence

from avtomatika.kernel.model import Job
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
            if self._lately is not None:
                self._lately.announced(topic, at)
            waiting = self._waiting.get(topic)
            if waiting is not None:
                for waker, until in waiting.items():
                    if until >= at:
                        _wake(waker)

    def announce_commit(self, commit: Commit, robbed: Iterable[str] = ()) -> None:
        """Everybody whom *commit* may concern is woken, and those whose messages it withdrew."""
        if not self._waiting and self._lately is None:
            return
        self.announce(f"owner:{owner}" for owner in robbed)
        if commit.job is not None:
            self.announce(topics_of(commit.job))
        for message in commit.send:
            topics = (message.queue, message.queue.partition(":")[0])
            self.announce(topics, message.visible_at)

    def _forget(self, topic: str, waker: asyncio.Future[None]) -> None:
        wakers = self._waiting.get(topic)
        if wakers is not None:
            wakers.pop(waker, None)
            if not wakers:
                del self._waiting[topic]


def topics_of(job: Job) -> Sequence[str]:
    """The topics of those who wait for the job to move, and for its end if this is it."""
    moved = f"job:{job.id}"
    return (moved, f"end:{job.id}") if job.over else (moved,)


def _wake(waker: asyncio.Future[None]) -> None:
    if not waker.done():
        waker.set_result(None)
