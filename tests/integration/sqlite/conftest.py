"""Stores on real files, and connections that fail when they are told to."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from avtomatika.errors import StorageBroken
from avtomatika.stores.sql.sqlite import SqliteStore
from avtomatika.testing.store_contract import CountedTokens, VirtualClock


class Files:
    """Opens stores; what they call broken is kept, and all are closed in the end."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "avtomatika.db"
        self.clock = VirtualClock()
        self.tokens = CountedTokens()
        self.failures: list[StorageBroken] = []
        self._opened: list[SqliteStore] = []

    def open(self, path: Path | None = None) -> SqliteStore:
        store = SqliteStore(
            path or self.path, now=self.clock.now, tokens=self.tokens, broken=self.failures.append
        )
        self._opened.append(store)
        return store

    def kill(self, store: SqliteStore) -> None:
        """The process of the store is dead: nothing more is written, and the system took the lock."""
        store._writer._closed = True
        store._closed = True
        store._release()

    async def close(self) -> None:
        for store in self._opened:
            try:
                await store.close()
            except Exception:
                assert store._writer.failure is not None or store._closed


class Faulty:
    """A connection that does to a statement what `fail` says: it may raise, wait, or count."""

    def __init__(self, real: sqlite3.Connection, fail: Callable[[str], None]) -> None:
        self._real, self._fail = real, fail

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        self._fail(statement)
        return self._real.execute(statement, *values)

    def executemany(self, statement: str, *values: Any) -> sqlite3.Cursor:
        self._fail(statement)
        return self._real.executemany(statement, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def inject(store: SqliteStore, fail: Callable[[str], None]) -> None:
    """Every statement that the store writes with meets *fail* first."""
    store._writer._database = Faulty(store._database, fail)  # type: ignore[assignment]


def sqlite_error(name: str) -> sqlite3.OperationalError:
    """The error that SQLite raises under this name."""
    error = sqlite3.OperationalError(name.lower())
    error.sqlite_errorname = name
    return error


class SlowDisk:
    """A disk whose COMMITs wait, in their thread, until they are let go."""

    def __init__(self, store: SqliteStore) -> None:
        self._loop = asyncio.get_running_loop()
        self._go = threading.Semaphore(0)
        self.reached = asyncio.Event()
        store._writer._commit_s = 1e9  # as if it had been slow for long
        inject(store, self._wait)

    def _wait(self, statement: str) -> None:
        if statement == "COMMIT":
            self._loop.call_soon_threadsafe(self.reached.set)
            assert self._go.acquire(timeout=20)

    async def committing(self) -> None:
        """A COMMIT is on its way and stays there."""
        async with asyncio.timeout(20):
            await self.reached.wait()
        self.reached.clear()

    def let_go(self, times: int = 1) -> None:
        self._go.release(times)


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[Files]:
    files = Files(tmp_path)
    yield files
    await files.close()
