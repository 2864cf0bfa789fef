"""The storages that a program can name when it builds an engine. Each stands for a `STORAGE_URL`."""

from pathlib import Path
from typing import Protocol

__all__ = ["MemoryStorage", "PostgresStorage", "SQLiteStorage", "StorageBackend"]


class StorageBackend(Protocol):
    """Where an engine keeps its jobs."""

    @property
    def url(self) -> str:
        """The `STORAGE_URL` of the storage."""
        ...


class MemoryStorage:
    """Everything in this process, gone when it ends: for tests and first steps."""

    url = "memory://"


class SQLiteStorage:
    """One file, durable. For one process at a time."""

    def __init__(self, path: str | Path) -> None:
        self.url = f"sqlite:///{path}"


class PostgresStorage:
    """A database in PostgreSQL, durable. For any number of processes. Needs `avtomatika[postgres]`."""

    def __init__(self, url: str) -> None:
        """*url* as PostgreSQL reads it: `postgresql://user:password@host/database?sslmode=verify-full`."""
        self.url = url
