"""The one writer of jobs: load, decide, commit; on conflict decide again.

Events for one job are taken in turn within a node: those that arrive while a commit is on its way are
folded into the next one, so that a hot fan-in costs few commits and no conflicts. A move that makes a
handler due runs it at once, for as long as the patience lasts, and folds its decision into the same
commit (architecture 5.8.4). A crash before the commit repeats the handler, which the guarantees allow.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from avtomatika import observe
from avtomatika.commands.decide import Decider, HandlerEvent
from avtomatika.commands.draft import Draft
from avtomatika.commands.outbox import run_id
from avtomatika.commands.requested import MISSED, Requested, is_suspect, refuse
from avtomatika.errors import NotFound, Unavailable
from avtomatika.kernel.events import (
    Decided,
    Event,
    HandlerCrashed,
    RunAbandoned,
    Submitted,
    TaskSignalled,
)
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Job, Ready
from avtomatika.kernel.progress import Outcome
from avtomatika.kernel.time import Span, after
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import (
    Claim,
    Commit,
    KeyTaken,
    Lease,
    LeaseLost,
    Message,
    Token,
    VersionConflict,
)

Witness = Callable[[Commit], None]
"""Sees every move of a job that this node has committed, right after it. Must not raise."""

TRIES: Final = 20
MAX_FOLDED_RUNS: Final = 16


class WriterPolicy(msgspec.Struct, frozen=True):
    """How patient the writer is with handlers, and for how long a node holds the run of one.

    With `export` the facts of every commit are sent to the history outside too.
    """

    patience: Span = Span(5)
    run_lease: Span = Span(30_000)
    export: bool = False


class Writer:
    """Every change of a job goes through here."""

    def __init__(
        self,
        node: NodeContext,
        decider: Decider,
        policy: WriterPolicy | None = None,
        witnesses: Sequence[Witness] = (),
        suspects: Callable[[Job], bool] = lambda _: False,
    ) -> None:
        """The handlers of a job that it *suspects* are counted before they run."""
        self._node, self._decider = node, decider
        self._store, self._clock, self._spawn = node.store, node.clock, node.spawn
        self._policy = policy or WriterPolicy()
        self._witnesses, self._suspects = witnesses, suspects
        self._queues: dict[JobId, list[Requested]] = {}

    async def submit(
        self,
        job: Job,
        claim: Claim | None = None,
        *,
        ack: tuple[Lease, ...] = (),
        send: tuple[Message, ...] = (),
    ) -> None:
        """The job, at version 0, is accepted and its first handler is on its way.

        In the same commit *ack* is acknowledged and *send* is sent. Raises KeyTaken when the claim's key
        belongs to an earlier job, VersionConflict when the job is there already, LeaseLost, Unavailable.
        """
        draft = Draft(job, self._clock.now(), exported=self._policy.export)
        draft.add([Submitted(job)])
        pending = None
        if claim is None and not ack:  # else there may be an earlier job, and this one never was
            pending = await self._run_on(draft, patient=False)
        lease = self._take_run(draft) if self._decider.takes(draft.job) else None
        commit = draft.commit(claim=claim, take=lease, ack=ack, send=send)
        # Shielded: a client that hangs up must not leave an accepted job whose first run nobody begins.
        refusal = await asyncio.shield(self._spawn(self._accept(commit, lease, pending), name="submit"))
        if refusal is not None:
            raise refusal

    async def _accept(
        self, commit: Commit, lease: Lease | None, pending: asyncio.Task[HandlerEvent] | None
    ) -> KeyTaken | VersionConflict | LeaseLost | None:
        try:
            await self._commit(commit)
        except BaseException as refusal:
            if pending is not None:
                pending.cancel()
            if isinstance(refusal, KeyTaken | VersionConflict | LeaseLost):
                return refusal
            raise
        if lease is not None:
            run = self.perform(lease) if pending is None else self._finish(lease, pending)
            self._spawn(run, name="run")
        return None

    async def apply(
        self,
        job: JobId,
        event: Event,
        *,
        ack: Lease | None = None,
        owned: bool = False,
        known: Job | None = None,
    ) -> Outcome:
        """The event has happened to the job and *ack* is acknowledged, in one commit.

        *owned* tells that the caller is work of this node, which nobody else cancels: it then needs no task
        of its own. *known* is the job as it was a moment ago; it is loaded only when it has moved since.
        Raises NotFound, LeaseLost when *ack* no longer stands (nothing has happened), and Unavailable.
        """
        return await self._ask(job, Requested(event, ack, known), owned=owned)

    async def tell(self, job: JobId, event: TaskSignalled, heard: int) -> Outcome:
        """As `apply` for work of this node, if nobody told of another event of the task meanwhile.

        *heard* is how many there were. The outcome is `MISSED` when another node has heard of more by now,
        and perhaps of this one.
        """
        return await self._ask(job, Requested(event, None, None, heard), owned=True)

    async def _ask(self, job: JobId, request: Requested, *, owned: bool) -> Outcome:
        waiting = self._queues.get(job)
        if waiting is not None:
            waiting.append(request)
        else:
            self._queues[job] = [request]
            if owned:
                await self._take_turn(job)
            if job in self._queues:  # others came meanwhile, who are not to hold up this one
                self._spawn(self._serve(job), name="apply")
        return await request.answer

    async def perform(self, lease: Lease) -> None:
        """The run that *lease* holds has come to its end: a decision, a crash, or nothing left to do.

        Raises LeaseLost when the node could not keep the lease, and Unavailable.
        """
        message = lease.message
        job = await self._store.load(message.job)
        if job is None or not isinstance(job.phase, Ready) or message.id != run_id(job.id, job.run):
            await self._store.commit(Commit(now=self._clock.now(), ack=(lease,)))
        elif lease.delivery > job.policy.max_deliveries:
            await self.apply(job.id, RunAbandoned(job.run, lease.delivery), ack=lease, owned=True)
        else:
            gathered = job.phase.gathered
            branches = () if gathered is None else await self._store.branches(job.id, gathered)
            running = self._spawn(self._decider.decide(job, branches), name="handler")
            await self._finish(lease, running)

    async def _serve(self, job: JobId) -> None:
        while job in self._queues:
            await self._take_turn(job)

    async def _take_turn(self, job: JobId) -> None:
        """Those who wait have their answers; the queue is gone unless others came meanwhile."""
        requests, self._queues[job] = self._queues[job], []
        try:
            await self._settle(job, requests)
        except Exception as error:  # noqa: BLE001 - each requester hears of it
            refuse(requests, error)
        except BaseException as error:
            left = (*requests, *self._queues.pop(job))
            refuse(left, Unavailable(f"The node stopped: {type(error).__name__}"))
            raise
        if not self._queues[job]:
            del self._queues[job]

    async def _settle(self, job_id: JobId, requests: Sequence[Requested]) -> None:
        job = requests[0].known
        for _ in range(TRIES):
            job = job or await self._store.load(job_id)
            if job is None:
                raise NotFound
            try:
                await self._advance(job, requests)
            except VersionConflict:
                job = None
                continue
            except LeaseLost as error:
                if len(requests) == 1:
                    raise
                observe.detail("lease.lost", job=job_id, folded=len(requests), why=error.message)
                for request in requests:
                    await self._settle_alone(job_id, request)
            return
        raise Unavailable("Too many others change this job at the same time.")

    async def _settle_alone(self, job: JobId, request: Requested) -> None:
        try:
            await self._settle(job, (request,))
        except Exception as error:  # noqa: BLE001 - the requester hears of it
            refuse((request,), error)

    async def _advance(self, job: Job, requests: Sequence[Requested]) -> None:
        draft = Draft(job, self._clock.now(), exported=self._policy.export)
        outcomes: list[Outcome] = []
        for request in requests:
            await draft.meet(request.event, self._store)
            missed = request.heard not in (None, draft.heard_of(request.event))
            outcomes += [MISSED] if missed else draft.add([request.event])
        pending = None if is_suspect(requests) else await self._run_on(draft)
        lease = None if pending is None else self._take_run(draft)
        acks = tuple(request.ack for request in requests if request.ack is not None)
        try:
            if draft.moved or acks:
                await self._commit(draft.commit(ack=acks, take=lease))
        except BaseException:
            if pending is not None:
                pending.cancel()
            raise
        if pending is not None and lease is not None:
            self._spawn(self._finish(lease, pending), name="run")
        for request, outcome in zip(requests, outcomes, strict=True):
            if not request.answer.done():
                request.answer.set_result(outcome)

    async def _commit(self, commit: Commit) -> None:
        await self._store.commit(commit)
        job = commit.job
        if job is not None:
            observe.detail("job.moved", job=job.id, version=job.version, state=job.state)
            for witness in self._witnesses:
                witness(commit)

    async def _run_on(self, draft: Draft, *, patient: bool = True) -> asyncio.Task[HandlerEvent] | None:
        """Due handlers have run and their decisions joined the draft; one that is slow is returned.

        Without patience only those have run that never wait.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._policy.patience / 1_000
        for _ in range(MAX_FOLDED_RUNS):
            if not self._may_run(draft) or loop.time() >= deadline:
                return None
            branches = await draft.gathered(self._store)
            event = self._decider.begin(draft.job, branches)
            if not isinstance(event, Decided | HandlerCrashed):
                if event is None and not patient:
                    return None
                running = self._spawn(event or self._decider.decide(draft.job, branches), name="handler")
                await asyncio.wait((running,), timeout=max(0.0, deadline - loop.time()))
                if not running.done():
                    return running
                event = running.result()
            draft.add([event])
        return None

    def _may_run(self, draft: Draft) -> bool:
        # A job that a dying process may have been running is claimed durably first, so that a handler
        # which kills its process is counted.
        due = draft.moved and draft.run_message() is not None
        if not due or self._store.recovered(draft.job.id) or self._suspects(draft.begun):
            return False
        return self._decider.takes(draft.job)

    def _take_run(self, draft: Draft) -> Lease | None:
        message = draft.run_message()
        if message is None:
            return None
        until = after(draft.now, self._policy.run_lease)
        return Lease(message, self._node.owner, Token(self._node.names.token()), until, 1)

    async def _finish(self, lease: Lease, running: asyncio.Task[HandlerEvent]) -> None:
        """The handler has come to its end and its decision is applied. The lease is kept meanwhile."""
        ttl = self._policy.run_lease
        try:
            while not (await asyncio.wait((running,), timeout=ttl / 3_000))[0]:
                lease = await self._store.extend(lease, now=self._clock.now(), ttl=ttl)
        except BaseException:
            running.cancel()
            raise
        await self.apply(lease.message.job, running.result(), ack=lease, owned=True)
