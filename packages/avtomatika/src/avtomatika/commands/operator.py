"""What an operator can do to a job that did not go as it should: go on, go back, go another way."""

from typing import Final

import msgspec

from avtomatika.commands.apply import Writer
from avtomatika.commands.outbox import message_of
from avtomatika.commands.queries import EVERYBODY, Queries, Viewer
from avtomatika.commands.webhooks import Webhooks, anew
from avtomatika.errors import AlreadyOver, Conflict, InvalidInput
from avtomatika.kernel.effects import SendWebhook
from avtomatika.kernel.events import Event, Requeued, Rewound
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.machine import Life
from avtomatika.kernel.model import AwaitingHuman, Job, Ready
from avtomatika.kernel.notices import announcements
from avtomatika.kernel.progress import Ignored
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Commit, Message

REFUSALS: Final = {
    "not_over": "The job is not over: nothing is there to be requeued.",
    "aggregation_over": "The job ended while it aggregated, and its branches are gone: "
    "rewind it to the state that fanned out.",
}


class Place(msgspec.Struct, frozen=True):
    """A moment in the life of a job: its version then, or the last time that it entered a state."""

    version: int | None = None
    state: str | None = None


class Operator:
    """Verbs on jobs. Each is one event, in the history like all others, with the name of who asked."""

    def __init__(self, node: NodeContext, writer: Writer, queries: Queries, webhooks: Webhooks) -> None:
        self._store, self._clock, self._names = node.store, node.clock, node.names
        self._writer, self._queries, self._webhooks = writer, queries, webhooks

    async def requeue(self, job_id: str, viewer: Viewer, by: str) -> None:
        """The handler of the state where the job failed or went into quarantine is due once more.

        Raises AlreadyOver for a job that is finished or cancelled, Conflict, NotFound.
        """
        job = await self._queries.job(job_id, viewer)
        await self._apply(job, Requeued(by))

    async def rewind(self, job_id: str, viewer: Viewer, place: Place, by: str) -> Job:
        """The job goes on from an earlier place with its data of then, which is returned.

        What it has out is withdrawn. Raises as `requeue`, and InvalidInput for a place where no handler
        was due.
        """
        job = await self._queries.job(job_id, viewer)
        then = await self._then(job.id, place)
        event = Rewound(then.version, then.state, then.input, then.history, then.last, by)
        await self._apply(job, event)
        return then

    async def fork(self, job_id: str, viewer: Viewer, place: Place) -> JobId:
        """A new job goes on from that place with the data of then; its id. The old one stays as it is.

        Raises NotFound, InvalidInput for a place where no handler was due, and IntegrityError when a value
        of then is lost.
        """
        job = await self._queries.job(job_id, viewer)
        then = await self._queries.whole(await self._then(job.id, place))
        now = self._clock.now()
        forked = msgspec.structs.replace(
            then,
            id=self._names.job(now),
            phase=Ready(),
            version=0,
            steps=0,
            created=now,
            updated=now,
            parent=None,
            due=None,
            failure=None,
            signals=(),
            source=f"fork:{job.id}@{then.version}",
        )
        await self._writer.submit(forked)
        return forked.id

    async def resend_webhook(self, job_id: str, viewer: Viewer) -> None:
        """The webhook of the job's end goes out once more, under the id that it had.

        For a job that asks a question, so does that of the question, if nobody took it. Raises NotFound,
        Conflict when there is neither.
        """
        job = await self._queries.job(job_id, viewer)
        now = self._clock.now()
        told = [effect for effect in announcements(job) if isinstance(effect, SendWebhook)]
        # Only the message is new: what it says, the moment of the event included, stays as it was.
        again = [msgspec.structs.replace(message_of(effect), visible_at=now) for effect in told]
        if isinstance(job.phase, AwaitingHuman):
            dead = await self._webhooks.dead(job.id)
            again = [anew(message, now) for message in dead if _asks(message, job.phase)]
        if not again:
            raise Conflict("The job has no webhook, or nothing of it to send again.")
        await self._store.commit(Commit(now=now, send=tuple(again)))

    async def _then(self, job: JobId, place: Place) -> Job:
        """The job at the place, where a handler that aggregates nothing was due. Raises InvalidInput."""
        life, then = Life(), None
        async for fact in self._queries.facts(job, EVERYBODY):
            at = life.add(fact.event, fact.at)
            due = isinstance(at.phase, Ready) and at.phase.gathered is None
            if due and place.version in (None, at.version) and place.state in (None, at.state):
                then = at
        if then is None:
            where = f"version {place.version}" if place.state is None else f"state '{place.state}'"
            message = f"At {where} no handler of the job was due."
            raise InvalidInput(message, field="version" if place.state is None else "state")
        return then

    async def _apply(self, job: Job, event: Event) -> None:
        outcome = await self._writer.apply(job.id, event)
        if isinstance(outcome, Ignored):
            if outcome.reason in REFUSALS:
                raise Conflict(REFUSALS[outcome.reason])
            raise AlreadyOver(f"The job is {job.status} for ever; it can be forked.")


def _asks(message: Message, phase: AwaitingHuman) -> bool:
    """True when the news are of the question that is open."""
    return isinstance(message.body, SendWebhook) and message.body.question == phase.since
