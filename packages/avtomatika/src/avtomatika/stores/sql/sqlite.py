"""The embedded store: a memory image of what is unfinished, a SQLite file that it is a copy of.

The image only ever holds what is on disk: a commit is checked, written, and when the COMMIT has returned,
applied. Leases are the exception: they are granted in memory and noted on disk with the next batch, for
losing one only means that a message is delivered again.
"""

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from avtomatika.errors import StorageBroken
from avtomatika.kernel.effects import RunHandler
from avtomatika.kernel.ids import JobId, TaskId
from avtomatika.kernel.model import Branch, Job, Status
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.store import (
    Claim,
    Commit,
    Durability,
    Fact,
    JobQuery,
    KeyTaken,
    Lease,
    LeaseLost,
    Message,
    MessageId,
    Page,
    VersionConflict,
)
from avtomatika.stores.hints import Hints
from avtomatika.stores.image import Image
from avtomatika.stores.sql import file, reading
from avtomatika.stores.sql.group_commit import GroupCommit
from avtomatika.stores.sql.journal import Batch


class SqliteStore:
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
        self._lock = file.Lock(path.with_name(path.name + ".lock"))
        try:
            self._database = file.connect(path)
            unclean = file.begin_session(self._database)
            self._reader = file.connect_reader(path)
        except BaseException:
            self._lock.release()
            raise
        self._hints = Hints(now)
        self._image = Image(tokens)
        self._ended = reading.Recent(512)
        self.clock_floor = Instant(file.meta(self._database, "clock_floor"))
        self._load(Instant(max(now(), self.clock_floor)))
        self._recovered: set[JobId] = set(self._image.jobs) if unclean else set()
        self._writer = GroupCommit(self._database, path, stage=self._stage, done=self._applied, broken=broken)

    def _load(self, now: Instant) -> None:
        for job in file.live_jobs(self._database):
            self._image.jobs[job.id] = job
        for job_id, branch in file.live_branches(self._database):
            self._image.put_branch(job_id, branch)
        for message, delivery, lease, ttl in file.live_messages(self._database):
            if lease is not None and lease.owner.startswith("node:"):
                lease = None  # nodes live in the process that had the file; it is gone
            if lease is not None:
                kept = Instant(max(lease.until, now + ttl))  # the holder could not renew while we were down
                lease = msgspec.structs.replace(lease, until=kept)
            self._image.messages.put(message, lease, delivery)

    async def load(self, job: JobId) -> Job | None:
        found = self._image.jobs.get(job) or self._ended.get(job)
        return found or reading.job(self._reader, job)

    async def commit(self, commit: Commit) -> None:
        if commit.durable:
            await self._writer.commit(commit)
            return
        self._check(commit, None)
        self._applied(commit)
        self._writer.note(commit)

    def _stage(self, batch: Batch, commit: Commit) -> None:
        if commit.durable:
            self._check(commit, batch)
        stored = None if commit.job is None else self._image.jobs.get(commit.job.id)
        batch.add(commit, stored, self._branch_ids)

    def _branch_ids(self, job: JobId, opened: int) -> list[TaskId]:
        return [branch.task.id for branch in self._image.branches(job, opened)]

    def _check(self, commit: Commit, batch: Batch | None) -> None:
        if commit.claim is not None:
            taken = self._claim(commit.claim.key, batch)
            if taken is not None and taken.expires_at > commit.now:
                raise KeyTaken(taken)
        if commit.job is not None:
            version = None if batch is None else batch.version(commit.job.id)
            if (self._version(commit.job.id) if version is None else version) != commit.expected:
                raise VersionConflict
        for lease in commit.ack:
            if batch is not None and batch.is_gone(lease.message.id):
                raise LeaseLost
            self._image.messages.check(lease, commit.now)

    def _version(self, job: JobId) -> int:
        live = self._image.jobs.get(job)
        return reading.version(self._reader, job) if live is None else live.version

    def _claim(self, key: str, batch: Batch | None) -> Claim | None:
        fresh = None if batch is None else batch.claim(key)
        return fresh or reading.claim(self._reader, key)

    def _applied(self, commit: Commit) -> None:
        self._image.apply(commit)
        if commit.job is not None:
            self._recovered.discard(commit.job.id)
            if commit.job.over:
                self._ended.put(commit.job)
        self._hints.announce_commit(commit)

    async def lease(
        self, queues: Sequence[str], *, owner: str, now: Instant, ttl: Span, limit: int
    ) -> Sequence[Lease]:
        taken: list[Lease] = []
        for queue in queues:
            taken += self._image.messages.lease(queue, owner, now, ttl, limit - len(taken))
        for lease in taken:
            self._writer.note((lease, now))
        # The delivery count of a handler that may have killed its process must survive the next death.
        if any(isinstance(t.message.body, RunHandler) and t.message.job in self._recovered for t in taken):
            await self._writer.flushed()
        return taken

    async def extend(self, lease: Lease, *, now: Instant, ttl: Span) -> Lease:
        longer = self._image.messages.extend(lease, now, ttl)
        self._writer.note((longer, now))
        return longer

    async def held(self, message: MessageId, *, now: Instant) -> Lease | None:
        return self._image.messages.held(message, now)

    async def wait(self, topics: Collection[str], *, until: Instant) -> None:
        await self._hints.wait(topics, until=until)

    async def next_due(self, queue: str) -> Instant | None:
        return self._image.messages.next_due(queue)

    async def queues(self, family: str) -> Mapping[str, Message]:
        return self._image.messages.queues(family)

    async def branch(self, job: JobId, task: TaskId) -> Branch | None:
        return self._image.branch(job, task)

    async def branches(self, job: JobId, opened: int) -> Sequence[Branch]:
        return self._image.branches(job, opened)

    async def facts(self, job: JobId, *, after: int = 0) -> Sequence[Fact]:
        return reading.facts(self._reader, job, after)

    async def find(self, query: JobQuery) -> Page:
        return reading.find(self._reader, query)

    async def tally(self, client: str | None = None) -> Mapping[Status, int]:
        return reading.tally(self._reader, client)

    async def sweep(self, *, now: Instant, finished_before: Instant, limit: int) -> int:
        await self._writer.drained()
        try:
            ended = reading.sweep(self._database, now, finished_before, limit)
        except sqlite3.Error as error:
            raise file.translate(error) from error
        for job in ended:
            self._ended.forget(job)
        return len(ended)

    def recovered(self, job: JobId) -> bool:
        return job in self._recovered

    async def close(self) -> None:
        await self._writer.drained()
        try:
            if self._writer.failure is None:
                await self._writer.flushed()
                file.set_meta(self._database, "in_use", 0)
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            self._reader.close()
            self._database.close()
            self._lock.release()
