"""The composition root: from settings to a node that runs."""

from avtomatika.app.backends import Backend, open_backend, open_history
from avtomatika.app.node import (
    DISPATCHER_KEY,
    EXECUTOR_KEY,
    STORAGE_KEY,
    WORKER_SERVICE_KEY,
    Node,
    application,
)

__all__ = [
    "Backend",
    "DISPATCHER_KEY",
    "EXECUTOR_KEY",
    "Node",
    "STORAGE_KEY",
    "WORKER_SERVICE_KEY",
    "application",
    "open_backend",
    "open_history",
]
