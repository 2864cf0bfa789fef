"""Messages in memory: in which order they come, and who holds them."""

import heapq
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from avtomatika.kernel.time import Instant, Span, after
from avtomatika.ports.store import Lease, LeaseLost, Message, MessageId, Token

STALE_ALLOWED: Final = 1_024


class Entry:
    """A message with its place. `ticket` is the one place in a heap that still counts."""

    __slots__ = ("delivery", "lease", "message", "ticket")

    def __init__(self, message: Message, delivery: int = 0, lease: Lease | None = None) -> None:
        self.message = message
        self.delivery = delivery
        self.lease = lease
        self.ticket = 0


class _Queue:
    __slots__ = ("entries", "later", "ready")

    def __init__(self) -> None:
        self.ready: list[tuple[float, int, int, Entry]] = []
        self.later: list[tuple[int, int, Entry]] = []
        self.entries: dict[MessageId, Entry] = {}


class MessageTable:
    """All messages, by id and by queue. Entries that were moved stay in the heaps until they surface."""

    def __init__(self, tokens: Callable[[], str]) -> None:
        self._tokens = tokens
        self._entries: dict[MessageId, Entry] = {}
        self._queues: dict[str, _Queue] = {}
        self._sequence = 0

    def put(self, message: Message, lease: Lease | None = None, delivery: int = 0) -> None:
        """The message is there, in place of any other of its id; under *lease* if one is given."""
        self.remove(message.id)
        entry = Entry(message, delivery if lease is None else lease.delivery, lease)
        self._entries[message.id] = entry
        queue = self._queues.setdefault(message.queue, _Queue())
        queue.entries[message.id] = entry
        self._place(queue, entry, message.visible_at if lease is None else lease.until)

    def remove(self, message: MessageId) -> None:
        """The message is not there."""
        entry = self._entries.pop(message, None)
        if entry is not None:
            entry.ticket = 0
            queue = self._queues[entry.message.queue]
            del queue.entries[message]
            if not queue.entries:
                del self._queues[entry.message.queue]

    def lease(self, queue: str, owner: str, now: Instant, ttl: Span, limit: int) -> Iterator[Lease]:
        """Up to *limit* available messages of the queue, leased to *owner*."""
        line = self._queues.get(queue)
        if line is None:
            return
        self._surface(line, now)
        while limit and line.ready:
            *_, ticket, entry = heapq.heappop(line.ready)
            if entry.ticket != ticket:
                continue
            limit -= 1
            entry.delivery += 1
            until = after(now, ttl)
            entry.lease = Lease(entry.message, owner, Token(self._tokens()), until, entry.delivery)
            self._place(line, entry, until)
            yield entry.lease

    def extend(self, lease: Lease, now: Instant, ttl: Span) -> Lease:
        """The lease until `now + ttl`. Raises LeaseLost."""
        self.check(lease, now)
        entry = self._entries[lease.message.id]
        longer = msgspec.structs.replace(lease, until=after(now, ttl))
        entry.lease = longer
        self._place(self._queues[lease.message.queue], entry, longer.until)
        return longer

    def check(self, lease: Lease, now: Instant) -> None:
        """The lease stands. Raises LeaseLost."""
        current = self.held(lease.message.id, now)
        if current is None or current.token != lease.token:
            raise LeaseLost(f"The lease of {lease.message.id} is no longer held.")

    def held(self, message: MessageId, now: Instant) -> Lease | None:
        """The lease that the message is under, or None."""
        entry = self._entries.get(message)
        if entry is None or entry.lease is None or entry.lease.until <= now:
            return None
        return entry.lease

    def next_due(self, queue: str) -> Instant | None:
        """When the next message of the queue is or becomes available."""
        line = self._queues.get(queue)
        if line is None:
            return None
        while line.ready and line.ready[0][3].ticket != line.ready[0][2]:
            heapq.heappop(line.ready)
        if line.ready:
            return Instant(line.ready[0][1])
        while line.later and line.later[0][2].ticket != line.later[0][1]:
            heapq.heappop(line.later)
        return Instant(line.later[0][0]) if line.later else None

    def queues(self, family: str) -> dict[str, Message]:
        """The queues of the family that hold messages, each with one of them."""
        prefix = f"{family}:"
        return {
            name: next(iter(line.entries.values())).message
            for name, line in self._queues.items()
            if line.entries and name.startswith(prefix)
        }

    def _place(self, queue: _Queue, entry: Entry, due: Instant) -> None:
        self._sequence += 1
        entry.ticket = self._sequence
        heapq.heappush(queue.later, (due, self._sequence, entry))
        if len(queue.later) > STALE_ALLOWED + 2 * len(queue.entries):
            queue.later = [item for item in queue.later if item[2].ticket == item[1]]
            heapq.heapify(queue.later)

    def _surface(self, queue: _Queue, now: Instant) -> None:
        while queue.later and queue.later[0][0] <= now:
            due, ticket, entry = heapq.heappop(queue.later)
            if entry.ticket == ticket:
                heapq.heappush(queue.ready, (-entry.message.priority, due, ticket, entry))
