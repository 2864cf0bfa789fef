"""Reading jobs. Whatever belongs to another client is answered like what does not exist."""

from collections.abc import Mapping, Sequence

from avtomatika.errors import NotFound
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Job, Status
from avtomatika.kernel.time import Instant
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Fact, JobQuery, Page


class Queries:
    """What a client may know."""

    def __init__(self, node: NodeContext) -> None:
        self._store, self._clock = node.store, node.clock

    async def job(self, job_id: str, client: str) -> Job:
        """The client's job as last committed. Raises NotFound."""
        job = await self._store.load(JobId(job_id))
        if job is None or job.client != client:
            raise NotFound("Job not found")
        return job

    async def ended(self, job_id: str, client: str, until: Instant) -> Job:
        """The client's job, once it is over or as it stands at *until*. Raises NotFound."""
        job = await self.job(job_id, client)
        while not job.over and self._clock.now() < until:
            await self._store.wait((f"job:{job.id}",), until=until)
            job = await self.job(job_id, client)
        return job

    async def page(self, query: JobQuery) -> Page:
        """One page of jobs. Raises InvalidInput for a cursor that is none."""
        return await self._store.find(query)

    async def facts(self, job_id: str, client: str) -> Sequence[Fact]:
        """What happened to the client's job, in order. Raises NotFound."""
        job = await self.job(job_id, client)
        return await self._store.facts(job.id)

    async def tally(self, client: str) -> Mapping[Status, int]:
        """How many of the client's jobs stand where."""
        return await self._store.tally(client)
