"""A lease of a task becomes that of a worker, or is given back as if it had never been granted."""

from collections.abc import Iterable, Sequence

import msgspec

from avtomatika.commands.apply import Writer
from avtomatika.commands.fleet import Member, Wanted
from avtomatika.commands.outbox import timer_message
from avtomatika.errors import NotFound
from avtomatika.kernel.effects import OfferTask
from avtomatika.kernel.events import Event, TaskAbandoned, TaskAccepted
from avtomatika.kernel.progress import Moved
from avtomatika.kernel.rules.task import execution_timer
from avtomatika.ports.message import unspent
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Commit, Lease, LeaseLost, MessageId


class Grants:
    """Hands the leases of the node on to workers."""

    def __init__(self, node: NodeContext, writer: Writer) -> None:
        self._store, self._clock, self._writer = node.store, node.clock, writer

    async def begin(self, leases: Sequence[Lease], wanted: Wanted, member: Member) -> Sequence[Lease]:
        """The worker's leases of those tasks that are still to be done. Their clocks run."""
        begun: list[Lease] = []
        for lease in leases:
            held = await self._begin(lease, wanted)
            if held is not None:
                member.took(held)
                begun.append(held)
        return begun

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

    async def give_back(self, leases: Iterable[Lease]) -> None:
        """The messages are available again, as if these leases had never been granted."""
        for lease in leases:
            commit = Commit(now=self._clock.now(), ack=(lease,), take=(unspent(lease),), drop=_limits(lease))
            try:
                await self._store.commit(commit)
            except LeaseLost:
                continue

    async def _applied(self, lease: Lease, event: Event) -> bool:
        try:
            return isinstance(await self._writer.apply(lease.message.job, event), Moved)
        except NotFound:
            return False


def _limits(lease: Lease) -> tuple[MessageId, ...]:
    """The timer that began with the lease."""
    body = lease.message.body
    if not isinstance(body, OfferTask):
        return ()
    return (timer_message(execution_timer(body.job, body.task, lease.until)).id,)
