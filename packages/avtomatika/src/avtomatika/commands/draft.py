"""A job on its way from one committed version to the next: what happened, and what it leads to."""

from collections.abc import Iterable, Sequence

from avtomatika.commands.outbox import history_message, message_of, plan
from avtomatika.kernel.effects import Effect, RunHandler
from avtomatika.kernel.events import Event, TaskEvent
from avtomatika.kernel.ids import TaskId
from avtomatika.kernel.machine import fold
from avtomatika.kernel.model import Branch, Gathering, Job, Ready, Waiting
from avtomatika.kernel.progress import Moved, Outcome
from avtomatika.kernel.time import Instant
from avtomatika.ports.fact import Fact, Record, Standing
from avtomatika.ports.store import Claim, Commit, Lease, Message, Store


class Draft:
    """Events are added one after the other; `commit` is all that they lead to, as one write.

    `begun` is the job as it was before.

    The facts of an *exported* draft go to the history outside as well.
    """

    def __init__(self, job: Job, now: Instant, *, exported: bool = False) -> None:
        self.begun = self.job = job
        self.now = now
        self._exported = exported
        self._expected = job.version
        self._facts: list[Fact] = []
        self._after: list[Standing] = []
        self._effects: list[Effect] = []
        self._branches: dict[TaskId, Branch] = {}
        self._changed: dict[TaskId, Branch] = {}

    @property
    def moved(self) -> bool:
        """True when some event changed the job."""
        return bool(self._facts)

    async def meet(self, event: Event, store: Store) -> None:
        """The branch record that *event* speaks of, if any, is at hand."""
        if isinstance(event, TaskEvent) and isinstance(self.job.phase, Gathering):
            known = event.task in self._branches
            branch = None if known else await store.branch(self.job.id, event.task)
            if branch is not None:
                self._branches[event.task] = branch

    def add(self, events: Iterable[Event]) -> list[Outcome]:
        """The events have happened to the draft."""
        listed = list(events)
        self.job, outcomes, effects, changed = fold(self.job, listed, self.now, self._branches)
        self._effects += effects
        self._changed |= changed
        self._branches |= changed
        for event, outcome in zip(listed, outcomes, strict=True):
            if isinstance(outcome, Moved):
                self._facts.append(Fact(self.job.id, outcome.job.version, self.now, event))
                if self._exported:
                    self._after.append(Standing(outcome.job.state, outcome.job.status))
        return outcomes

    def heard_of(self, event: Event) -> int:
        """How many events there were so far of the task that *event* speaks of, 0 when it is over."""
        phase = self.job.phase
        if not isinstance(event, TaskEvent):
            return 0
        if isinstance(phase, Waiting):
            return phase.task.events if phase.task.id == event.task else 0
        branch = self._branches.get(event.task)
        return 0 if branch is None else branch.task.events

    async def gathered(self, store: Store) -> Sequence[Branch]:
        """The branches that the due handler aggregates, as the draft leaves them."""
        phase = self.job.phase
        if not isinstance(phase, Ready) or phase.gathered is None:
            return ()
        stored = await store.branches(self.job.id, phase.gathered)
        return [self._changed.get(branch.task.id, branch) for branch in stored]

    def run_message(self) -> Message | None:
        """The message for the run that is due now, or None when none is, or only later."""
        if isinstance(self.job.phase, Ready):
            for effect in reversed(self._effects):
                if isinstance(effect, RunHandler):
                    return message_of(effect) if effect.at <= self.now else None
        return None

    def commit(
        self,
        *,
        ack: tuple[Lease, ...] = (),
        take: Lease | None = None,
        claim: Claim | None = None,
        send: tuple[Message, ...] = (),
    ) -> Commit:
        """The write. *take* is the lease under which the sender keeps the run that is due.

        *send* goes out with it.
        """
        if not self.moved:
            return Commit(now=self.now, ack=ack)
        out = plan(self._effects)
        acknowledged = {lease.message.id for lease in ack}
        taken = None if take is None else take.message.id
        return Commit(
            now=self.now,
            job=self.job,
            expected=self._expected,
            facts=tuple(self._facts),
            branches=tuple(self._changed.values()),
            close=out.close,
            send=(*(message for message in out.send if message.id != taken), *send, *self._record()),
            take=() if take is None else (take,),
            drop=tuple(name for name in out.drop if name not in acknowledged),
            ack=ack,
            claim=claim,
        )

    def _record(self) -> tuple[Message, ...]:
        if not self._exported:
            return ()
        record = Record(tuple(self._facts), tuple(self._after), self.job.client, self.job.blueprint)
        return (history_message(record, self.now),)
