"""A limit ran out: the job hears of it."""

from avtomatika.commands.apply import Writer
from avtomatika.errors import NotFound
from avtomatika.kernel.effects import StartAlarm, StartTimer
from avtomatika.kernel.events import AlarmRang, DeadlinePassed, Event
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Body, Commit, Lease


class Timers:
    """Turns timers that are due into events."""

    def __init__(self, node: NodeContext, writer: Writer) -> None:
        self._store, self._clock, self._writer = node.store, node.clock, writer

    async def fire(self, lease: Lease) -> None:
        """The job knows, and the timer is gone. Raises LeaseLost."""
        event = _event(lease.message.body)
        try:
            if event is not None:
                await self._writer.apply(lease.message.job, event, ack=lease)
                return
        except NotFound:
            pass
        await self._store.commit(Commit(now=self._clock.now(), ack=(lease,)))


def _event(body: Body) -> Event | None:
    match body:
        case StartTimer(task=task, attempt=attempt, deadline=deadline):
            return DeadlinePassed(task, attempt, deadline)
        case StartAlarm(since=since):
            return AlarmRang(since)
        case _:
            return None
