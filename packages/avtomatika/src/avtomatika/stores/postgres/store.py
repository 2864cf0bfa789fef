"""The store in PostgreSQL: every verb is one statement, and all nodes of one schema share what is kept."""

from collections.abc import Callable, Collection, Mapping, Sequence

from avtomatika.kernel.ids import JobId, TaskId, opened_by
from avtomatika.kernel.model import Branch, Job, Status
from avtomatika.kernel.time import Instant, Span, after
from avtomatika.ports.message import Lease, Message, MessageId
from avtomatika.ports.shelf import Shelf
from avtomatika.ports.store import (
    Claim,
    Commit,
    Durability,
    Fact,
    JobQuery,
    KeyTaken,
    LeaseLost,
    Page,
    VersionConflict,
)
from avtomatika.stores.announcements import Announcements
from avtomatika.stores.codec import decode_branch, decode_fact, decode_job
from avtomatika.stores.hanging_up import granted
from avtomatika.stores.hints import Hints
from avtomatika.stores.known import KnownJobs
from avtomatika.stores.postgres import listing, statements
from avtomatika.stores.postgres.batches import DONE, MOVED, TAKEN, Answer, Batches
from avtomatika.stores.postgres.hearing import Hearing
from avtomatika.stores.postgres.pool import Pool
from avtomatika.stores.postgres.rows import LATEST, key, lease_of, message_of, moment, prepare, text
from avtomatika.stores.postgres.shelf import PostgresShelf
from avtomatika.stores.readable import refuse_unanswerable, refuse_unreadable


class PostgresStore:
    """See guarantees: what was accepted survives the nodes, and the server as its settings promise."""

    def __init__(
        self,
        pool: Pool,
        durability: Durability,
        name: str,
        *,
        now: Callable[[], Instant],
        tokens: Callable[[], str],
    ) -> None:
        """The schema of *pool* is there, and *name* is one that no other node has, or ever had."""
        self.durability = durability
        self._pool, self._tokens = pool, tokens
        self._hints = Hints(now, is_far=True)
        self._announcements = Announcements(self._hints, name)
        self.hearing = Hearing(pool, self._announcements)
        self._batches = Batches(pool, name)
        self._known = KnownJobs()
        self._shelf = PostgresShelf(pool, self._batches)
        self.shelf: Shelf = self._shelf

    async def load(self, job: JobId) -> Job | None:
        row = await self._pool.fetchrow(statements.LOAD, key(job))
        if row is None:
            return None
        found = decode_job(row["head"], row["data"])
        self._known.met(found)
        return found

    async def commit(self, commit: Commit) -> None:
        refuse_unreadable(commit)
        answer = await self._batches.commit(prepare(commit, self._known.data(commit)))
        if answer.verdict != DONE:
            raise _refusal(commit, answer)
        if commit.job is not None:
            self._known.met(commit.job)
        self._announcements.commit(commit, map(text, answer.robbed))
        self.hearing.tell()

    async def lease(
        self, queues: Sequence[str], *, owner: str, now: Instant, ttl: Span, limit: int
    ) -> Sequence[Lease]:
        if not queues or limit <= 0:
            return []
        return await granted(self, self._lease(queues, owner, now, ttl, limit), now)

    async def _lease(
        self, queues: Sequence[str], owner: str, now: Instant, ttl: Span, limit: int
    ) -> Sequence[Lease]:
        until = after(now, ttl)
        names = [key(queue) for queue in queues]
        values = names, key(owner), moment(now), moment(until), min(limit, LATEST), self._tokens()
        rows = await self._pool.fetch_again(statements.LEASE, *values)
        rows.sort(key=statements.place)
        return [lease_of(row, owner, until) for row in rows]

    async def extend(self, lease: Lease, *, now: Instant, ttl: Span) -> Lease:
        until = after(now, ttl)
        values = key(lease.message.id), key(lease.token), moment(now), moment(until)
        if await self._pool.fetchrow(statements.EXTEND, *values) is None:
            raise LeaseLost(f"The lease of {lease.message.id} is no longer held.")
        return Lease(lease.message, lease.owner, lease.token, until, lease.delivery)

    async def held(self, message: MessageId, *, now: Instant) -> Lease | None:
        row = await self._pool.fetchrow(statements.HELD, key(message), moment(now))
        return None if row is None else lease_of(row, text(row["owner"]), Instant(row["until"]))

    async def wait(self, topics: Collection[str], *, until: Instant) -> None:
        await self._hints.wait(topics, until=until)

    async def announce(self, topics: Collection[str]) -> None:
        self._announcements.topics(topics)
        self.hearing.tell()

    async def time(self) -> Instant | None:
        return Instant(await self._pool.fetchval(statements.CLOCK))

    async def next_due(self, queue: str) -> Instant | None:
        due = await self._pool.fetchval(statements.NEXT_DUE, key(queue))
        return None if due is None else Instant(due)

    async def peek(self, queue: str, *, after: MessageId | None = None, limit: int) -> Sequence[Message]:
        if limit <= 0:
            return []
        if after is None:
            rows = await self._pool.fetch(statements.PEEK_FIRST, key(queue), min(limit, LATEST))
        else:
            rows = await self._pool.fetch(statements.PEEK, key(queue), min(limit, LATEST), key(after))
        return [message_of(row) for row in rows]

    async def queues(self, family: str) -> Mapping[str, Message]:
        first, last = key(f"{family}:"), key(f"{family};")  # the character after the colon
        rows = await self._pool.fetch(statements.QUEUES, first, last)
        return {text(row["queue"]): message_of(row) for row in rows}

    async def backlog(self, family: str, *, now: Instant, most: int) -> int:
        first, last = key(f"{family}:"), key(f"{family};")
        values = first, last, moment(now), max(0, min(most, LATEST))
        return int(await self._pool.fetchval(statements.BACKLOG, *values))

    async def branch(self, job: JobId, task: TaskId) -> Branch | None:
        try:
            owner, opened, place = opened_by(task)
        except ValueError:
            return None
        if owner != job:
            return None
        body = await self._pool.fetchval(statements.BRANCH, key(job), opened, place)
        return None if body is None else decode_branch(body)

    async def branches(self, job: JobId, opened: int) -> Sequence[Branch]:
        rows = await self._pool.fetch(statements.BRANCHES, key(job), opened)
        return [decode_branch(row["body"]) for row in rows]

    async def facts(self, job: JobId, *, after: int = 0, limit: int | None = None) -> Sequence[Fact]:
        most = LATEST if limit is None else max(0, min(limit, LATEST))
        rows = await self._pool.fetch(statements.FACTS, key(job), after, most)
        return [decode_fact(row["body"]) for row in rows]

    async def find(self, query: JobQuery) -> Page:
        refuse_unanswerable(query)
        return await listing.find(self._pool, query)

    async def tally(self, client: str | None = None) -> Mapping[Status, int]:
        if client is None:
            rows = await self._pool.fetch(statements.TALLY)
        else:
            rows = await self._pool.fetch(statements.TALLY_OF, key(client))
        return {Status(row["status"]): int(row["jobs"]) for row in rows}

    async def unfinished(self, client: str | None = None) -> int:
        if client is None:
            return int(await self._pool.fetchval(statements.UNFINISHED, statements.OVER))
        return int(await self._pool.fetchval(statements.UNFINISHED_OF, statements.OVER, key(client)))

    async def sweep(self, *, now: Instant, finished_before: Instant, limit: int) -> int:
        values = moment(now), moment(finished_before), max(0, min(limit, LATEST))
        return int(await self._pool.fetchval(statements.SWEEP, *values))

    def recovered(self, job: JobId) -> bool:
        return False

    async def close(self) -> None:
        if self._pool.closed.is_set():
            return
        await self._shelf.close()
        await self._batches.close()
        await self.hearing.close()
        await self._pool.close()


def _refusal(commit: Commit, answer: Answer) -> Exception:
    if answer.verdict == TAKEN and commit.claim is not None and answer.taken is not None:
        fingerprint, job, expires_at = answer.taken
        taken = Claim(commit.claim.key, text(fingerprint), JobId(text(job)), Instant(expires_at))
        return KeyTaken(taken)
    if answer.verdict == MOVED:
        return VersionConflict()
    return LeaseLost()
