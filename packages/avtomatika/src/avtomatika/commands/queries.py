"""Reading jobs. Whatever belongs to another client is answered like what does not exist.

A viewer is the id of a client, or `EVERYBODY` for an operator, who sees the jobs of all.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from avtomatika.errors import IntegrityError, NotFound, Unavailable
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Job, Status
from avtomatika.kernel.time import SECOND, Instant, Span, after
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Fact, JobQuery, Page

Viewer = str | None
Whole = Callable[[Job], Awaitable[Job]]

EVERYBODY: Final = None
LOOK_AGAIN: Final = Span(5 * SECOND)
"""A hint from another node may be lost; thousands who wait must not ask the store every second."""

PAGE: Final = 200


class Queries:
    """What a client may know."""

    def __init__(
        self,
        node: NodeContext,
        held: Callable[[Job], str | None] = lambda _: None,
        whole: Whole | None = None,
    ) -> None:
        """*held* tells why this node would not run the handler of a job, or None. *whole* brings back values
        of a job that are kept beside it.
        """
        self._store, self._clock = node.store, node.clock
        self.held, self._whole = held, whole
        self._closed, self._closing = False, f"closing:{node.owner}"

    async def close(self) -> None:
        """Whoever waits for a job hears how it stands, and nobody waits from now on."""
        self._closed = True
        with suppress(Unavailable):
            await self._store.announce((self._closing,))

    async def job(self, job_id: str, viewer: Viewer) -> Job:
        """The job as last committed. Raises NotFound."""
        job = await self._store.load(JobId(job_id))
        if job is None or viewer not in (EVERYBODY, job.client):
            raise NotFound("Job not found")
        return job

    async def whole(self, job: Job) -> Job:
        """The job with all its values. Raises IntegrityError when one is lost, Unavailable."""
        return job if self._whole is None else await self._whole(job)

    async def shown(self, job: Job) -> Job:
        """As `whole`; if a value is lost, with what is known of each that is kept beside the job."""
        try:
            return await self.whole(job)
        except IntegrityError:
            return job

    async def ended(self, job_id: str, viewer: Viewer, until: Instant) -> Job:
        """The job, once it is over or as it stands at *until* or on `close`. Raises NotFound."""
        job = await self.job(job_id, viewer)
        while not (job.over or self._closed) and (now := self._clock.now()) < until:
            topics = (f"end:{job.id}", self._closing)
            await self._store.wait(topics, until=min(until, after(now, LOOK_AGAIN)))
            job = await self.job(job_id, viewer)
        return job

    async def page(self, query: JobQuery) -> Page:
        """One page of jobs. Raises InvalidInput for a cursor that is none."""
        return await self._store.find(query)

    async def facts(self, job_id: str, viewer: Viewer) -> AsyncGenerator[Fact, None]:
        """What happened to the job so far, in order. Raises NotFound."""
        job, version = await self.job(job_id, viewer), 0
        while page := await self._above(job.id, version):
            for fact in page:
                yield fact
            version = page[-1].version
            if len(page) < PAGE:
                return

    async def follow(self, job_id: str, viewer: Viewer, until: Instant) -> AsyncGenerator[Fact | None, None]:
        """The facts of the job as they happen, from the first one on, until it is over or *until* or `close`.

        None, now and then, when nothing happens. Raises NotFound when the job is not, or no longer, there.
        """
        version = 0
        while True:
            job, now = await self.job(job_id, viewer), self._clock.now()
            if self._closed or now >= until:
                return
            if version < job.version and (page := await self._above(job.id, version)):
                for fact in page:
                    version = fact.version
                    yield fact
            elif job.over:
                return
            else:
                topics = (f"job:{job.id}", self._closing)
                await self._store.wait(topics, until=min(until, after(now, LOOK_AGAIN)))
                yield None

    async def _above(self, job: JobId, version: int) -> Sequence[Fact]:
        # A page at a time, and others have their turn in between: a job may have lived for very long.
        page = await self._store.facts(job, after=version, limit=PAGE)
        await self._clock.sleep_until(self._clock.now())
        return page

    async def tally(self, viewer: Viewer) -> Mapping[Status, int]:
        """How many of the jobs that the viewer sees stand where."""
        return await self._store.tally(viewer)
