"""A limit ran out: the job hears of it."""

from avtomatika.commands.apply import Writer
from avtomatika.errors import NotFound
from avtomatika.kernel.effects import StartTimer
from avtomatika.kernel.events import DeadlinePassed
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Commit, Lease


class Timers:
    """Turns timers that are due into events."""

    def __init__(self, node: NodeContext, writer: Writer) -> None:
        self._store, self._clock, self._writer = node.store, node.clock, writer

    async def fire(self, lease: Lease) -> None:
        """The job knows, and the timer is gone. Raises LeaseLost."""
        body = lease.message.body
        if isinstance(body, StartTimer):
            event = DeadlinePassed(body.task, body.attempt, body.deadline)
            try:
                await self._writer.apply(body.job, event, ack=lease)
            except NotFound:
                await self._store.commit(Commit(now=self._clock.now(), ack=(lease,)))
