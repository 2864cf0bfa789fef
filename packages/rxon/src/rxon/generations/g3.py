"""The third generation, 1.0b4 to 1.0b7: skills are objects, nulls are sent, times have fractions."""

from typing import Any, ClassVar, Final
from zlib import crc32

import msgspec

from rxon.codec import decode, encode
from rxon.generations.dialect import Dialect, Said, members, settled
from rxon.generations.generation import Generation
from rxon.generations.machine import OldResources, resources_of
from rxon.messages import (
    Heartbeat,
    HeartbeatAnswer,
    InstalledArtifact,
    Registered,
    Registration,
    ResourcesUsage,
    ResultAnswer,
    SecurityContext,
    SkillInfo,
    TaskOffer,
    WorkerCapabilities,
)
from rxon.messages.wire import Listed, Mapped, Name, OptionalSeconds, settle

__all__ = ["Third"]

MAX_JITTER: Final = 2_000


class _Registration(msgspec.Struct):
    worker_id: str
    worker_type: str | None = None
    supported_skills: Listed[SkillInfo] | None = None
    resources: OldResources | None = None
    installed_software: Mapped[str] | None = None
    installed_artifacts: Listed[InstalledArtifact] | None = None
    capabilities: WorkerCapabilities | None = None
    skills_hash: str | None = None
    security: SecurityContext | None = None
    metadata: dict[str, Any] | None = None
    timestamp: OptionalSeconds = None

    def __post_init__(self) -> None:
        settle(self, "timestamp")


class _Heartbeat(msgspec.Struct):
    worker_id: str | None = None
    status: str | None = None
    usage: ResourcesUsage | None = None
    current_tasks: tuple[str, ...] | None = None
    supported_skills: Listed[SkillInfo] | None = None
    hot_cache: Listed[Name] | None = None
    hot_skills: Listed[SkillInfo | Name] | None = None
    skill_dependencies: Mapped[tuple[str, ...]] | None = None
    skills_hash: str | None = None
    security: SecurityContext | None = None
    metadata: dict[str, Any] | None = None
    timestamp: OptionalSeconds = None

    def __post_init__(self) -> None:
        settle(self, "timestamp")


class Third(Dialect):
    """Its workers register once: a heartbeat that is not known stands for it, once it names the skills."""

    generation: ClassVar[Generation] = Generation.G3
    knows_leases: ClassVar[bool] = False

    def registration(self, body: bytes) -> Registration:
        """How a worker presents itself."""
        said = decode(_Registration, body)
        return Registration(
            worker_id=said.worker_id,
            worker_type=said.worker_type or "generic",
            supported_skills=said.supported_skills,
            resources=resources_of(said.resources),
            installed_software=said.installed_software,
            installed_artifacts=said.installed_artifacts,
            capabilities=said.capabilities,
            skills_hash=said.skills_hash,
            security=said.security,
            metadata=said.metadata,
            timestamp=said.timestamp,
            max_concurrent_tasks=None if said.resources is None else said.resources.max_concurrent_tasks,
        )

    def registered(self, answer: Registered) -> Said:
        """The answer to that."""
        return Said(encode(members(answer, "status", "version", "warning")))

    def beat(self, body: bytes) -> Heartbeat:
        """That a worker lives."""
        said = decode(_Heartbeat, body)
        hot = said.hot_skills
        return Heartbeat(
            worker_id=said.worker_id,
            status=said.status,
            usage=said.usage,
            current_tasks=said.current_tasks,
            supported_skills=said.supported_skills,
            hot_skills=None if hot is None else tuple(_name(skill) for skill in hot),
            hot_cache=said.hot_cache,
            skill_dependencies=said.skill_dependencies,
            skills_hash=said.skills_hash,
            security=said.security,
            metadata=said.metadata,
            timestamp=said.timestamp,
        )

    def presented(self, worker_id: str, body: bytes) -> Registration | None:
        """What the heartbeat tells: the skills, or that they are still to be asked for."""
        said = self.beat(body)
        known = None if said.supported_skills is None else said.skills_hash
        return Registration(worker_id=worker_id, supported_skills=said.supported_skills, skills_hash=known)

    def beaten(self, answer: HeartbeatAnswer, worker_id: str, body: bytes) -> Said:
        """The answer to a heartbeat, with how much sooner or later the next one may come: not all at once."""
        said: dict[str, Any] = {"status": answer.status}
        if answer.require_full_sync:
            said["require_full_sync"] = True
        if answer.cancel_task_ids:
            said["cancel_task_ids"] = answer.cancel_task_ids
        said["next_heartbeat_jitter_ms"] = (
            crc32(worker_id.encode() + body) % (2 * MAX_JITTER + 1) - MAX_JITTER
        )
        return Said(encode(said))

    def offered(self, offer: TaskOffer) -> bytes:
        """A task, with everything that it does not have."""
        names = ("job_id", "task_id", "type", "params", "tracing_context", "params_metadata")
        more = ("priority", "deadline", "security", "metadata")
        return encode(members(offer, *names, *more))

    def judged(self, answer: ResultAnswer) -> Said:
        """What became of a result."""
        return settled(answer)


def _name(skill: SkillInfo | str) -> str:
    return skill if isinstance(skill, str) else skill.name
