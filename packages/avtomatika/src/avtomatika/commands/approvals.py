"""A person decides: over the API as the client of the job, or by the link that only those asked have."""

from hashlib import sha256
from hmac import compare_digest
from hmac import new as hmac
from typing import Final

import msgspec
from msgspec import Raw

from avtomatika.blueprints.schema import violation
from avtomatika.commands.apply import Writer
from avtomatika.commands.queries import EVERYBODY, Queries, Viewer
from avtomatika.errors import AlreadyOver, Conflict, InvalidInput, NotFound
from avtomatika.kernel.events import HumanDecided
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import NULL, AwaitingHuman, Job
from avtomatika.kernel.notices import approval_id, decisions
from avtomatika.kernel.progress import Ignored

BY_LINK: Final = "approval link"


class Answer(msgspec.Struct, frozen=True):
    """What was decided: one of the listed decisions, and an object that goes with it."""

    decision: str
    data: Raw = NULL
    approval_id: str | None = None


class Approvals:
    """Questions that jobs ask people. *key* makes the secret of each: none of them is ever stored."""

    def __init__(self, writer: Writer, queries: Queries, key: str) -> None:
        self._writer, self._queries, self._key = writer, queries, key.encode()

    def secret(self, job: JobId, since: int) -> str:
        """Whoever has this may answer the question that the job asks since this version of it."""
        made = hmac(self._key, f"approval:{job}:{since}".encode(), sha256).hexdigest()
        return f"{since}.{made}"

    async def decide(self, job_id: str, viewer: Viewer, answer: Answer, by: str) -> None:
        """The job has moved on by the decision.

        Raises NotFound, InvalidInput for a decision that is not listed or data that break the schema of
        the question, Conflict when the job does not ask, or asks something else, or was answered already.
        """
        job = await self._queries.job(job_id, viewer)
        phase = _question(job)
        await self._answer(job, phase, answer, by)

    async def decide_by_link(self, job_id: str, secret: str, answer: Answer) -> None:
        """As `decide`, for whoever has the secret of the question that the job asks.

        Any other secret raises NotFound, also that of a question which was answered: it tells nothing.
        """
        job, since = await self._queries.job(job_id, EVERYBODY), secret.partition(".")[0]
        question = int(since) if since.isdecimal() and len(since) < 10 else 0
        known, phase = self.secret(job.id, question), job.phase
        right = compare_digest(known.encode(), secret.encode(errors="surrogateescape"))
        if not (right and isinstance(phase, AwaitingHuman) and phase.since == question):
            raise NotFound("Job not found")
        try:
            await self._answer(job, phase, answer, BY_LINK)
        except Conflict as late:
            raise NotFound("Job not found") from late

    async def _answer(self, job: Job, phase: AwaitingHuman, answer: Answer, by: str) -> None:
        if answer.approval_id not in (None, approval_id(job.id, phase.since)):
            raise Conflict("The job asks something else by now.")
        listed = decisions(phase)
        if answer.decision not in listed:
            message = f"Invalid decision '{answer.decision}' for this job: it is one of {', '.join(listed)}."
            raise InvalidInput(message, field="decision")
        if phase.schema != NULL:
            wrong = violation(bytes(phase.schema), bytes(answer.data))
            if wrong is not None:
                raise InvalidInput(f"The data break the schema of the question: {wrong}", field="data")
        event = HumanDecided(phase.since, answer.decision, answer.data, by)
        outcome = await self._writer.apply(job.id, event)
        if isinstance(outcome, Ignored):
            raise Conflict("The question was answered already.")


def _question(job: Job) -> AwaitingHuman:
    if isinstance(job.phase, AwaitingHuman):
        return job.phase
    if job.over:
        raise AlreadyOver(f"The job is already over: {job.status}.")
    raise Conflict("Job is not in a state that can be approved")
