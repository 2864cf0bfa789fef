"""The second generation, up to 1.0b3: a protocol with a version, flat results, skills that are names."""

from typing import Any, ClassVar

import msgspec

from rxon.codec import decode, encode
from rxon.generations.dialect import Dialect, Said, members, settled
from rxon.generations.generation import Generation
from rxon.generations.machine import OldResources, artifacts_of, resources_of, skills_of
from rxon.messages import (
    Heartbeat,
    HeartbeatAnswer,
    InstalledModel,
    Registered,
    Registration,
    ResultAnswer,
    TaskOffer,
    WorkerCapabilities,
)
from rxon.messages.wire import Listed, Mapped, Name

__all__ = ["Second"]


class _Registration(msgspec.Struct):
    worker_id: str
    worker_type: str = "generic"
    supported_skills: Listed[Name] = ()
    resources: OldResources | None = None
    installed_software: Mapped[str] | None = None
    installed_models: Listed[InstalledModel] | None = None
    capabilities: WorkerCapabilities | None = None


class _Heartbeat(msgspec.Struct):
    worker_id: str | None = None
    status: str | None = None
    current_tasks: tuple[str, ...] | None = None
    supported_skills: Listed[Name] | None = None
    hot_cache: Listed[Name] | None = None
    hot_skills: Listed[Name] | None = None
    skill_dependencies: Mapped[tuple[str, ...]] | None = None


class Second(Dialect):
    """Its workers register once: a heartbeat that is not known stands for it."""

    generation: ClassVar[Generation] = Generation.G2
    knows_leases: ClassVar[bool] = False

    def registration(self, body: bytes) -> Registration:
        """How a worker presents itself."""
        said = decode(_Registration, body)
        return Registration(
            worker_id=said.worker_id,
            worker_type=said.worker_type,
            supported_skills=skills_of(said.supported_skills),
            resources=resources_of(said.resources),
            installed_software=said.installed_software,
            installed_artifacts=artifacts_of(said.installed_models),
            capabilities=said.capabilities,
            max_concurrent_tasks=None if said.resources is None else said.resources.max_concurrent_tasks,
        )

    def registered(self, answer: Registered) -> Said:
        """The answer to that."""
        return Said(encode(members(answer, "status", "version", "warning")))

    def beat(self, body: bytes) -> Heartbeat:
        """That a worker lives."""
        said = decode(_Heartbeat, body)
        return Heartbeat(
            worker_id=said.worker_id,
            status=said.status,
            current_tasks=said.current_tasks,
            supported_skills=None if said.supported_skills is None else skills_of(said.supported_skills),
            hot_skills=said.hot_skills,
            hot_cache=said.hot_cache,
            skill_dependencies=said.skill_dependencies,
        )

    def presented(self, worker_id: str, body: bytes) -> Registration | None:
        """What the heartbeat tells: the skills of the worker."""
        return Registration(worker_id=worker_id, supported_skills=self.beat(body).supported_skills)

    def beaten(self, answer: HeartbeatAnswer, worker_id: str, body: bytes) -> Said:
        """The answer to a heartbeat."""
        said: dict[str, Any] = {"status": answer.status}
        if answer.cancel_task_ids:
            said["cancel_task_ids"] = answer.cancel_task_ids
        return Said(encode(said))

    def offered(self, offer: TaskOffer) -> bytes:
        """A task."""
        names = ("job_id", "task_id", "type", "params", "tracing_context", "params_metadata")
        return encode(members(offer, *names))

    def judged(self, answer: ResultAnswer) -> Said:
        """What became of a result."""
        return settled(answer)
