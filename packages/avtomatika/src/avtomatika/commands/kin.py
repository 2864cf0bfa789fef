"""Parent and child talk by messages: a child is started, or no longer wanted, or has ended."""

from avtomatika.commands.apply import Writer
from avtomatika.errors import NotFound
from avtomatika.kernel.effects import CancelChild, StartChild, TellParent
from avtomatika.kernel.events import CancelRequested, ChildEnded, Event
from avtomatika.kernel.ids import JobId
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Body, Commit, Lease, VersionConflict


class Kin:
    """Delivers what jobs have to say to their parents and children."""

    def __init__(self, node: NodeContext, writer: Writer) -> None:
        self._store, self._clock, self._writer = node.store, node.clock, writer

    async def deliver(self, lease: Lease) -> None:
        """The other job knows, and the message is gone. Raises LeaseLost, Unavailable."""
        body = lease.message.body
        try:
            if isinstance(body, StartChild):
                await self._writer.submit(body.child, ack=(lease,))
                return
            told = _event(body)
            if told is not None:
                await self._writer.apply(*told, ack=lease)
                return
        except (NotFound, VersionConflict):
            pass  # the other is gone, was never accepted, or is there already
        await self._store.commit(Commit(now=self._clock.now(), ack=(lease,)))


def _event(body: Body) -> tuple[JobId, Event] | None:
    match body:
        case CancelChild(child=child, reason=reason):
            return child, CancelRequested(reason)
        case TellParent(parent=parent):
            event = ChildEnded(
                since=body.since,
                child=body.job,
                verdict=body.verdict,
                state=body.state,
                result=body.result,
                failure=body.failure,
            )
            return parent, event
        case _:
            return None
