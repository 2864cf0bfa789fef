"""The workers as this node sees them: what they can do, what they hold, and when they asked last.

Nothing here comes from a disk and nothing is lost with it: workers tell it again.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from avtomatika.kernel.time import Instant
from avtomatika.matching.compliance import WorkerProfile
from avtomatika.matching.reputation import START
from avtomatika.matching.strategies import Candidate
from avtomatika.ports.store import Lease

BUSY: Final = frozenset({"busy", "full"})
NOT_FOR_WORK: Final = frozenset({"draining", "offline"})
NEVER: Final = Instant(2**62)

_NONE: Final[Mapping[str, "Member"]] = {}


class Wanted(msgspec.Struct, frozen=True):
    """What a worker asks for: up to `limit` tasks of these skills, None for all it has."""

    worker: WorkerProfile
    skills: frozenset[str] | None
    limit: int

    @property
    def owner(self) -> str:
        """The name under which the worker holds leases."""
        return owner_of(self.worker.id)

    def includes(self, skill: str) -> bool:
        """True when the worker asks for tasks of the skill."""
        return self.skills is None or skill in self.skills


_WORKER: Final = "worker:"


def owner_of(worker_id: str) -> str:
    """The name under which a worker holds leases."""
    return f"{_WORKER}{worker_id}"


def worker_of(owner: str) -> str | None:
    """The worker that holds leases under this name, or None for a node."""
    return owner.removeprefix(_WORKER) if owner.startswith(_WORKER) else None


class Parked:
    """A worker that waits for a task, for which `answer` is set."""

    __slots__ = ("answer", "member", "place", "wanted")

    def __init__(self, place: int, wanted: Wanted, member: "Member", answer: asyncio.Future[Sequence[Lease]]):
        self.place, self.wanted, self.member, self.answer = place, wanted, member, answer


class Member:
    """One worker. `turn` grows when it is given a task, `asked` is when it asked for one last."""

    __slots__ = ("_held", "_next_end", "asked", "parked", "profile", "status", "turn", "until")

    def __init__(self, profile: WorkerProfile, status: str, until: Instant) -> None:
        self.profile, self.status, self.until = profile, status, until
        self.asked = Instant(0)
        self.turn = 0
        self.parked: dict[int, Parked] = {}
        self._held: dict[str, Lease] = {}
        self._next_end = NEVER

    def took(self, lease: Lease) -> None:
        """The worker holds the task, or for longer than it did."""
        self._held[lease.message.id] = lease
        self._next_end = min(self._next_end, lease.until)

    def lease(self, task: str, now: Instant) -> Lease | None:
        """The lease of the task, if it was granted or extended here and has not run out."""
        lease = self._held.get(task)
        return None if lease is None or lease.until <= now else lease

    def let_go(self, task: str) -> None:
        """The worker does not hold the task."""
        self._held.pop(task, None)

    def load(self, now: Instant) -> int:
        """How many tasks the worker holds."""
        if now >= self._next_end:
            self._held = {task: lease for task, lease in self._held.items() if lease.until > now}
            self._next_end = min((lease.until for lease in self._held.values()), default=NEVER)
        return len(self._held)


class Fleet:
    """Workers by id and by skill. Whoever listens hears of each one that is not what it was."""

    def __init__(self, reputation: Callable[[str], float] = lambda _: START) -> None:
        self.reputation = reputation
        self.turns = 0
        self._members: dict[str, Member] = {}
        self._by_skill: dict[str, dict[str, Member]] = {}
        self._listeners: list[Callable[[Member, Iterable[str]], None]] = []

    def listen(self, listener: Callable[[Member, Iterable[str]], None]) -> None:
        """*listener* hears of every member that changed, with the skills that this may concern."""
        self._listeners.append(listener)

    def seen(self, profile: WorkerProfile, status: str, until: Instant) -> Member:
        """The worker is as it says, and present until then."""
        member = self._members.get(profile.id)
        if member is None:
            member = self._members[profile.id] = Member(profile, status, until)
            self._index(member, ())
            return member
        before = member.profile
        drains = (member.status in NOT_FOR_WORK) != (status in NOT_FOR_WORK)
        member.status, member.until = status, until
        if before is not profile and before.revision != profile.revision:
            member.profile = profile
            self._index(member, before.skills)
        elif drains:
            self._tell(member, profile.skills)
        return member

    def asks(self, profile: WorkerProfile, now: Instant) -> Member:
        """The worker, who asks for work."""
        member = self._members.get(profile.id)
        if member is None or member.profile.revision < profile.revision:
            status = "idle" if member is None else member.status
            member = self.seen(profile, status, NEVER if member is None else member.until)
        member.asked = now
        return member

    def changed(self, worker_id: str) -> None:
        """Something else about the worker is not what it was, such as its reputation."""
        member = self._members.get(worker_id)
        if member is not None:
            self._tell(member, member.profile.skills)

    def get(self, worker_id: str) -> Member | None:
        """The worker, or None when it is not known."""
        return self._members.get(worker_id)

    def everyone(self) -> Iterable[Member]:
        """All that are known, whether still present or not."""
        return self._members.values()

    def with_skill(self, skill: str) -> Iterable[Member]:
        """Those that have the skill."""
        return self._by_skill.get(skill, _NONE).values()

    def given(self, member: Member) -> None:
        """The worker had its turn."""
        self.turns += 1
        member.turn = self.turns

    def let_go(self, worker_id: str, task: str) -> None:
        """The worker does not hold the task any more."""
        member = self._members.get(worker_id)
        if member is not None:
            member.let_go(task)
            if member.parked:
                self._tell(member, member.profile.skills)

    def kept(self, worker_id: str, lease: Lease) -> None:
        """The worker holds the task for longer."""
        member = self._members.get(worker_id)
        if member is not None:
            member.took(lease)

    def lease(self, worker_id: str, task: str, now: Instant) -> Lease | None:
        """The lease under which the worker holds the task, as far as this node has granted or extended it."""
        member = self._members.get(worker_id)
        return None if member is None else member.lease(task, now)

    def count(self, now: Instant) -> int:
        """How many are present."""
        return sum(member.until > now for member in self._members.values())

    def forget(self, now: Instant) -> None:
        """Those that were not heard of for too long are not known any more."""
        for member in [each for each in self._members.values() if each.until <= now and not each.parked]:
            del self._members[member.profile.id]
            self._unindex(member, member.profile.skills)
            self._tell(member, member.profile.skills)

    def candidate(self, member: Member, skill: str, now: Instant) -> Candidate:
        """The worker with regard to the skill, at this moment."""
        profile = member.profile
        return Candidate(
            cost=profile.cost(skill),
            reputation=self.reputation(profile.id),
            load=member.load(now),
            hot=skill in profile.hot,
            turn=member.turn,
            capacity=profile.capacity,
            busy=member.status in BUSY and not member.parked,
        )

    def _index(self, member: Member, before: Iterable[str]) -> None:
        skills = member.profile.skills
        gone = [skill for skill in before if skill not in skills]
        self._unindex(member, gone)
        for skill in skills:
            self._by_skill.setdefault(skill, {})[member.profile.id] = member
        self._tell(member, (*skills, *gone))

    def _unindex(self, member: Member, skills: Iterable[str]) -> None:
        for skill in skills:
            of_skill = self._by_skill.get(skill)
            if of_skill is not None:
                of_skill.pop(member.profile.id, None)
                if not of_skill:
                    del self._by_skill[skill]

    def _tell(self, member: Member, skills: Iterable[str]) -> None:
        for listener in self._listeners:
            listener(member, skills)
