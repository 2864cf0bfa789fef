"""The shared store. Every verb that changes something is one script: it happens as a whole, or not at all."""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import msgspec

from avtomatika.kernel.ids import JobId, TaskId, opened_by
from avtomatika.kernel.model import Branch, Job, Status, Verdict
from avtomatika.kernel.time import Instant, Span, after
from avtomatika.ports.shelf import Shelf
from avtomatika.ports.store import (
    Commit,
    Durability,
    Fact,
    JobQuery,
    KeyTaken,
    Lease,
    LeaseLost,
    Page,
    VersionConflict,
)
from avtomatika.stores.announcements import Announcements
from avtomatika.stores.codec import decode_branch, decode_fact, decode_job
from avtomatika.stores.hanging_up import granted
from avtomatika.stores.hints import Hints
from avtomatika.stores.known import KnownJobs
from avtomatika.stores.readable import refuse_unreadable
from avtomatika.stores.redis.calls import Calls
from avtomatika.stores.redis.lists import find
from avtomatika.stores.redis.moments import text
from avtomatika.stores.redis.news import News
from avtomatika.stores.redis.packing import claim_of, commit_row, lease_of
from avtomatika.stores.redis.queues import Queues
from avtomatika.stores.redis.scripts import COMMIT, EXTEND, LEASE, SWEEP, TIME
from avtomatika.stores.redis.shelf import RedisShelf

AT_ONCE: Final = 256
"""The server does no more than this many of a thing in one go: everybody else waits for it."""

CLAIMS: Final = 500

_DONE, _KEY_TAKEN, _MOVED = range(3)
_OVER: Final = frozenset(Status(verdict) for verdict in Verdict)


class RedisStore(Queues):
    """Many processes, one primary. What it promises of accepted commits is that server's to keep."""

    def __init__(
        self,
        calls: Calls,
        news: News,
        durability: Durability,
        *,
        hints: Hints,
        announcements: Announcements,
        tokens: Callable[[], str],
    ) -> None:
        self.durability = durability
        self.shelf: Shelf = RedisShelf(calls)
        self._calls, self._news = calls, news
        self._hints, self._announcements = hints, announcements
        self._tokens = _Tokens(tokens)
        self._known = KnownJobs()

    async def load(self, job: JobId) -> Job | None:
        head, data = await self._calls.ask("HMGET", f":j:{job}", "h", "d")
        if head is None:
            return None
        found = decode_job(head, data)
        self._known.met(found)
        return found

    async def commit(self, commit: Commit) -> None:
        refuse_unreadable(commit)
        row = commit_row(commit, self._known.data(commit), replicated=self._calls.replicated)
        outcome, *said = await self._calls.write(COMMIT, row)
        if outcome != _DONE:
            self._refuse(commit, outcome, said)
        if commit.job is not None:
            self._known.met(commit.job)
        self._announcements.commit(commit, [owner.decode() for owner in said[0]])
        self._news.tell()

    @staticmethod
    def _refuse(commit: Commit, outcome: int, said: Sequence[bytes]) -> None:
        if outcome == _KEY_TAKEN and commit.claim is not None:
            raise KeyTaken(claim_of(commit.claim.key, said[0]))
        if outcome == _MOVED:
            raise VersionConflict
        raise LeaseLost

    async def lease(
        self, queues: Sequence[str], *, owner: str, now: Instant, ttl: Span, limit: int
    ) -> Sequence[Lease]:
        if not queues or limit <= 0:
            return []
        return await granted(self, self._lease(queues, owner, now, after(now, ttl), limit), now)

    async def _lease(
        self, queues: Sequence[str], owner: str, now: Instant, until: Instant, limit: int
    ) -> Sequence[Lease]:
        taken: list[Lease] = []
        while len(taken) < limit:
            tokens = self._tokens.draw(min(limit - len(taken), AT_ONCE))
            rows = await self._calls.write(LEASE, (text(now), text(until), owner, tuple(queues), tokens))
            given = [lease_of(row, owner, until) for row in rows]
            self._tokens.give_back(tokens, {lease.token for lease in given})
            taken += given
            if len(given) < len(tokens):
                break
        return taken

    async def extend(self, lease: Lease, *, now: Instant, ttl: Span) -> Lease:
        until = after(now, ttl)
        if not await self._calls.write(EXTEND, (lease.message.id, lease.token, text(now), text(until))):
            raise LeaseLost(f"The lease of {lease.message.id} is no longer held.")
        return msgspec.structs.replace(lease, until=until)

    async def wait(self, topics: Collection[str], *, until: Instant) -> None:
        await self._hints.wait(topics, until=until)

    async def announce(self, topics: Collection[str]) -> None:
        self._announcements.topics(topics)
        self._news.tell()

    async def time(self) -> Instant | None:
        return Instant(int(await self._calls.read(TIME, ())))

    async def branch(self, job: JobId, task: TaskId) -> Branch | None:
        body = await self._calls.ask("HGET", f":b:{job}", task)
        return None if body is None else decode_branch(body)

    async def branches(self, job: JobId, opened: int) -> Sequence[Branch]:
        flat = await self._calls.ask("HGETALL", f":b:{job}")
        tasks = (opened_by(TaskId(task.decode())) for task in flat[::2])
        records = zip(tasks, flat[1::2], strict=True)
        found = sorted((index, body) for (_, version, index), body in records if version == opened)
        return [decode_branch(body) for _, body in found]

    async def facts(self, job: JobId, *, after: int = 0, limit: int | None = None) -> Sequence[Fact]:
        most = -1 if limit is None else max(0, min(limit, 2**40))
        found = await self._calls.ask("ZRANGEBYSCORE", f":f:{job}", f"({after}", "+inf", "LIMIT", 0, most)
        return [decode_fact(body) for body in found]

    async def find(self, query: JobQuery) -> Page:
        return await find(self._calls, query)

    async def tally(self, client: str | None = None) -> Mapping[Status, int]:
        flat = await self._calls.ask("HGETALL", ":t" if client is None else f":t:{client}")
        return {Status(name.decode()): int(n) for name, n in zip(flat[::2], flat[1::2], strict=True)}

    async def unfinished(self, client: str | None = None) -> int:
        return sum(n for status, n in (await self.tally(client)).items() if status not in _OVER)

    async def sweep(self, *, now: Instant, finished_before: Instant, limit: int) -> int:
        forgotten = 0
        gone: int
        claims: int
        while True:
            jobs = max(0, min(limit - forgotten, AT_ONCE))
            asked = text(now), text(finished_before), jobs, CLAIMS
            gone, claims = await self._calls.write(SWEEP, asked)
            forgotten += gone
            if (gone < jobs or forgotten >= limit) and claims < CLAIMS:
                return forgotten

    def recovered(self, job: JobId) -> bool:
        return False

    async def close(self) -> None:
        await self._news.close()
        await self._calls.close()


class _Tokens:
    """Tokens for leases; those that were drawn for messages that were not there are used next time."""

    def __init__(self, draw: Callable[[], str]) -> None:
        self._draw = draw
        self._left: deque[str] = deque()

    def draw(self, number: int) -> list[str]:
        """So many tokens."""
        left = self._left
        return [left.popleft() if left else self._draw() for _ in range(number)]

    def give_back(self, tokens: Sequence[str], used: set[str]) -> None:
        """Of *tokens* no more than *used* were given to anybody."""
        self._left.extendleft(token for token in reversed(tokens) if token not in used)
