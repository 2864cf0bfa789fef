"""The embedded store: a memory image of what is unfinished, a SQLite file that it is a copy of.

Commits are on disk before they take effect. Leases are granted in memory and go to disk when they have
lasted for a moment, for losing one only means that a message is delivered again.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import msgspec

from avtomatika.errors import StorageBroken, Unavailable
from avtomatika.kernel.effects import RunHandler
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Job, Status
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.shelf import Shelf
from avtomatika.ports.store import (
    Commit,
    Durability,
    Fact,
    JobQuery,
    Lease,
    Page,
)
from avtomatika.stores.hints import Hints
from avtomatika.stores.image import Image
from avtomatika.stores.live import LiveReads
from avtomatika.stores.readable import refuse_unanswerable
from avtomatika.stores.sql import file, listing, reading
from avtomatika.stores.sql.group_commit import GroupCommit
from avtomatika.stores.sql.shelf import SqliteShelf
from avtomatika.stores.sql.staging import Staging

P = ParamSpec("P")
T = TypeVar("T")


class SqliteStore(LiveReads):
    """One process, one file. See guarantees: survives a kill at any moment, and a power cut."""

    durability = Durability(backend="sqlite", fsync="always", accepted_loss_window_s=0.0)

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], Instant],
        tokens: Callable[[], str],
        broken: Callable[[StorageBroken], None],
    ) -> None:
        """The file open and read. `broken` hears of a failure after which nothing can be promised.

        Raises ConfigError when another process has the file, StorageBroken when it is damaged.
        """
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._hints = Hints(now)
        self._closed = False
        with ExitStack() as opened:
            opened.callback(file.Lock(path.with_name(path.name + ".lock")).release)
            with file.reading_whole():
                self._database = opened.enter_context(closing(file.connect(path)))
                in_doubt = file.begin_session(self._database)
                self._reader = opened.enter_context(closing(file.connect_reader(path)))
                self.clock_floor = Instant(file.meta(self._database, "clock_floor"))
                number = file.last_number(self._database) + 1
                self._staging = Staging(Image(tokens), self._database, self._reader, self._hints, number)
                self._image = self._staging.image
                self._load(Instant(max(now(), self.clock_floor)))
            if in_doubt:
                self._staging.recovered.update(self._image.jobs)
            self._writer = GroupCommit(self._database, path, self._staging, broken=broken)
            self.shelf: Shelf = SqliteShelf(self._writer, self._read)
            self._release = opened.pop_all().close

    def _load(self, now: Instant) -> None:
        for job in file.live_jobs(self._database):
            self._image.put_job(job)
        for job_id, branch in file.live_branches(self._database):
            self._image.put_branch(job_id, branch)
        for message, delivery, lease, ttl in file.live_messages(self._database):
            if lease is not None and lease.owner.startswith("node:"):
                lease = None  # nodes live in the process that had the file; it is gone
            if lease is not None and lease.until > self.clock_floor:
                kept = Instant(max(lease.until, now + ttl))  # the holder could not renew while we were down
                lease = msgspec.structs.replace(lease, until=kept)
            self._image.messages.put(message, lease, delivery)

    async def load(self, job: JobId) -> Job | None:
        found = self._image.jobs.get(job) or self._staging.ended.get(job)
        return found or self._read(reading.job, job)

    async def commit(self, commit: Commit) -> None:
        # Keys are looked up on disk, and what is on its way there cannot be judged yet: both wait.
        if commit.durable or commit.claim is not None or self._writer.is_writing(commit):
            await self._writer.commit(commit)
            return
        self._writer.refuse_if_over()
        self._writer.note(commit)

    def _read(
        self, query: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kw: P.kwargs
    ) -> T:
        if self._closed:
            raise Unavailable("The store is closed.")
        try:
            return query(self._reader, *args, **kw)
        except sqlite3.Error as error:
            raise self._writer.failed(error) from error

    async def lease(
        self, queues: Sequence[str], *, owner: str, now: Instant, ttl: Span, limit: int
    ) -> Sequence[Lease]:
        taken: list[Lease] = []
        for queue in queues:
            taken += self._image.messages.lease(queue, owner, now, ttl, limit - len(taken))
        self._writer.leased(taken, now)
        # The delivery count of a handler that may have killed its process must survive the next death.
        if any(
            isinstance(t.message.body, RunHandler) and t.message.job in self._staging.recovered for t in taken
        ):
            await self._writer.flushed()
        return taken

    async def extend(self, lease: Lease, *, now: Instant, ttl: Span) -> Lease:
        longer = self._image.messages.extend(lease, now, ttl)
        self._writer.leased((longer,), now)
        return longer

    async def facts(self, job: JobId, *, after: int = 0, limit: int | None = None) -> Sequence[Fact]:
        await self._writer.in_step(job)
        return self._read(reading.facts, job, after, limit)

    async def find(self, query: JobQuery) -> Page:
        refuse_unanswerable(query)
        await self._writer.caught_up()
        return self._read(listing.find, query)

    async def tally(self, client: str | None = None) -> Mapping[Status, int]:
        if self._closed:
            raise Unavailable("The store is closed.")
        return self._staging.counts.tally(client)

    async def sweep(self, *, now: Instant, finished_before: Instant, limit: int) -> int:
        def work(database: sqlite3.Connection) -> list[Job]:
            return reading.sweep(database, now, finished_before, limit)

        ended = await self._writer.exclusively(work)
        for job in ended:
            self._staging.forgotten(job)
        return len(ended)

    async def flush(self) -> None:
        """All leases, and all that was noted so far, are on disk. Raises as `commit` does."""
        await self._writer.flushed()

    def recovered(self, job: JobId) -> bool:
        return job in self._staging.recovered

    async def close(self) -> None:
        if self._closed:
            return
        try:
            await self._writer.close()
            if self._writer.failure is None:
                file.end_session(self._database, in_doubt=bool(self._staging.recovered))
        finally:
            self._closed = True
            self._release()
