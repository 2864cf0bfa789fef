"""Somebody takes a hand in a running job."""

from msgspec import Raw

from avtomatika.commands.apply import Writer
from avtomatika.commands.queries import Queries, Viewer
from avtomatika.errors import AlreadyOver, Conflict
from avtomatika.kernel.events import CancelRequested, SignalReceived
from avtomatika.kernel.progress import Ignored


class Control:
    """What a client may do to its jobs."""

    def __init__(self, writer: Writer, queries: Queries) -> None:
        self._writer, self._queries = writer, queries

    async def cancel(self, job_id: str, viewer: Viewer) -> None:
        """The job is cancelled and nothing of it will be committed any more.

        Raises AlreadyOver, with the status in the message, when it was too late; NotFound.
        """
        job = await self._queries.job(job_id, viewer)
        outcome = await self._writer.apply(job.id, CancelRequested())
        if isinstance(outcome, Ignored):
            await self._refuse(job_id, viewer, outcome)

    async def signal(self, job_id: str, viewer: Viewer, name: str, payload: Raw) -> None:
        """The job has moved on by the signal, or keeps it until it waits for one of that name.

        Raises AlreadyOver, Conflict when the job keeps as many as it may, NotFound.
        """
        job = await self._queries.job(job_id, viewer)
        outcome = await self._writer.apply(job.id, SignalReceived(name, payload))
        if isinstance(outcome, Ignored):
            await self._refuse(job_id, viewer, outcome)

    async def _refuse(self, job_id: str, viewer: Viewer, ignored: Ignored) -> None:
        job = await self._queries.job(job_id, viewer)
        if job.over:
            raise AlreadyOver(f"The job is already over: {job.status}.")
        raise Conflict(f"The job cannot take this now: {ignored.reason}.")
