"""Every store keeps the contract."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from avtomatika.errors import StorageBroken
from avtomatika.ports.registry import Registry
from avtomatika.ports.shelf import Shelf
from avtomatika.ports.store import Store
from avtomatika.stores.memory import MemoryStore
from avtomatika.stores.registry import MemoryRegistry
from avtomatika.stores.sql import group_commit
from avtomatika.stores.sql.sqlite import SqliteStore
from avtomatika.testing.registry_contract import RegistryContract
from avtomatika.testing.shelf_contract import DurableShelfContract, ShelfContract
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


class TestMemoryShelf(ShelfContract):
    @pytest.fixture
    def shelf(self) -> Shelf:
        return MemoryStore(now=VirtualClock().now, tokens=CountedTokens()).shelf


class TestMemoryRegistry(RegistryContract):
    @pytest.fixture
    def registry(self) -> Registry:
        return MemoryRegistry()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def tokens() -> CountedTokens:
    return CountedTokens()


@pytest.fixture
async def open_store(clock: VirtualClock, tokens: CountedTokens) -> AsyncIterator[Open]:
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


@pytest.fixture(params=["closed", "killed"])
def next_life(request: pytest.FixtureRequest, open_store: Open, tmp_path: Path) -> Restart:
    """Killed: the next process finds the files as they are while this one still has them open."""
    lives = 0

    async def next_life(store: Store) -> Store:
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

    return next_life


@pytest.fixture
def first_life(open_store: Open, tmp_path: Path) -> SqliteStore:
    return open_store(tmp_path / "first" / "avtomatika.db")


class TestSqliteStore(DurableStoreContract):
    @pytest.fixture
    def store(self, first_life: SqliteStore) -> Store:
        return first_life

    @pytest.fixture
    def restart(self, next_life: Restart) -> Restart:
        return next_life

    async def lasted(self, store: Store) -> None:
        assert isinstance(store, SqliteStore)
        await store.flush()


class TestSqliteShelf(DurableShelfContract):
    @pytest.fixture
    def shelf(self, first_life: SqliteStore) -> Shelf:
        return first_life.shelf

    @pytest.fixture
    def restart(self, first_life: SqliteStore, next_life: Restart) -> Callable[[], Awaitable[Shelf]]:
        async def restart() -> Shelf:
            store = await next_life(first_life)
            assert isinstance(store, SqliteStore)
            return store.shelf

        return restart


@pytest.fixture
def every_commit_counts_as_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "SLOW_COMMIT_S", 0.0)


@pytest.mark.usefixtures("every_commit_counts_as_slow")
class TestSqliteStoreThatCommitsInAThread(TestSqliteStore):
    """The COMMIT does not run in the loop."""


@pytest.mark.usefixtures("every_commit_counts_as_slow")
class TestSqliteShelfThatCommitsInAThread(TestSqliteShelf):
    """The COMMIT does not run in the loop."""
