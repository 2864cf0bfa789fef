"""Somebody takes a hand in a running job."""

from avtomatika.commands.apply import Writer
from avtomatika.commands.queries import Queries
from avtomatika.errors import AlreadyOver
from avtomatika.kernel.events import CancelRequested
from avtomatika.kernel.progress import Ignored


class Control:
    """What a client may do to its jobs."""

    def __init__(self, writer: Writer, queries: Queries) -> None:
        self._writer, self._queries = writer, queries

    async def cancel(self, job_id: str, client: str) -> None:
        """The job is cancelled and nothing of it will be committed any more.

        Raises AlreadyOver, with the status in the message, when it was too late; NotFound.
        """
        job = await self._queries.job(job_id, client)
        outcome = await self._writer.apply(job.id, CancelRequested())
        if isinstance(outcome, Ignored):
            over = await self._queries.job(job_id, client)
            raise AlreadyOver(f"The job is already over: {over.status}.")
