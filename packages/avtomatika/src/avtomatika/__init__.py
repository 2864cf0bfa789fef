"""Avtomatika: a durable state-machine orchestrator for long-running jobs."""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from avtomatika.blueprints.actions import ActionFactory
    from avtomatika.blueprints.blueprint import Blueprint, StateMachineBlueprint
    from avtomatika.blueprints.client import ClientConfig
    from avtomatika.blueprints.context import JobContext
    from avtomatika.blueprints.task_files import TaskFiles
    from avtomatika.config import Config
    from avtomatika.engine import OrchestratorEngine
    from avtomatika.errors import AvtomatikaError
    from avtomatika.storage import MemoryStorage, RedisStorage, SQLiteStorage, StorageBackend

__version__ = "2.0.0"

__all__ = [
    "ActionFactory",
    "AvtomatikaError",
    "Blueprint",
    "ClientConfig",
    "Config",
    "JobContext",
    "MemoryStorage",
    "OrchestratorEngine",
    "RedisStorage",
    "SQLiteStorage",
    "StateMachineBlueprint",
    "StorageBackend",
    "TaskFiles",
]

# A name is imported when it is first asked for: the commands that only talk to a server start without one.
_PLACES: Final = {
    "ActionFactory": "avtomatika.blueprints.actions",
    "AvtomatikaError": "avtomatika.errors",
    "Blueprint": "avtomatika.blueprints.blueprint",
    "ClientConfig": "avtomatika.blueprints.client",
    "Config": "avtomatika.config",
    "JobContext": "avtomatika.blueprints.context",
    "MemoryStorage": "avtomatika.storage",
    "OrchestratorEngine": "avtomatika.engine",
    "RedisStorage": "avtomatika.storage",
    "SQLiteStorage": "avtomatika.storage",
    "StateMachineBlueprint": "avtomatika.blueprints.blueprint",
    "StorageBackend": "avtomatika.storage",
    "TaskFiles": "avtomatika.blueprints.task_files",
}


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(place), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
