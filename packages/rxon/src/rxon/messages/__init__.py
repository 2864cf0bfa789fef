"""Every message of the protocol, as frozen structs.

Fields that hold their default are left out on the wire; unknown fields are skipped on arrival.
"""

from rxon.messages.capability import (
    DeviceUsage,
    FileMetadata,
    HardwareDevice,
    InstalledArtifact,
    InstalledModel,
    Resources,
    ResourcesUsage,
    SecurityContext,
    SkillInfo,
    WorkerCapabilities,
)
from rxon.messages.command import RefreshRequest, TokenAnswer, WorkerCommand
from rxon.messages.event import EventAnswer, WorkerEvent
from rxon.messages.presence import Heartbeat, HeartbeatAnswer, Registered, Registration
from rxon.messages.task import (
    MAX_BATCH,
    ResultAnswer,
    ResultAnswers,
    ResultBatch,
    TaskBatch,
    TaskOffer,
    TaskResult,
)
from rxon.messages.wire import TaskError

__all__ = [
    "DeviceUsage",
    "EventAnswer",
    "FileMetadata",
    "HardwareDevice",
    "Heartbeat",
    "HeartbeatAnswer",
    "InstalledArtifact",
    "InstalledModel",
    "MAX_BATCH",
    "RefreshRequest",
    "Registered",
    "Registration",
    "Resources",
    "ResourcesUsage",
    "ResultAnswer",
    "ResultAnswers",
    "ResultBatch",
    "SecurityContext",
    "SkillInfo",
    "TaskBatch",
    "TaskError",
    "TaskOffer",
    "TaskResult",
    "TokenAnswer",
    "WorkerCapabilities",
    "WorkerCommand",
    "WorkerEvent",
]
