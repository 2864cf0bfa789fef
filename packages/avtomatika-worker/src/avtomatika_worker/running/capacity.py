"""How many tasks may run, in all and of each type."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping

import msgspec

from avtomatika_worker.skills.skills import Catalog

__all__ = ["Capacity", "Openings"]

_log = logging.getLogger(__name__)


class Openings(msgspec.Struct, frozen=True):
    """How many more tasks fit, and of which skills; ``skills`` None means of every one."""

    limit: int
    skills: frozenset[str] | None = None


class Capacity:
    """Slots. A task takes one of the total and one of its type when it arrives, and starts when
    both are within their limits; ``checker`` can close skills for reasons of its own.
    """

    def __init__(
        self,
        limit: int,
        type_limits: Mapping[str, int] | None = None,
        checker: Callable[[str], bool] | None = None,
    ) -> None:
        self._limit = limit
        self._type_limits = dict(type_limits or {})
        self._checker = checker
        self._running: Counter[str] = Counter()
        self._held: Counter[str] = Counter()
        self._running_total = 0
        self._held_total = 0

    @property
    def limit(self) -> int:
        """The most tasks that run at once."""
        return self._limit

    @property
    def is_full(self) -> bool:
        """Whether no task of any type may start."""
        return self._running_total >= self._limit

    def take(self, kind: str) -> None:
        """A task of type ``kind`` has arrived."""
        self._held[kind] += 1
        self._held_total += 1

    def give_back(self, kind: str) -> None:
        """A task of type ``kind`` is gone without having started."""
        self._held[kind] -= 1
        self._held_total -= 1

    def may_start(self, kind: str) -> bool:
        """Whether one more task of type ``kind`` is within the limits."""
        within_type = self._running[kind] < self._type_limits.get(kind, self._limit)
        return within_type and not self.is_full

    def start(self, kind: str) -> None:
        """A task of type ``kind`` that had arrived is running."""
        self._running[kind] += 1
        self._running_total += 1

    def finish(self, kind: str) -> None:
        """A running task of type ``kind`` is over."""
        self._running[kind] -= 1
        self._running_total -= 1
        self.give_back(kind)

    def openings(self, catalog: Catalog) -> Openings:
        """What to ask for now.

        While a type with a limit of its own is open, no more is asked for than fits into it, as
        everything that comes might be of that type.
        """
        free = max(0, self._limit - self._held_total)
        if not self._type_limits and self._checker is None:
            return Openings(free)
        room = {skill.name: self._room(skill.type, free) for skill in catalog}
        open_skills = frozenset(name for name, fits in room.items() if fits > 0 and self._allowed(name))
        limit = min((room[name] for name in open_skills), default=0)
        return Openings(limit, None if len(open_skills) == len(room) else open_skills)

    def _room(self, kind: str, free: int) -> int:
        limit = self._type_limits.get(kind)
        return free if limit is None else min(free, limit - self._held[kind])

    def _allowed(self, skill: str) -> bool:
        if self._checker is None:
            return True
        try:
            return bool(self._checker(skill))
        except Exception:  # noqa: BLE001 - user code
            _log.exception("The capacity checker failed for skill %r, which counts as no", skill)
            return False
