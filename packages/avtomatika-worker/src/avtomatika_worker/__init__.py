"""The worker SDK of the Avtomatika orchestrator."""

from avtomatika_worker.config import WorkerConfig
from avtomatika_worker.skills.commands import Command
from avtomatika_worker.skills.skills import SkillBlueprint
from avtomatika_worker.task_files import TaskFiles
from avtomatika_worker.worker import Worker
from rxon.messages import DeviceUsage, ResourcesUsage, SkillInfo
from rxon.vocabulary import PROTOCOL_VERSION

__all__ = [
    "Command",
    "DeviceUsage",
    "ResourcesUsage",
    "SkillBlueprint",
    "SkillInfo",
    "TaskFiles",
    "Worker",
    "WorkerConfig",
    "__version__",
]

__version__ = PROTOCOL_VERSION
