"""Which workers there are. Presence expires; losing it only makes a worker register again."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from avtomatika.commands.declared import Declared
from avtomatika.commands.fleet import Fleet
from avtomatika.commands.holdings import Holdings
from avtomatika.commands.mailbox import Mailbox
from avtomatika.errors import NotFound
from avtomatika.kernel.time import Instant, Span, after
from avtomatika.matching.compliance import Skill, WorkerProfile
from avtomatika.ports.clock import Clock
from avtomatika.ports.registry import Doc, Registry
from rxon.generations.generation import Generation
from rxon.requirements import Machine

KIND: Final = "worker"


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


class Presence:
    """The workers that were heard of within the last *ttl*."""

    def __init__(self, registry: Registry, clock: Clock, ttl: Span, fleet: Fleet | None = None) -> None:
        """*fleet* hears of everybody who is present."""
        self._registry, self._clock, self._ttl = registry, clock, ttl
        self.holdings = Holdings(registry, clock)
        self.mailbox = Mailbox(registry, clock)
        self._fleet = fleet or Fleet()
        self._decoded: dict[str, tuple[int, Worker]] = {}
        self._revision = 0

    async def register(self, worker_id: str, said: Introduction) -> Worker:
        """The worker is present as it presents itself, in place of what it said before."""
        self._revision += 1
        skills = {skill.name: skill for skill in said.skills}
        worker = Worker(
            profile=WorkerProfile(
                id=worker_id,
                revision=self._revision,
                skills=skills,
                costs=said.costs,
                machine=said.machine,
                hot=said.hot,
                capacity=said.capacity,
            ),
            type=said.type,
            registered_at=self._clock.now(),
            skills_hash=said.skills_hash,
            hostname=said.hostname,
            generation=said.generation,
            declared=said.declared,
        )
        await self._keep(worker)
        return worker

    def knows(self, worker_id: str) -> bool:
        """True when the worker was present here lately."""
        return worker_id in self._decoded

    async def get(self, worker_id: str) -> Worker:
        """The worker. Raises NotFound when it never registered or was silent for too long."""
        doc = await self._registry.get(KIND, worker_id, now=self._clock.now())
        if doc is None:
            self._decoded.pop(worker_id, None)
            raise NotFound(f"Worker '{worker_id}' not found: it must register.")
        return self._decode(doc)

    async def declared(self, worker_id: str) -> Mapping[str, Declared]:
        """What the worker declared of its skills; nothing when it is not known."""
        try:
            return (await self.get(worker_id)).declared
        except NotFound:
            return {}

    async def heard(
        self,
        worker: Worker,
        *,
        status: str | None = None,
        skills: Sequence[Skill] | None = None,
        hot: Collection[str] | None = None,
        usage: dict[str, float] | None = None,
    ) -> Worker:
        """The worker is present for another while, with what it now says of itself. None is not said."""
        profile = worker.profile
        known = profile.skills if skills is None else {skill.name: skill for skill in skills}
        ready = profile.hot if hot is None else frozenset(hot)
        if known != profile.skills or ready != profile.hot:
            self._revision += 1
            profile = msgspec.structs.replace(profile, revision=self._revision, skills=known, hot=ready)
        heard = msgspec.structs.replace(
            worker, status=status or worker.status, profile=profile, usage=usage or worker.usage
        )
        await self._keep(heard)
        return heard

    async def everyone(self) -> Sequence[Worker]:
        """All workers that are present, by id. The others are forgotten."""
        docs = await self._registry.scan(KIND, now=self._clock.now())
        present = {doc.key for doc in docs}
        self._decoded = {key: known for key, known in self._decoded.items() if key in present}
        self._fleet.forget(self._clock.now())
        return [self._decode(doc) for doc in docs]

    async def _keep(self, worker: Worker) -> None:
        expires = after(self._clock.now(), self._ttl)
        doc = await self._registry.put(Doc(KIND, worker.profile.id, _ENCODER.encode(worker), expires))
        self._decoded[worker.profile.id] = (doc.version, worker)
        self._fleet.seen(worker.profile, worker.status, expires)

    def _decode(self, doc: Doc) -> Worker:
        version, worker = self._decoded.get(doc.key, (-1, None))
        if worker is None or version != doc.version:
            worker = _DECODER.decode(doc.body)
            self._decoded[doc.key] = (doc.version, worker)
            self._fleet.seen(worker.profile, worker.status, doc.expires_at)
        return worker


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Worker)
