"""Facts on their way to the history outside. Messages are acknowledged after the rows are safe there.

So a fact may be written more than once, of which the table keeps one, and none is left out. While the
history cannot be written the messages wait, in the store and with their order, and jobs go on.
"""

from collections.abc import Sequence
from typing import Final

from avtomatika.commands.outbox import HISTORY
from avtomatika.commands.recorded import rows
from avtomatika.kernel.time import Span, after
from avtomatika.ports.fact import Record
from avtomatika.ports.history import History, Row
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Commit, Lease, LeaseLost

LEASE: Final = Span(60_000)
MOST_MESSAGES: Final = 512
MOST_BYTES: Final = 4 * 1024 * 1024


class Export:
    """Takes messages from the queue of the history, many at a time; one step after the other."""

    def __init__(self, node: NodeContext, history: History) -> None:
        self._store, self._clock, self._owner = node.store, node.clock, node.owner
        self._history = history
        self._held: list[Lease] = []

    async def open(self) -> None:
        """The history can be written. Raises Unavailable."""
        await self._history.open()

    async def step(self) -> int:
        """How many messages were written and acknowledged; 0 when none waits.

        Raises Unavailable: none was, and what is held is tried again by the next step.
        """
        if not self._held:
            self._held = list(
                await self._store.lease(
                    (HISTORY,), owner=self._owner, now=self._clock.now(), ttl=LEASE, limit=MOST_MESSAGES
                )
            )
        else:
            self._held = await self._kept()
        if not self._held:
            return 0
        count, facts = _portion(self._held)
        await self._history.write(facts)
        await self._acknowledge(self._held[:count])
        del self._held[:count]
        return count

    async def close(self) -> None:
        """The history is released."""
        await self._history.close()

    async def _kept(self) -> list[Lease]:
        """What is held, under leases that last for the next attempt. Those that ran out are let go."""
        now = self._clock.now()
        soon = after(now, Span(LEASE // 2))
        kept: list[Lease] = []
        for lease in self._held:
            try:
                kept.append(
                    lease if lease.until > soon else await self._store.extend(lease, now=now, ttl=LEASE)
                )
            except LeaseLost:
                continue
        return kept

    async def _acknowledge(self, leases: Sequence[Lease]) -> None:
        # A crash that undoes this repeats rows that the table has: no reason to wait for the disk.
        try:
            await self._store.commit(Commit(now=self._clock.now(), ack=tuple(leases), durable=False))
        except LeaseLost:
            if len(leases) > 1:
                for lease in leases:
                    await self._acknowledge((lease,))


def _portion(leases: Sequence[Lease]) -> tuple[int, list[Row]]:
    """How many of the first messages make one write of a decent size, and their rows."""
    found: list[Row] = []
    size = 0
    for count, lease in enumerate(leases, 1):
        body = lease.message.body
        fresh = list(rows(body)) if isinstance(body, Record) else []
        found += fresh
        size += sum(len(row.data) for row in fresh)
        if size >= MOST_BYTES:
            return count, found
    return len(leases), found
