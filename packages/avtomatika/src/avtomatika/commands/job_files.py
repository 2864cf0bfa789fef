"""Files of jobs: who may have them, and when nobody needs them any more (feature G1).

They are kept for a while after the end of their job. A message of the store asks for their removal: sent by
the end of a job where workers may leave files, and otherwise before the first file is there. It stays until
a look has found nothing, so that no crash forgets a file, and it asks the job each time: one that is not
over, or lives again, keeps its files.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import Final

import msgspec

from avtomatika import observe
from avtomatika.blueprints.file_names import checked, prefix_of
from avtomatika.blueprints.local_copies import LocalCopies
from avtomatika.blueprints.task_files import FilePlace, TaskFiles
from avtomatika.commands import large_values
from avtomatika.commands.file_links import FileLinks
from avtomatika.commands.outbox import message_of
from avtomatika.errors import NotFound, TooLarge, Unavailable
from avtomatika.kernel.effects import PurgeFiles
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Job
from avtomatika.kernel.time import SECOND, Instant, Span, after
from avtomatika.ports.blobs import Blobs, FileMetadata
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Commit, Lease

PURGE_LEASE: Final = Span(60 * SECOND)
LOOK_AGAIN: Final = Span(60 * SECOND)
DAY: Final = Span(86_400 * SECOND)
LATE: Final = Span(3_600 * SECOND)
"""After files were removed there is another look: a worker that nobody waits for may still be at work."""

PAUSE: Final = Span(300 * SECOND)
MOST_NOTED: Final = 10_000


class FilePolicy(msgspec.Struct, frozen=True):
    """For how long files stay after the end of their job, None for ever, and how large one may be."""

    keep: Span | None
    most: int


class JobFiles:
    """The files of all jobs; copies for handlers are below *local*."""

    def __init__(
        self, node: NodeContext, blobs: Blobs, local: Path, links: FileLinks, policy: FilePolicy
    ) -> None:
        self._store, self._clock, self._spawn = node.store, node.clock, node.spawn
        self._blobs, self._links, self._policy = blobs, links, policy
        self._place = FilePlace(blobs, local, self.url, self.note)
        self._noted: OrderedDict[JobId, None] = OrderedDict()

    def of(self, job: JobId) -> TaskFiles:
        """The files of the job, for its handler."""
        return TaskFiles(self._place, job)

    async def url(self, method: str, job: JobId, name: str, seconds: int) -> str:
        """A URL with which anybody may use the method on the file for so long. Raises InvalidInput."""
        key = _key(job, name)
        signed = await self._blobs.signed_url(method, key, seconds)
        return self._links.url(method, job, name, seconds) if signed is None else signed

    async def upload_url(self, job: Job, name: str, seconds: int) -> str:
        """A URL with which anybody may write the file for so long. Raises InvalidInput."""
        url = await self.url("PUT", job.id, name, seconds)
        await self._expected(job)
        return url

    async def put(self, job: Job, name: str, chunks: AsyncIterable[bytes], size: int | None) -> str:
        """The URI of the file, which holds the chunks. Raises InvalidInput, TooLarge: nothing is stored."""
        key = _key(job.id, name)
        self._admit(size or 0)
        await self._expected(job)
        await self._blobs.upload_stream(self._admitted(chunks), key, size)
        return self._blobs.uri(key)

    async def found(self, job: str, name: str) -> FileMetadata:
        """What is known of the file. Raises NotFound, InvalidInput."""
        found = await self._blobs.metadata(_key(job, name))
        if found is None:
            raise NotFound("File not found")
        return found

    def content(self, job: str, name: str) -> AsyncIterator[bytes]:
        """The content of the file. Raises NotFound, InvalidInput."""
        return self._blobs.stream(_key(job, name))

    async def purge(self, lease: Lease) -> None:
        """The files of the job are gone, or will be when it is time. Raises LeaseLost, Unavailable."""
        job_id, now = lease.message.job, self._clock.now()
        job = await self._store.load(job_id)
        due = self._due(job, now)
        if due is None:
            lease, due = await self._remove(lease, job_id, forgotten=job is None)
        self._noted.pop(job_id, None)
        send = () if due is None else (message_of(PurgeFiles(job_id, due)),)
        await self._store.commit(Commit(now=self._clock.now(), ack=(lease,), send=send))

    def _due(self, job: Job | None, now: Instant) -> Instant | None:
        """When to look again; None when the files can go, as those of a job that was forgotten can."""
        keep = self._policy.keep
        if job is None:
            return None
        if not job.over or keep is None:
            return after(now, max(keep or LATE, LOOK_AGAIN))
        due = after(job.updated, keep)
        return due if due > now else None

    async def _remove(self, lease: Lease, job: JobId, *, forgotten: bool) -> tuple[Lease, Instant | None]:
        """The lease, kept while files were removed, and when to look again."""
        removing = self._spawn(self._removed(job, forgotten=forgotten), name="purge")
        try:
            while not (await asyncio.wait((removing,), timeout=PURGE_LEASE / 3_000))[0]:
                lease = await self._store.extend(lease, now=self._clock.now(), ttl=PURGE_LEASE)
        except BaseException:
            removing.cancel()
            raise
        return lease, removing.result()

    async def _removed(self, job: JobId, *, forgotten: bool) -> Instant | None:
        prefix, values = prefix_of(job), large_values.prefix_of(job)
        try:
            found = await self._blobs.metadata(prefix)
            # Also where nothing is found: what a process that died was about to write is in no list.
            await self._blobs.delete(prefix)
            if forgotten:
                await self._blobs.delete(values)
            aside = None if found else await self._blobs.metadata(values)
        except Unavailable as error:
            observe.warning("files.left", job=job, why=error.message)
            return after(self._clock.now(), PAUSE)
        await asyncio.to_thread(LocalCopies(self._place.local, job).remove)
        if found is None:  # values are a part of the job, for as long as there is one
            return None if aside is None else after(self._clock.now(), DAY)
        observe.detail("files.removed", job=job, bytes=found.size)
        return after(self._clock.now(), LATE)

    async def note(self, job: JobId) -> None:
        """The job may have files from now on, and there is a message about it. Raises Unavailable."""
        if job in self._noted or self._policy.keep is None:
            return
        await self._send(job)
        self._noted[job] = None
        while len(self._noted) > MOST_NOTED:
            self._noted.popitem(last=False)

    async def _expected(self, job: Job) -> None:
        """As `note`, for a client. Of a job that is over nobody else would notice a file."""
        if job.over and self._policy.keep is not None:
            await self._send(job.id)
        else:
            await self.note(job.id)

    async def _send(self, job: JobId) -> None:
        now = self._clock.now()
        look = after(now, max(self._policy.keep or Span(0), LOOK_AGAIN))
        await self._store.commit(Commit(now=now, send=(message_of(PurgeFiles(job, look)),)))

    def _admit(self, size: int) -> None:
        if size > self._policy.most:
            raise TooLarge(f"A file has at most {self._policy.most} bytes.")

    async def _admitted(self, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in chunks:
            size += len(chunk)
            self._admit(size)
            yield chunk


def _key(job: str, name: str) -> str:
    return prefix_of(job) + checked(name)
