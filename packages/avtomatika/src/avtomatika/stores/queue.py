"""Messages in memory: in which order they come, and who holds them."""

import heapq
import itertools
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator

import msgspec

from avtomatika.kernel.time import Instant, Span, after
from avtomatika.ports.store import Lease, LeaseLost, Message, MessageId, Token


class Entry:
    """A message with its place: `order` by sending, and `ticket`, the one place in a heap that counts."""

    __slots__ = ("delivery", "lease", "message", "order", "ticket")

    def __init__(self, message: Message, order: int, delivery: int = 0, lease: Lease | None = None) -> None:
        self.message = message
        self.order = order
        self.delivery = delivery
        self.lease = lease
        self.ticket = 0


class _Queue:
    """`ready` by priority, moment and order; `aged`, the same, and `later` by moment alone.

    Places that do not count may be in all of them. `ids` are those of all messages in order, once somebody
    has looked into the queue.
    """

    __slots__ = ("aged", "ids", "later", "ready", "size")

    def __init__(self) -> None:
        self.aged: list[tuple[int, int, Entry]] = []
        self.ready: list[tuple[float, int, int, int, Entry]] = []
        self.later: list[tuple[int, int, Entry]] = []
        self.size = 0
        self.ids: list[MessageId] | None = None


class MessageTable:
    """All messages, by id and by queue. Entries that were moved stay in the heaps until they surface."""

    def __init__(self, tokens: Callable[[], str]) -> None:
        self._tokens = tokens
        self._entries: dict[MessageId, Entry] = {}
        self._queues: dict[str, _Queue] = {}
        self._sent = 0
        self._tickets = 0

    def put(self, message: Message, lease: Lease | None = None, delivery: int = 0) -> str | None:
        """The message is there, in place of any other of its id; under *lease* if one is given.

        Who had been given the other one is returned, or None.
        """
        before = self.remove(message.id)
        self._sent += 1
        entry = Entry(message, self._sent, delivery if lease is None else lease.delivery, lease)
        self._entries[message.id] = entry
        queue = self._queues.setdefault(message.queue, _Queue())
        queue.size += 1
        if queue.ids is not None:
            insort(queue.ids, message.id)
        self._place(queue, entry, message.visible_at if lease is None else lease.until)
        return before

    def remove(self, message: MessageId) -> str | None:
        """The message is not there. Who had been given it last is returned, or None."""
        entry = self._entries.pop(message, None)
        if entry is None:
            return None
        entry.ticket = 0
        queue = self._queues[entry.message.queue]
        queue.size -= 1
        if queue.ids is not None:
            del queue.ids[bisect_left(queue.ids, message)]
        if not queue.size:
            del self._queues[entry.message.queue]
        return None if entry.lease is None else entry.lease.owner

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
        self._place(self._queues[entry.message.queue], entry, longer.until)
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

    def find(self, message: MessageId) -> Entry | None:
        """The message with its place, or None when it is not there."""
        return self._entries.get(message)

    def next_due(self, queue: str) -> Instant | None:
        """When the message of the queue that has waited longest, or the next one, is available."""
        line = self._queues.get(queue)
        if line is None:
            return None
        fronts = (front for heap in (line.aged, line.later) if (front := _front(heap)) is not None)
        return Instant(min(fronts))

    def peek(self, queue: str, above: MessageId | None, limit: int) -> list[Message]:
        """Up to *limit* messages of the queue by id, from above the given one."""
        line = self._queues.get(queue)
        if line is None:
            return []
        if line.ids is None:
            line.ids = sorted(entry.message.id for entry in _entries(line))
        first = 0 if above is None else bisect_right(line.ids, above)
        return [self._entries[name].message for name in line.ids[first : first + max(0, limit)]]

    def queues(self, family: str) -> dict[str, Message]:
        """The queues of the family that hold messages, each with one of them."""
        prefix = f"{family}:"
        return {name: self._front(line)[1] for name, line in self._queues.items() if name.startswith(prefix)}

    def backlog(self, family: str, now: Instant, most: int) -> int:
        """How many messages of the queues of the family nobody holds, *most* if there are more."""
        prefix, count = f"{family}:", 0
        for name, line in self._queues.items():
            if name.startswith(prefix):
                count += sum(entry.lease is None or entry.lease.until <= now for entry in _entries(line))
                if count >= most:
                    return most
        return count

    def _front(self, queue: _Queue) -> tuple[Instant, Message]:
        """A message of the queue that nobody precedes but by priority, and its moment."""
        while queue.ready and queue.ready[0][4].ticket != queue.ready[0][3]:
            heapq.heappop(queue.ready)
        if queue.ready:
            return Instant(queue.ready[0][1]), queue.ready[0][4].message
        while queue.later[0][2].ticket != queue.later[0][1]:
            heapq.heappop(queue.later)
        return Instant(queue.later[0][0]), queue.later[0][2].message

    def _place(self, queue: _Queue, entry: Entry, due: Instant) -> None:
        self._tickets += 1
        entry.ticket = self._tickets
        heapq.heappush(queue.later, (due, entry.ticket, entry))
        most = 2 * queue.size + 64
        if len(queue.later) + len(queue.ready) > most or len(queue.aged) > most:
            _tidy(queue)  # or timers of a far future that were stopped would pile up

    def _surface(self, queue: _Queue, now: Instant) -> None:
        while queue.later and queue.later[0][0] <= now:
            due, ticket, entry = heapq.heappop(queue.later)
            if entry.ticket == ticket:
                place = (-entry.message.priority, due, entry.order, ticket, entry)
                heapq.heappush(queue.ready, place)
                heapq.heappush(queue.aged, (due, ticket, entry))


def _front(heap: list[tuple[int, int, Entry]]) -> int | None:
    """The earliest moment of a place that counts."""
    while heap and heap[0][2].ticket != heap[0][1]:
        heapq.heappop(heap)
    return heap[0][0] if heap else None


def _entries(queue: _Queue) -> Iterator[Entry]:
    """All of the queue, in no order."""
    places = itertools.chain(((p[4], p[3]) for p in queue.ready), ((p[2], p[1]) for p in queue.later))
    return (entry for entry, ticket in places if entry.ticket == ticket)


def _tidy(queue: _Queue) -> None:
    queue.ready = [place for place in queue.ready if place[4].ticket == place[3]]
    queue.later = [place for place in queue.later if place[2].ticket == place[1]]
    queue.aged = [place for place in queue.aged if place[2].ticket == place[1]]
    heapq.heapify(queue.ready)
    heapq.heapify(queue.later)
    heapq.heapify(queue.aged)
