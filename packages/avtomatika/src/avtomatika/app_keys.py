"""Keys under which `engine.app`, an aiohttp application, holds the parts of a started engine."""

from avtomatika.app import DISPATCHER_KEY, EXECUTOR_KEY, STORAGE_KEY, WORKER_SERVICE_KEY
from avtomatika.engine import ENGINE_KEY

__all__ = ["DISPATCHER_KEY", "ENGINE_KEY", "EXECUTOR_KEY", "STORAGE_KEY", "WORKER_SERVICE_KEY"]
