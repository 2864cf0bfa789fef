"""Avtomatika: a durable state-machine orchestrator for long-running jobs."""

from avtomatika.blueprints.actions import ActionFactory
from avtomatika.blueprints.blueprint import Blueprint, StateMachineBlueprint
from avtomatika.blueprints.client import ClientConfig
from avtomatika.blueprints.context import JobContext
from avtomatika.config import Config
from avtomatika.engine import OrchestratorEngine
from avtomatika.errors import AvtomatikaError
from avtomatika.storage import MemoryStorage, SQLiteStorage, StorageBackend

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
    "SQLiteStorage",
    "StateMachineBlueprint",
    "StorageBackend",
]
