"""The store and the registry as one node sees them: every call can fail, and none is heard of by the dead."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from avtomatika.kernel.ids import JobId, TaskId
from avtomatika.kernel.model import Branch, Job, Status
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.registry import Doc, Registry
from avtomatika.ports.shelf import Shelf
from avtomatika.ports.store import Commit, Durability, Fact, JobQuery, Lease, Message, MessageId, Page, Store
from avtomatika.testing.line import Line
from avtomatika.testing.processes import Process

IDLE_LOOK: Final = 1_000
"""Who waits for so long has nothing that will be due earlier."""


class NodeStore:
    """The store as one node sees it: calls are late, fail, succeed without an answer, or kill the node."""

    def __init__(self, inner: Store, process: Process, time: Callable[[], Instant]) -> None:
        """*time* is that of the clock which *inner* waits by."""
        self._inner, self._process, self._time = inner, process, time
        self._stage = process.stage
        self._options, self._rng = process.stage.options, process.stage.rng
        self._call = Line(process).call

    @property
    def durability(self) -> Durability:
        """What is promised about accepted commits."""
        return self._inner.durability

    @property
    def shelf(self) -> Shelf:
        """Values that belong to no job."""
        return self._inner.shelf

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


class NodeRegistry:
    """The registry of several nodes, as one of them sees it."""

    def __init__(self, inner: Registry, process: Process) -> None:
        self._inner = inner
        self._call = Line(process).call

    async def get(self, kind: str, key: str, *, now: Instant) -> Doc | None:
        return await self._call("get", self._inner.get(kind, key, now=now))

    async def put(self, doc: Doc) -> Doc:
        return await self._call("put", self._inner.put(doc))

    async def replace(self, doc: Doc, *, expected: int, now: Instant) -> bool:
        return await self._call("replace", self._inner.replace(doc, expected=expected, now=now))

    async def take(self, kind: str, key: str, *, now: Instant) -> Doc | None:
        return await self._call("take", self._inner.take(kind, key, now=now))

    async def delete(self, kind: str, key: str) -> None:
        await self._call("delete", self._inner.delete(kind, key))

    async def scan(self, kind: str, *, now: Instant) -> Sequence[Doc]:
        return await self._call("scan", self._inner.scan(kind, now=now))

    async def sweep(self, *, now: Instant) -> None:
        await self._call("sweep", self._inner.sweep(now=now))
