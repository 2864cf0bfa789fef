"""How much work to ask each of several orchestrators for; no I/O, no clock.

``now`` is in monotonic seconds throughout. What is counted are tasks that there is room for: they are
shared out anew whenever something changes, and nobody is promised any.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

import msgspec

__all__ = ["Ask", "Chooser", "Mode", "Rank"]

LOOK: Final = 0.25  # seconds after which an orchestrator that brought nothing counts as idle
PROBE: Final = 5.0  # seconds for which one is asked that others may come before again
FIRST_CHANCE: Final = 1.0  # seconds in which an orchestrator that comes first may register first


class Mode(StrEnum):
    """FAILOVER: the first that is well has all the room. WATERFALL: the first that has work. ROUND_ROBIN:
    all that have work, by their weights.
    """

    FAILOVER = "FAILOVER"
    WATERFALL = "WATERFALL"
    ROUND_ROBIN = "ROUND_ROBIN"


class Ask(msgspec.Struct, frozen=True):
    """Ask for up to ``limit`` tasks, for up to ``timeout`` seconds if that is given."""

    limit: int
    timeout: float | None = None


class Rank(msgspec.Struct, frozen=True):
    """Where an orchestrator comes, by ``priority`` (a lower one first) and by ``weight``."""

    name: str
    priority: int = 10
    weight: int = 1


class _Seat(msgspec.Struct):
    rank: Rank
    registered: bool = False
    tried: bool = False
    reachable: bool = True
    refused_until: float = 0.0
    idle: bool = False
    asked: int = 0  # by a poll that cannot be changed any more
    served: float = 0.0  # the tasks that it has brought, by its weight

    def well(self, now: float) -> bool:
        return self.registered and self.reachable and now >= self.refused_until

    def pending(self) -> bool:
        return not self.tried and not self.registered

    @property
    def weight(self) -> int:
        return max(1, self.rank.weight)


class Chooser:
    """Shares out the room of one worker between the orchestrators of ``ranks``.

    With a single one there is nothing to choose: it has all the room, and how it is doing does not matter.
    An orchestrator that had nothing to give keeps room for one task, so that it is heard of when it has some.
    """

    def __init__(self, mode: Mode, ranks: Iterable[Rank], now: float) -> None:
        self._mode = mode
        ordered = sorted(ranks, key=lambda rank: (rank.priority, rank.name))
        self._seats = {rank.name: _Seat(rank) for rank in ordered}
        self._began = now

    @property
    def alone(self) -> bool:
        """Whether there is nothing to choose."""
        return len(self._seats) < 2

    def ask(self, name: str, room: int, now: float) -> Ask:
        """What to ask ``name`` for while there is room for ``room`` tasks in all."""
        if self.alone:
            return Ask(room)
        seat = self._seats[name]
        taken = sum(other.asked for other in self._seats.values() if other is not seat)
        limit = max(0, min(self._shares(room, now).get(name, 0), room - taken))
        return Ask(limit, self._patience(seat))

    def asking(self, name: str, limit: int) -> None:
        """A poll for ``limit`` tasks is under way, and stands until it is answered."""
        self._seats[name].asked = limit

    def brought(self, name: str, tasks: int) -> None:
        """The poll was answered with so many tasks."""
        seat = self._seats[name]
        if seat.idle and tasks:  # what it did not want meanwhile was used by others, and is not owed
            active = [other.served for other in self._seats.values() if not other.idle]
            seat.served = max(seat.served, min(active, default=0.0))
        seat.idle = not tasks
        seat.served += tasks / seat.weight
        seat.refused_until = 0.0
        self.settled(name)
        self.reached(name)

    def settled(self, name: str) -> None:
        """No poll is under way."""
        self._seats[name].asked = 0

    def reached(self, name: str) -> bool:
        """It answered a call. Whether that is news."""
        seat = self._seats[name]
        news, seat.reachable = not seat.reachable, True
        return news

    def registered(self, name: str, known: bool) -> bool:
        """Whether it knows the worker. Whether that is news."""
        seat = self._seats[name]
        news, seat.registered = seat.registered != known, known
        seat.tried = seat.tried or known
        return news

    def lost(self, name: str) -> bool:
        """It cannot be reached, until it answers something. Whether that is news."""
        seat = self._seats[name]
        news = seat.reachable or not seat.tried
        seat.reachable, seat.tried = False, True
        return news

    def refused(self, name: str, until: float) -> None:
        """It gives no work before ``until``."""
        seat = self._seats[name]
        seat.refused_until, seat.tried = until, True

    def due(self, now: float) -> float | None:
        """The moment at which the shares change by themselves."""
        moments = [seat.refused_until for seat in self._seats.values() if seat.refused_until > now]
        if self._waits_for_first(now):
            moments.append(self._began + FIRST_CHANCE)
        return min(moments, default=None)

    # ------------------------------------------------------------ rules

    def _shares(self, room: int, now: float) -> dict[str, int]:
        if room <= 0 or self._waits_for_first(now):
            return {}
        well = [seat for seat in self._seats.values() if seat.well(now)]
        if not well:
            return {}
        if self._mode == Mode.FAILOVER:
            return {seat.rank.name: room for seat in well[:1]}
        busy = [seat for seat in well if not seat.idle] or well
        shares = {seat.rank.name: 1 for seat in well if seat.idle}
        if self._mode == Mode.ROUND_ROBIN:
            return shares | _by_weight(busy, room)
        # Those after the first with work are not even looked at, as they would take its room.
        for seat in well:
            if seat is busy[0]:
                return shares | {seat.rank.name: room}
            if not seat.idle:
                break
        return shares

    def _waits_for_first(self, now: float) -> bool:
        """Whether the first that has not failed is still being asked for the first time."""
        if self._mode != Mode.FAILOVER or now >= self._began + FIRST_CHANCE:
            return False
        standing = (seat for seat in self._seats.values() if seat.pending() or seat.well(now))
        return next((seat.pending() for seat in standing), False)

    def _patience(self, seat: _Seat) -> float | None:
        if self._mode != Mode.FAILOVER:
            return PROBE if seat.idle else LOOK
        first = next(iter(self._seats.values()))
        return None if seat is first else PROBE


def _by_weight(seats: Sequence[_Seat], room: int) -> dict[str, int]:
    """``room`` by weights, so that in the long run each has brought its part.

    Whoever is behind gets more now; who is ahead of the others waits for them.
    """
    taking = list(seats)
    while True:
        weights = sum(seat.weight for seat in taking)
        level = (room + sum(seat.served * seat.weight for seat in taking)) / weights
        ahead = [seat for seat in taking if seat.served > level]
        if not ahead:
            break
        taking = [seat for seat in taking if seat.served <= level]
    shares = {seat.rank.name: int((level - seat.served) * seat.weight) for seat in taking}
    for _ in range(room - sum(shares.values())):
        behind = min(taking, key=lambda seat: seat.served + (shares[seat.rank.name] + 1) / seat.weight)
        shares[behind.rank.name] += 1
    return shares
