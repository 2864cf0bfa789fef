"""How a worker makes itself known and stays known."""

from typing import Any

import msgspec

from rxon.messages.capability import (
    InstalledArtifact,
    Resources,
    ResourcesUsage,
    SecurityContext,
    SkillInfo,
    WorkerCapabilities,
)
from rxon.messages.command import WorkerCommand
from rxon.messages.wire import Listed, Mapped, Name, OptionalSeconds, settle

__all__ = ["Heartbeat", "HeartbeatAnswer", "Registered", "Registration"]


class Registration(msgspec.Struct, frozen=True, omit_defaults=True):
    """A worker introduces itself. ``timestamp`` is in Unix seconds.

    ``max_concurrent_tasks`` is how many tasks it runs at once, when it says so.
    """

    worker_id: str
    worker_type: str = "generic"
    supported_skills: Listed[SkillInfo] | None = None
    available_skills: Listed[Name] | None = None
    hot_skills: Listed[Name] | None = None
    resources: Resources | None = None
    installed_software: Mapped[str] | None = None
    installed_artifacts: Listed[InstalledArtifact] | None = None
    capabilities: WorkerCapabilities | None = None
    skills_hash: str | None = None
    security: SecurityContext | None = None
    metadata: dict[str, Any] | None = None
    timestamp: OptionalSeconds = None
    max_concurrent_tasks: int | None = None

    def __post_init__(self) -> None:
        settle(self, "timestamp")


class Registered(msgspec.Struct, frozen=True, omit_defaults=True):
    """The server knows the worker now. ``version`` is the server's protocol version.

    ``transports`` are ways of talking to it beside the requests of HTTP, such as ``stream``.
    """

    status: str
    version: str | None = None
    warning: str | None = None
    transports: tuple[str, ...] = ()


class Heartbeat(msgspec.Struct, frozen=True, omit_defaults=True):
    """The worker is alive and holds ``current_tasks``. ``timestamp`` is in Unix seconds.

    ``supported_skills`` is sent only when the server may not know them.
    """

    worker_id: str | None = None
    status: str | None = None
    usage: ResourcesUsage | None = None
    current_tasks: tuple[str, ...] | None = None
    supported_skills: Listed[SkillInfo] | None = None
    available_skills: Listed[Name] | None = None
    hot_skills: Listed[Name] | None = None
    hot_cache: Listed[Name] | None = None
    skill_dependencies: Mapped[tuple[str, ...]] | None = None
    skills_hash: str | None = None
    security: SecurityContext | None = None
    metadata: dict[str, Any] | None = None
    timestamp: OptionalSeconds = None

    def __post_init__(self) -> None:
        settle(self, "timestamp")


class HeartbeatAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the server wants: the full skill list, these tasks stopped, and what operators have told it."""

    status: str
    require_full_sync: bool = False
    cancel_task_ids: tuple[str, ...] | None = None
    commands: tuple[WorkerCommand, ...] | None = None
