"""Messages whose rows on disk lag behind the image: leases, and the limits that begin with them.

Most tasks are over before a crash would make anybody miss their leases. So what is noted here is written
once it has lasted, and not at all when the message is gone by then.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from avtomatika.kernel.time import Instant
from avtomatika.ports.store import MessageId
from avtomatika.stores.queue import MessageTable
from avtomatika.stores.sql.journal import Batch, Row, held_row

LASTS_S: Final = 0.1


class Note(msgspec.Struct, frozen=True, eq=False):
    """Since when (in seconds of the loop) a row lags; `row` is that of a message which has none on disk."""

    since: float
    now: Instant
    row: Row | None


Staged = Sequence[tuple[MessageId, Note]]


class Lagging:
    """What of the messages in *image* is not on disk as it is there."""

    def __init__(self, image: MessageTable) -> None:
        self._image = image
        self._notes: dict[MessageId, Note] = {}
        self._without_row: set[MessageId] = set()

    def leased(self, message: MessageId, now: Instant, since: float) -> None:
        """Somebody has the message, or has it for longer."""
        known = self._notes.get(message)
        if known is None:
            self._notes[message] = Note(since, now, None)
        else:  # in its old place: a lease that is extended often is written all the same
            self._notes[message] = Note(known.since, now, known.row)

    def moved(self, message: MessageId, now: Instant, since: float) -> None:
        """A commit removed the message, or gave it away. What one commit did is written at one moment."""
        known = self._notes.pop(message, None)
        self._notes[message] = Note(since, now, None if known is None else known.row)

    def sent(self, message: MessageId, row: Row, now: Instant, since: float, *, first: bool) -> None:
        """A commit sent the message; *first* tells that the image had none of its name."""
        if self._notes.pop(message, None) is None and first:
            self._without_row.add(message)
        self._notes[message] = Note(since, now, row)

    def settled(self, messages: Iterable[MessageId]) -> None:
        """What is on disk of these messages is what the image has."""
        for message in messages:
            if self._notes.pop(message, None) is not None:
                self._without_row.discard(message)

    def has_row(self, message: MessageId) -> bool:
        """False when there is certainly nothing of the message on disk."""
        return message not in self._without_row

    def next_due(self) -> float | None:
        """When the first row has lagged for long enough, in seconds of the loop."""
        first = next(iter(self._notes.values()), None)
        return None if first is None else first.since + LASTS_S

    def stage(self, batch: Batch, until: float) -> Staged:
        """All that lagged before *until* belongs to the batch."""
        staged: list[tuple[MessageId, Note]] = []
        for message, note in self._notes.items():
            if note.since > until:
                break
            staged.append((message, note))
            self._without_row.discard(message)
            entry = self._image.find(message)
            if entry is None:
                batch.remove(message)
            elif note.row is None:
                batch.hold(message, held_row(entry.lease, entry.delivery, note.now))
            else:
                batch.put(message, note.row, held_row(entry.lease, entry.delivery, note.now))
        return staged

    def written(self, staged: Staged) -> None:
        """That is on disk."""
        for message, note in staged:
            if self._notes.get(message) is note:
                del self._notes[message]
