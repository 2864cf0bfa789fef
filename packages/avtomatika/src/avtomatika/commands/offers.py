"""Tasks find workers: a worker that asks leases from the classes it may have, or waits parked.

Late binding (architecture 5.8.1): a task waits in the queue of its class until a worker asks, so that no
idle worker starves beside a loaded one. One duty serves the parked workers in the order they came.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from avtomatika import observe
from avtomatika.commands.apply import Writer
from avtomatika.commands.outbox import timer_message
from avtomatika.commands.presence import Presence
from avtomatika.errors import NotFound, Unavailable
from avtomatika.kernel.effects import OfferTask
from avtomatika.kernel.events import Event, TaskAbandoned, TaskAccepted
from avtomatika.kernel.progress import Moved
from avtomatika.kernel.rules.task import execution_timer
from avtomatika.kernel.time import SECOND, Instant, Span, after
from avtomatika.matching.compliance import WorkerProfile, reasons
from avtomatika.matching.placement import FAMILY
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Commit, Lease, LeaseLost, Message, MessageId, Token

LOOK_AGAIN: Final = SECOND
MEMO_SIZE: Final = 10_000

SPILL_AFTER: Final = Span(5 * SECOND)
"""How long a task that is tried again is kept for workers that did not fail at it, if there are any."""


class Wanted(msgspec.Struct, frozen=True):
    """What a worker asks for: up to `limit` tasks of these skills, None for all it has."""

    worker: WorkerProfile
    skills: frozenset[str] | None
    limit: int

    @property
    def owner(self) -> str:
        """The name under which the worker holds leases."""
        return owner_of(self.worker.id)


def owner_of(worker_id: str) -> str:
    """The name under which a worker holds leases."""
    return f"worker:{worker_id}"


class _Parked:
    __slots__ = ("answer", "wanted")

    def __init__(self, wanted: Wanted, answer: asyncio.Future[Sequence[Lease]]) -> None:
        self.wanted, self.answer = wanted, answer


class Offers:
    """The meeting place of tasks and workers on this node."""

    def __init__(
        self, node: NodeContext, writer: Writer, lease_ttl: Span, presence: Presence | None = None
    ) -> None:
        """With *presence* a task that is tried again goes to another worker than the one that failed."""
        self._store, self._clock, self._writer = node.store, node.clock, writer
        self._presence = presence
        self._owner = node.owner
        self.lease_ttl = lease_ttl
        self._parked: dict[int, _Parked] = {}
        self._places = 0
        self._fits: dict[tuple[str, int], dict[str, bool]] = {}
        self._somebody = asyncio.Event()
        self._closed = False

    async def take(self, wanted: Wanted, until: Instant) -> Sequence[Lease]:
        """Tasks that the worker now holds; none when none came until then, or the node is draining."""
        while True:
            leases = await self._lease(wanted, await self._store.queues(FAMILY))
            if not leases and not self._closed and self._clock.now() < until:
                leases = await self._park(wanted, until)
                if not leases:
                    return ()
            try:
                begun = [held for lease in leases if (held := await self._begin(lease, wanted)) is not None]
            except asyncio.CancelledError:
                await self.release(leases)
                raise
            if begun or not leases:
                return begun

    async def release(self, leases: Iterable[Lease]) -> None:
        """The messages are available again, as if these leases had never been granted."""
        for lease in leases:
            commit = Commit(now=self._clock.now(), ack=(lease,), take=(_unspent(lease),), drop=_limits(lease))
            try:
                await self._store.commit(commit)
            except LeaseLost:
                continue
        await self.serve()

    async def serve_for_ever(self) -> None:
        """Parked workers get tasks as they come, until this is cancelled."""
        while True:
            try:
                due = await self.serve()
                if self._parked:
                    await self._store.wait((FAMILY,), until=due)
                else:
                    self._somebody.clear()
                    await self._somebody.wait()
            except Unavailable as error:
                observe.warning("offers.paused", why=error.message)
                await self._clock.sleep_until(after(self._clock.now(), LOOK_AGAIN))

    async def serve(self) -> Instant:
        """Every parked worker for which there is a task has it; the time to look again at the latest."""
        now = self._clock.now()
        look_again = after(now, LOOK_AGAIN)
        queues = await self._store.queues(FAMILY)
        for name, sample in queues.items():
            due = await self._store.next_due(name)
            if due is None:
                continue
            if due > now:
                look_again = min(look_again, due)
            else:
                await self._hand_out(name, sample)
        return look_again

    def close(self) -> None:
        """Nobody is parked any more; whoever asks from now on is answered at once."""
        self._closed = True
        for parked in list(self._parked.values()):
            if not parked.answer.done():
                parked.answer.set_result(())

    async def _hand_out(self, queue: str, sample: Message) -> None:
        for place, parked in list(self._parked.items()):
            if parked.answer.done() or not self._may_have(parked.wanted, queue, sample):
                continue
            if await self._is_for_another(parked.wanted, sample) or parked.answer.done():
                continue
            wanted = parked.wanted
            now = self._clock.now()
            leases = await self._store.lease(
                (queue,), owner=self._owner, now=now, ttl=self.lease_ttl, limit=wanted.limit
            )
            if not leases:
                return
            if parked.answer.done():
                await self.release(leases)
            else:
                parked.answer.set_result(leases)
                self._parked.pop(place, None)

    async def _lease(self, wanted: Wanted, queues: Mapping[str, Message]) -> Sequence[Lease]:
        names = [
            name
            for name, sample in queues.items()
            if self._may_have(wanted, name, sample) and not await self._is_for_another(wanted, sample)
        ]
        if not names:
            return ()
        self._places += 1
        turn = self._places % len(names)  # no class waits behind another for ever
        return await self._store.lease(
            (*names[turn:], *names[:turn]),
            owner=self._owner,
            now=self._clock.now(),
            ttl=self.lease_ttl,
            limit=wanted.limit,
        )

    async def _park(self, wanted: Wanted, until: Instant) -> Sequence[Lease]:
        loop = asyncio.get_running_loop()
        parked = _Parked(wanted, loop.create_future())
        self._places += 1
        place = self._places
        self._parked[place] = parked
        self._somebody.set()
        alarm = loop.call_later((until - self._clock.now()) / 1_000, _give_up, parked.answer)
        try:
            return await parked.answer
        except asyncio.CancelledError:
            if parked.answer.done() and not parked.answer.cancelled():
                await self.release(parked.answer.result())
            raise
        finally:
            alarm.cancel()
            self._parked.pop(place, None)

    async def _begin(self, lease: Lease, wanted: Wanted) -> Lease | None:
        """The worker's lease of the task, whose clock runs. None when the task is no longer to be done.

        Until then the node holds it, so that no worker is left with a task that has no limit.
        """
        body = lease.message.body
        if not isinstance(body, OfferTask):
            return None
        task = body.task
        if lease.delivery > 1:
            given_up = TaskAbandoned(task.id, task.attempt, lease.delivery)
            if await self._applied(lease, given_up):
                return None
        if task.dispatch_due is not None:
            await self._applied(lease, TaskAccepted(task.id, task.attempt, wanted.worker.id))
        now = self._clock.now()
        held = msgspec.structs.replace(lease, owner=wanted.owner)
        timer = timer_message(execution_timer(body.job, task, now))
        try:
            await self._store.commit(
                Commit(now=now, ack=(lease,), take=(held,), send=(timer,), durable=False)
            )
        except LeaseLost:
            return None
        return held

    async def _applied(self, lease: Lease, event: Event) -> bool:
        try:
            return isinstance(await self._writer.apply(lease.message.job, event), Moved)
        except NotFound:
            return False

    async def _is_for_another(self, wanted: Wanted, sample: Message) -> bool:
        """True while another worker should have the tasks of this class, because this one failed at them."""
        body, worker = sample.body, wanted.worker.id
        if not isinstance(body, OfferTask) or body.task.avoid != worker or self._presence is None:
            return False
        if self._clock.now() >= after(sample.visible_at, SPILL_AFTER):
            return False
        others = (other.profile for other in await self._presence.everyone() if other.profile.id != worker)
        return any(not reasons(body.task.order, other) for other in others)

    def _may_have(self, wanted: Wanted, queue: str, sample: Message) -> bool:
        body = sample.body
        if not isinstance(body, OfferTask):
            return False
        order = body.task.order
        if wanted.skills is not None and order.skill not in wanted.skills:
            return False
        worker = wanted.worker
        if len(self._fits) > MEMO_SIZE:
            self._fits.clear()
        known = self._fits.setdefault((worker.id, worker.revision), {})
        if queue not in known:
            known[queue] = not reasons(order, worker)
        return known[queue]


def _unspent(lease: Lease) -> Lease:
    """A lease that has run out as soon as the message was available, with its delivery not counted."""
    message = lease.message
    return msgspec.structs.replace(
        lease, token=Token(""), until=message.visible_at, delivery=lease.delivery - 1
    )


def _limits(lease: Lease) -> tuple[MessageId, ...]:
    """The timer that began with the lease."""
    body = lease.message.body
    if not isinstance(body, OfferTask):
        return ()
    return (timer_message(execution_timer(body.job, body.task, lease.until)).id,)


def _give_up(answer: asyncio.Future[Sequence[Lease]]) -> None:
    if not answer.done():
        answer.set_result(())
