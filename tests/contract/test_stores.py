"""Every store keeps the contract."""

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from avtomatika.errors import StorageBroken
from avtomatika.ports.store import Store
from avtomatika.stores.memory import MemoryStore
from avtomatika.stores.sql import group_commit
from avtomatika.stores.sql.sqlite import SqliteStore
from avtomatika.testing.store_contract import (
    CountedTokens,
    DurableStoreContract,
    Restart,
    StoreContract,
    VirtualClock,
)

Open = Callable[[Path], SqliteStore]


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self, clock: VirtualClock, tokens: CountedTokens) -> Store:
        return MemoryStore(now=clock.now, tokens=tokens)


class TestSqliteStore(DurableStoreContract):
    @pytest.fixture
    async def open_store(self, clock: VirtualClock, tokens: CountedTokens) -> AsyncIterator[Open]:
        opened: list[SqliteStore] = []
        failures: list[StorageBroken] = []

        def open_store(path: Path) -> SqliteStore:
            store = SqliteStore(path, now=clock.now, tokens=tokens, broken=failures.append)
            opened.append(store)
            return store

        yield open_store
        for store in opened:
            await store.close()
        assert failures == []

    @pytest.fixture
    def store(self, open_store: Open, tmp_path: Path) -> Store:
        return open_store(tmp_path / "first" / "avtomatika.db")

    @pytest.fixture(params=["closed", "killed"])
    def restart(self, request: pytest.FixtureRequest, open_store: Open, tmp_path: Path) -> Restart:
        """Killed: the next process finds the files as they are while this one still has them open."""
        lives = 0

        async def restart(store: Store) -> Store:
            nonlocal lives
            lives += 1
            here = tmp_path / ("first" if lives == 1 else f"life{lives - 1}")
            there = tmp_path / f"life{lives}"
            if request.param == "closed":
                await store.close()
            there.mkdir()
            for file in here.glob("avtomatika.db*"):
                if not file.name.endswith("-shm"):  # what a power cut would not leave either
                    shutil.copy(file, there)
            return open_store(there / "avtomatika.db")

        return restart


class TestSqliteStoreThatCommitsInAThread(TestSqliteStore):
    @pytest.fixture(autouse=True)
    def every_commit_counts_as_slow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(group_commit, "SLOW_COMMIT_S", 0.0)
