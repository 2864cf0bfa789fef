"""A process as the system sees it, and its connection to the store: both can fail at every call."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

from avtomatika.errors import Unavailable
from avtomatika.kernel.ids import JobId, TaskId
from avtomatika.kernel.model import Branch, Job, Status
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.shelf import Shelf
from avtomatika.ports.store import Commit, Durability, Fact, JobQuery, Lease, Message, MessageId, Page, Store
from avtomatika.testing.clock import SimClock
from avtomatika.testing.stage import Stage

T = TypeVar("T")

IDLE_LOOK: Final = 1_000
"""Who waits for so long has nothing that will be due earlier."""


class Died(asyncio.CancelledError):
    """The process that made the call is no more."""


class Process:
    """One life of a node. It runs, stands still, or is dead; dead, it does nothing any more."""

    def __init__(self, stage: Stage, owner: str, clock: SimClock, died: Callable[[], None]) -> None:
        self.stage, self.owner, self.clock = stage, owner, clock
        self._died = died
        self.dead = False
        self._standing: asyncio.Event | None = None

    @property
    def stands_still(self) -> bool:
        """True while the system does not let the process run."""
        return self._standing is not None

    def kill(self, why: str) -> None:
        """The process is dead."""
        if not self.dead:
            self.dead = True
            self.stage.fault("crash", self.owner, why)
            self.stage.loop.kill(self.owner)
            self._died()

    def end(self) -> None:
        """The process has ended by itself."""
        self.dead = True
        self.stage.loop.kill(self.owner)

    def stop(self, span: int) -> None:
        """The process stands still for *span* milliseconds."""
        if not self.dead and self._standing is None:
            self.stage.fault("pause", self.owner, span)
            self._standing = asyncio.Event()
            self.stage.soon(span, self.go_on)

    def go_on(self) -> None:
        """The process runs."""
        if self._standing is not None:
            self._standing.set()
            self._standing = None

    async def awake(self) -> None:
        """Returns when the process runs. Raises Died."""
        while self._standing is not None:
            await self._standing.wait()
        if self.dead:
            raise Died


class NodeStore:
    """The store as one node sees it: calls are late, fail, succeed without an answer, or kill the node."""

    def __init__(self, inner: Store, process: Process, time: Callable[[], Instant]) -> None:
        """*time* is that of the clock which *inner* waits by."""
        self._inner, self._process, self._time = inner, process, time
        self._stage = process.stage
        options = self._options = process.stage.options
        self._rng = process.stage.rng
        rates = (
            options.store_fail,
            options.lose_reply,
            options.crash_before,
            options.crash_after,
            options.store_delay,
        )
        self._thresholds = [sum(rates[: n + 1]) for n in range(len(rates))]

    @property
    def durability(self) -> Durability:
        """What is promised about accepted commits."""
        return self._inner.durability

    @property
    def shelf(self) -> Shelf:
        """Values that belong to no job."""
        return self._inner.shelf

    async def _call(self, verb: str, work: Coroutine[Any, Any, T]) -> T:
        process = self._process
        dice = self._rng.random()
        if dice >= self._thresholds[-1] and not process.dead and not process.stands_still:
            return await work
        try:
            return await self._troubled(verb, work, dice)
        finally:
            work.close()

    async def _troubled(self, verb: str, work: Coroutine[Any, Any, T], dice: float) -> T:
        process, stage = self._process, self._stage
        stood, calm = process.stands_still, stage.ledger.messages.unrest
        await process.awake()
        fail, lose, before, after, _ = self._thresholds
        faulty = stage.faulty
        if not faulty or dice >= after:
            slow = await self._delay()
            stood = stood or slow or process.stands_still or stage.ledger.messages.unrest != calm
            await process.awake()
            try:
                return await work
            finally:
                stage.ledger.messages.unrest += stood  # the time that the call names may be long ago
        if dice < fail:
            stage.fault("store_fail", verb)
            await self._delay()
            raise Unavailable("The store could not be reached.")
        if dice < lose:
            await work
            stage.fault("lose_reply", verb)
            await self._delay()
            raise Unavailable("The store did not answer.")
        if dice < before:
            process.kill(f"before {verb}")
            raise Died
        await work
        process.kill(f"after {verb}")
        raise Died

    async def _delay(self) -> bool:
        """True when it took long."""
        if self._options.store_delay:
            if self._options.slow_delay and self._rng.random() < 0.03:
                self._stage.fault("slow_store")
                messages = self._stage.ledger.messages
                messages.slow += 1
                try:
                    await self._stage.pass_time(0, 2_500)
                finally:
                    messages.slow -= 1
                    messages.unrest += 1  # also for what others did meanwhile
                return True
            await self._stage.pass_time(0, 6)
        return False

    async def load(self, job: JobId) -> Job | None:
        return await self._call("load", self._inner.load(job))

    async def commit(self, commit: Commit) -> None:
        await self._call("commit", self._inner.commit(commit))

    async def lease(
        self, queues: Sequence[str], *, owner: str, now: Instant, ttl: Span, limit: int
    ) -> Sequence[Lease]:
        return await self._call(
            "lease", self._inner.lease(queues, owner=owner, now=now, ttl=ttl, limit=limit)
        )

    async def extend(self, lease: Lease, *, now: Instant, ttl: Span) -> Lease:
        return await self._call("extend", self._inner.extend(lease, now=now, ttl=ttl))

    async def held(self, message: MessageId, *, now: Instant) -> Lease | None:
        return await self._call("held", self._inner.held(message, now=now))

    async def wait(self, topics: Collection[str], *, until: Instant) -> None:
        """Waits, or comes back early, or hears no hint. An idle wait takes several times as long."""
        await self._process.awake()
        left = until - self._process.clock.now()
        if left >= IDLE_LOOK:
            left *= self._options.idle_stretch
        if left <= 0:
            return
        if self._stage.chance(self._options.hints_early):
            left = self._rng.randint(0, left)
        if self._stage.chance(self._options.hints_lost):
            await asyncio.sleep(left / 1_000)
        else:
            await self._inner.wait(topics, until=Instant(self._time() + left))
        await self._process.awake()

    async def announce(self, topics: Collection[str]) -> None:
        if not self._stage.chance(self._options.hints_lost):
            await self._inner.announce(topics)

    async def time(self) -> Instant | None:
        return await self._call("time", self._inner.time())

    async def backlog(self, family: str, *, now: Instant, most: int) -> int:
        return await self._call("backlog", self._inner.backlog(family, now=now, most=most))

    async def next_due(self, queue: str) -> Instant | None:
        return await self._call("next_due", self._inner.next_due(queue))

    async def peek(self, queue: str, *, after: MessageId | None = None, limit: int) -> Sequence[Message]:
        return await self._call("peek", self._inner.peek(queue, after=after, limit=limit))

    async def queues(self, family: str) -> Mapping[str, Message]:
        return await self._call("queues", self._inner.queues(family))

    async def branch(self, job: JobId, task: TaskId) -> Branch | None:
        return await self._call("branch", self._inner.branch(job, task))

    async def branches(self, job: JobId, opened: int) -> Sequence[Branch]:
        return await self._call("branches", self._inner.branches(job, opened))

    async def facts(self, job: JobId, *, after: int = 0, limit: int | None = None) -> Sequence[Fact]:
        return await self._call("facts", self._inner.facts(job, after=after, limit=limit))

    async def find(self, query: JobQuery) -> Page:
        return await self._call("find", self._inner.find(query))

    async def unfinished(self, client: str | None = None) -> int:
        return await self._call("unfinished", self._inner.unfinished(client))

    async def tally(self, client: str | None = None) -> Mapping[Status, int]:
        return await self._call("tally", self._inner.tally(client))

    async def sweep(self, *, now: Instant, finished_before: Instant, limit: int) -> int:
        return await self._call(
            "sweep", self._inner.sweep(now=now, finished_before=finished_before, limit=limit)
        )

    def recovered(self, job: JobId) -> bool:
        return self._inner.recovered(job)

    async def close(self) -> None:
        await self._inner.close()
