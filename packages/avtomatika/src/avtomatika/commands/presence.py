"""Which workers there are. Presence expires; losing it only makes a worker register again.

All nodes that share the registry know the same workers. What a worker says at two nodes at once is taken in
one after the other, and each of its revisions is higher than those before, whichever node gave it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from avtomatika.commands.declared import Declared
from avtomatika.commands.fleet import Fleet
from avtomatika.commands.holdings import Holdings
from avtomatika.commands.mailbox import Mailbox
from avtomatika.errors import NotFound
from avtomatika.kernel.time import SECOND, Instant, Span, after
from avtomatika.matching.compliance import Skill, WorkerProfile
from avtomatika.ports.node import NodeContext
from avtomatika.ports.registry import Doc, Registry
from rxon.generations.generation import Generation
from rxon.requirements import Machine

KIND: Final = "worker"
AT_ONCE: Final = 100
"""So many workers are read before others have their turn."""


class Worker(msgspec.Struct, frozen=True, gc=False):
    """A worker as it presented itself, and what it said last."""

    profile: WorkerProfile
    type: str
    registered_at: Instant
    status: str = "idle"
    skills_hash: str | None = None
    hostname: str | None = None
    generation: Generation = Generation.OURS
    declared: dict[str, Declared] = {}
    usage: dict[str, float] = {}


class Introduction(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker presents itself."""

    type: str
    skills: Sequence[Skill]
    costs: dict[str, float] = {}
    machine: Machine = Machine()
    hot: frozenset[str] = frozenset()
    capacity: int | None = None
    skills_hash: str | None = None
    hostname: str | None = None
    generation: Generation = Generation.OURS
    declared: dict[str, Declared] = {}


class SignOfLife(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of itself between two introductions. None is not said.

    One that names its skills tells with them what it declares of each.
    """

    status: str | None = None
    skills: Sequence[Skill] | None = None
    skills_hash: str | None = None
    declared: dict[str, Declared] = {}
    hot: Collection[str] | None = None
    usage: dict[str, float] | None = None


class _Known(msgspec.Struct, frozen=True, gc=False):
    """A document as it was read, or as it was written here: then its version is not known."""

    version: int
    body: bytes
    until: Instant
    worker: Worker


_WRITTEN: Final = 0
LOOK_AGAIN: Final = Span(5 * SECOND)
"""Every result asks what was declared; a worker that declares anew at another node is believed this late."""


class Presence:
    """The workers that were heard of within the last *ttl*."""

    def __init__(self, node: NodeContext, registry: Registry, ttl: Span, fleet: Fleet | None = None) -> None:
        """*fleet* hears of everybody who is present."""
        self._registry, self._clock, self._ttl = registry, node.clock, ttl
        self.holdings = Holdings(registry, node.clock)
        self.mailbox = Mailbox(node, registry)
        self._fleet = fleet or Fleet()
        self._known: dict[str, _Known] = {}
        self._looked: dict[str, Instant] = {}

    async def register(self, worker_id: str, said: Introduction) -> Worker:
        """The worker is present as it presents itself, in place of what it said before."""
        skills = {skill.name: skill for skill in said.skills}
        while True:
            now = self._clock.now()
            doc = await self._registry.get(KIND, worker_id, now=now)
            worker = Worker(
                profile=WorkerProfile(
                    id=worker_id,
                    revision=_next(None if doc is None else self._decode(doc).profile, now),
                    skills=skills,
                    costs=said.costs,
                    machine=said.machine,
                    hot=said.hot,
                    capacity=said.capacity,
                ),
                type=said.type,
                registered_at=now,
                skills_hash=said.skills_hash,
                hostname=said.hostname,
                generation=said.generation,
                declared=said.declared,
            )
            if await self._replace(worker, 0 if doc is None else doc.version, now):
                return worker

    def knows(self, worker_id: str) -> bool:
        """True when the worker was present here lately."""
        return worker_id in self._known

    async def get(self, worker_id: str) -> Worker:
        """The worker. Raises NotFound when it never registered or was silent for too long."""
        doc = await self._registry.get(KIND, worker_id, now=self._clock.now())
        if doc is None:
            self._known.pop(worker_id, None)
            raise NotFound(f"Worker '{worker_id}' not found: it must register.")
        return self._decode(doc)

    async def declared(self, worker_id: str) -> Mapping[str, Declared]:
        """What the worker declared of its skills, here or elsewhere some seconds ago; nothing if unknown."""
        known, now = self._known.get(worker_id), self._clock.now()
        if known is not None and now < self._looked.get(worker_id, now):
            return known.worker.declared
        try:
            declared = (await self.get(worker_id)).declared
        except NotFound:
            return {}
        self._looked[worker_id] = after(now, LOOK_AGAIN)
        return declared

    async def heard(self, worker: Worker, sign: SignOfLife) -> Worker:
        """The worker is present for another while, with what it now says of itself.

        Raises NotFound when it is not known any more.
        """
        name = worker.profile.id
        while True:
            known = self._known.get(name)
            if known is None or known.version == _WRITTEN or known.worker is not worker:
                worker = await self.get(name)  # somebody else heard of it meanwhile
                continue
            now = self._clock.now()
            heard = _with(worker, sign, now)
            if await self._replace(heard, known.version, now):
                return heard
            worker = await self.get(name)

    def count(self) -> int:
        """How many workers are present, as far as this node has heard. The others are forgotten."""
        now = self._clock.now()
        self._known = {name: known for name, known in self._known.items() if known.until > now}
        self._looked = {name: until for name, until in self._looked.items() if until > now}
        self._fleet.forget(now)
        return self._fleet.count(now)

    async def everyone(self) -> Sequence[Worker]:
        """All workers that are present, by id. The others are forgotten."""
        docs = await self._registry.scan(KIND, now=self._clock.now())
        found: list[Worker] = []
        for number, doc in enumerate(docs, 1):
            found.append(self._decode(doc))
            if number % AT_ONCE == 0:
                await self._clock.sleep_until(self._clock.now())
        self.count()
        return found

    async def sweep(self) -> None:
        """What expired takes no room in the registry, and this node knows all workers. Raises Unavailable."""
        await self._registry.sweep(now=self._clock.now())
        await self.everyone()

    async def _replace(self, worker: Worker, expected: int, now: Instant) -> bool:
        name, body, until = worker.profile.id, _ENCODER.encode(worker), after(now, self._ttl)
        if not await self._registry.replace(Doc(KIND, name, body, until), expected=expected, now=now):
            return False
        self._known[name] = _Known(_WRITTEN, body, until, worker)
        self._fleet.seen(worker.profile, worker.status, until)
        return True

    def _decode(self, doc: Doc) -> Worker:
        """The worker of the document, which is the same object as before when it said nothing new."""
        known = self._known.get(doc.key)
        if known is not None and known.version == doc.version:
            return known.worker
        same = known is not None and known.body == doc.body
        worker = known.worker if known is not None and same else _DECODER.decode(doc.body)
        self._known[doc.key] = _Known(doc.version, doc.body, doc.expires_at, worker)
        self._fleet.seen(worker.profile, worker.status, doc.expires_at)
        return worker


def _next(before: WorkerProfile | None, now: Instant) -> int:
    """The revision after that one: the moment, which all nodes of a store agree on, if that is enough."""
    return max(now, 0 if before is None else before.revision + 1)


def _with(worker: Worker, sign: SignOfLife, now: Instant) -> Worker:
    """The worker as it is after the sign of life."""
    profile = worker.profile
    known = profile.skills if sign.skills is None else {skill.name: skill for skill in sign.skills}
    ready = profile.hot if sign.hot is None else frozenset(sign.hot)
    if known != profile.skills or ready != profile.hot:
        profile = msgspec.structs.replace(profile, revision=_next(profile, now), skills=known, hot=ready)
    if sign.skills is not None:
        worker = msgspec.structs.replace(worker, skills_hash=sign.skills_hash, declared=sign.declared)
    return msgspec.structs.replace(
        worker, status=sign.status or worker.status, profile=profile, usage=sign.usage or worker.usage
    )


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Worker)
