"""One placement class on this node: who may have its tasks, who is preferred, and who waits for them.

Kept up to date worker by worker, so that neither a poll nor a task looks at all workers.
"""

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

from avtomatika.commands.fleet import NOT_FOR_WORK, Fleet, Member, Parked
from avtomatika.kernel.model import Order
from avtomatika.kernel.time import Instant
from avtomatika.matching.compliance import reasons
from avtomatika.matching.strategies import (
    Candidate,
    DispatchRules,
    Rank,
    saturated,
    strategy_of,
)

TIDY_FROM: Final = 64

DRAINING: Final = "worker_is_draining"
DISTRUSTED: Final = "reputation_too_low"


class Chosen(msgspec.Struct, frozen=True):
    """The best of those that wait. `alone` when no other one does."""

    parked: Parked
    alone: bool


class PlacementClass:
    """The workers with regard to the orders of one class."""

    def __init__(self, order: Order, fleet: Fleet, rules: DispatchRules) -> None:
        self.order = order
        self._fleet, self._rules = fleet, rules
        self._strategy = strategy_of(order.strategy)
        self._fits: dict[str, tuple[int, bool]] = {}
        self._tier_of: dict[str, float] = {}
        self._tiers: dict[float, dict[str, Member]] = {}
        self._order: list[float] = []
        self._waiting: list[tuple[Rank, int, Parked]] = []
        self._tidy_at = TIDY_FROM
        for member in fleet.with_skill(order.skill):
            self.place(member, Instant(0))

    def why_not(self, member: Member) -> tuple[str, ...]:
        """Why the worker may not have tasks of the class; empty when it may."""
        found = reasons(self.order, member.profile)
        if member.status in NOT_FOR_WORK:
            found = (*found, DRAINING)
        if self._fleet.reputation(member.profile.id) < self._rules.reputation_floor:
            found = (*found, DISTRUSTED)
        return found

    def admits(self, worker_id: str) -> bool:
        """True when the worker may have tasks of the class."""
        return worker_id in self._tier_of

    def place(self, member: Member, now: Instant) -> None:
        """The worker has its place among the others, as it is now, or none."""
        worker = member.profile.id
        admitted = self._admits(member)
        tier = self._strategy.tier(self._candidate(member, now)) if admitted else None
        if tier != self._tier_of.get(worker):
            self._take_out(worker)
            if tier is not None:
                self._put_in(worker, tier, member)
        if tier is not None:
            for parked in member.parked.values():
                self.park(parked, now)

    def _admits(self, member: Member) -> bool:
        profile = member.profile
        if self._fleet.get(profile.id) is not member or profile.skills.get(self.order.skill) is None:
            self._fits.pop(profile.id, None)
            return False
        known = self._fits.get(profile.id)
        if known is None or known[0] != profile.revision:
            known = self._fits[profile.id] = (profile.revision, not reasons(self.order, profile))
        trusted = self._fleet.reputation(profile.id) >= self._rules.reputation_floor
        return known[1] and trusted and member.status not in NOT_FOR_WORK

    def _put_in(self, worker: str, tier: float, member: Member) -> None:
        self._tier_of[worker] = tier
        if tier not in self._tiers:
            self._tiers[tier] = {}
            insort(self._order, tier)
        self._tiers[tier][worker] = member

    def _take_out(self, worker: str) -> None:
        tier = self._tier_of.pop(worker, None)
        if tier is None:
            return
        del self._tiers[tier][worker]
        if not self._tiers[tier]:
            del self._tiers[tier]
            del self._order[bisect_left(self._order, tier)]

    def prefers_anybody_to(self, worker_id: str) -> bool:
        """True when others are preferred to the worker, whether they are worth waiting for or not."""
        return bool(self._order) and self._order[0] < self._tier_of.get(worker_id, self._order[0])

    def is_for_another(self, member: Member, now: Instant) -> bool:
        """True while a task should be kept for workers that are preferred to this one.

        Those are worth waiting for that are at work or asked lately, and are not saturated; when tasks are
        reserved, all that are present.
        """
        mine = self._tier_of.get(member.profile.id)
        preferred = islice(self._before(mine), self._rules.max_candidates)
        return any(self._is_worth_waiting_for(other, now) for other in preferred)

    def _before(self, tier: float | None) -> Iterator[Member]:
        for better in self._order:
            if tier is not None and better >= tier:
                return
            yield from self._tiers[better].values()

    def _is_worth_waiting_for(self, member: Member, now: Instant) -> bool:
        if member.until <= now:
            return False
        if not self._rules.stealing:
            return True
        lately = now - member.asked <= self._rules.spill_after
        if not (member.parked or lately or member.load(now)):
            return False
        return not saturated(self._strategy, self._candidate(member, now), self._rules)

    def others(self, worker_id: str, now: Instant) -> bool:
        """True when a worker that is present, other than this one, may have tasks of the class."""
        some = islice(self._tiers.values(), self._rules.max_candidates)
        return any(
            name != worker_id and member.until > now
            for tier in some
            for name, member in islice(tier.items(), self._rules.max_candidates)
        )

    def park(self, parked: Parked, now: Instant) -> None:
        """The worker waits for tasks of the class, if it asks for them and may have them."""
        if not self.admits(parked.member.profile.id) or not parked.wanted.includes(self.order.skill):
            return
        heapq.heappush(self._waiting, (self._rank(parked.member, now), parked.place, parked))
        if len(self._waiting) > self._tidy_at:
            kept = {entry[1]: entry for entry in self._waiting if self._counts(entry[2])}
            self._waiting = sorted(kept.values(), key=_place)
            self._tidy_at = 2 * len(self._waiting) + TIDY_FROM

    def best(self, now: Instant, avoid: str = "") -> Chosen | None:
        """The one of those that wait that should have the next task, taken out; None when nobody waits.

        The worker *avoid* comes last. What changed since somebody began to wait counts as it is now.
        """
        aside: list[Parked] = []
        chosen: Parked | None = None
        looked = 0
        while chosen is None and self.waits():
            rank, place, parked = heapq.heappop(self._waiting)
            looked += 1
            fresh = self._rank(parked.member, now)
            if fresh > rank and looked < self._rules.max_candidates and self._precedes((fresh, place)):
                heapq.heappush(self._waiting, (fresh, place, parked))
            elif parked.member.profile.id == avoid:
                aside.append(parked)
            else:
                chosen = parked
        if chosen is None and aside:
            chosen = aside.pop(0)
        for other in aside:
            self.park(other, now)
        if chosen is None:
            return None
        return Chosen(chosen, alone=not any(entry[2] is not chosen for entry in islice(self._waiting, 2)))

    def _precedes(self, place: tuple[Rank, int]) -> bool:
        """True when somebody who waits comes before that place."""
        return self.waits() and self._waiting[0][:2] < place

    def waits(self) -> bool:
        """True when somebody waits."""
        while self._waiting and not self._counts(self._waiting[0][2]):
            heapq.heappop(self._waiting)
        return bool(self._waiting)

    def prefers_who_waits(self, member: Member, now: Instant) -> bool:
        """True when somebody waits who should have a task rather than this worker."""
        return self.waits() and self._rank(self._waiting[0][2].member, now) < self._rank(member, now)

    def counts(self, now: Instant) -> tuple[int, int, int]:
        """How many of the workers that are present may have tasks, are saturated, and wait."""
        present = [m for tier in self._tiers.values() for m in tier.values() if m.until > now]
        full = sum(saturated(self._strategy, self._candidate(m, now), self._rules) for m in present)
        waiting = sum(any(p.wanted.includes(self.order.skill) for p in m.parked.values()) for m in present)
        return len(present), full, waiting

    def _counts(self, parked: Parked) -> bool:
        return not parked.answer.done() and self.admits(parked.member.profile.id)

    def _rank(self, member: Member, now: Instant) -> Rank:
        return self._strategy.rank(self._candidate(member, now), self._rules.soft_limit)

    def _candidate(self, member: Member, now: Instant) -> Candidate:
        return self._fleet.candidate(member, self.order.skill, now)


def _place(entry: tuple[Rank, int, Parked]) -> tuple[Rank, int]:
    return entry[:2]
