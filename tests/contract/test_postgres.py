"""The store in PostgreSQL keeps the contract."""

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from avtomatika.ports.registry import Registry
from avtomatika.ports.shelf import Shelf
from avtomatika.ports.store import Store
from avtomatika.stores.postgres.opening import open_postgres
from avtomatika.stores.postgres.registry import PostgresRegistry
from avtomatika.stores.postgres.store import PostgresStore
from avtomatika.testing.registry_contract import RegistryContract
from avtomatika.testing.shelf_contract import DurableShelfContract
from avtomatika.testing.store_contract import CountedTokens, DurableStoreContract, Restart, VirtualClock
from tests.servers.postgres import PostgresServer

DATABASE = "contract"
KILLED = "server killed"
TABLES = ("job", "label", "fact", "branch", "message", "claim", "item", "doc", "tally", "total", "applied")

Opened = tuple[PostgresStore, PostgresRegistry]
Open = Callable[[], Awaitable[Opened]]


@pytest.fixture
async def emptied(postgres_server: PostgresServer) -> str:
    """One database of the server for all tests here: each begins by emptying it."""
    try:
        connection = await asyncpg.connect(postgres_server.uri(DATABASE))
    except asyncpg.InvalidCatalogNameError:
        connection = await asyncpg.connect(postgres_server.uri())
        await connection.execute(f"CREATE DATABASE {DATABASE} ENCODING 'UTF8' TEMPLATE template0")
    else:
        await connection.execute(";".join(f"DELETE FROM avtomatika.{table}" for table in TABLES))
    await connection.close()
    return postgres_server.uri(DATABASE)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def tokens() -> CountedTokens:
    return CountedTokens()


@pytest.fixture
async def open_store(emptied: str, clock: VirtualClock, tokens: CountedTokens) -> AsyncIterator[Open]:
    opened: list[PostgresStore] = []

    async def open_store() -> Opened:
        store, registry = await open_postgres(emptied, "avtomatika", now=clock.now, tokens=tokens)
        opened.append(store)
        return store, registry

    yield open_store
    for store in opened:
        await store.close()


@pytest.fixture
async def first_life(open_store: Open) -> Opened:
    return await open_store()


@pytest.fixture(params=["closed", "left alone", KILLED])
def next_life(request: pytest.FixtureRequest, open_store: Open, postgres_server: PostgresServer) -> Restart:
    """Left alone: the next process finds what is there while this one is still connected."""

    async def next_life(store: Store) -> Store:
        if request.param == "closed":
            await store.close()
        if request.param == KILLED:
            postgres_server.restart()
        return (await open_store())[0]

    return next_life


class TestPostgresStore(DurableStoreContract):
    @pytest.fixture
    def store(self, first_life: Opened) -> Store:
        return first_life[0]

    @pytest.fixture
    def restart(self, next_life: Restart) -> Restart:
        return next_life


class TestPostgresShelf(DurableShelfContract):
    @pytest.fixture
    def shelf(self, first_life: Opened) -> Shelf:
        return first_life[0].shelf

    @pytest.fixture
    def restart(self, first_life: Opened, next_life: Restart) -> Callable[[], Awaitable[Shelf]]:
        async def restart() -> Shelf:
            return (await next_life(first_life[0])).shelf

        return restart


class TestPostgresRegistry(RegistryContract):
    @pytest.fixture
    def registry(self, first_life: Opened) -> Registry:
        return first_life[1]
