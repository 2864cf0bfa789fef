"""The store, the shelf and the registry in a Valkey keep the contract: alone, and in a cluster of one."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from avtomatika.ports.registry import Registry
from avtomatika.ports.shelf import Shelf
from avtomatika.ports.store import Store
from avtomatika.stores.redis.opening import Place, open_redis
from avtomatika.stores.redis.registry import RedisRegistry
from avtomatika.stores.redis.store import RedisStore
from avtomatika.testing.contract.commits import CommitContract
from avtomatika.testing.contract.data import DataContract
from avtomatika.testing.contract.filters import FilterContract
from avtomatika.testing.contract.leases import LeaseContract, OrderContract, ReplacementContract
from avtomatika.testing.contract.peeking import PeekContract
from avtomatika.testing.contract.reading import FactContract, FindContract, SweepContract
from avtomatika.testing.contract.records import BranchContract, ClaimContract
from avtomatika.testing.contract.waiting import QueueContract, WaitContract
from avtomatika.testing.registry_contract import RegistryContract
from avtomatika.testing.shelf_contract import DurableShelfContract, ShelfContract
from avtomatika.testing.store_contract import CountedTokens, DurableStoreContract, Restart, VirtualClock
from tests.servers.fixtures import valkey_program
from tests.servers.valkey import ValkeyServer

Open = Callable[[], Awaitable[tuple[RedisStore, RedisRegistry]]]


@pytest.fixture(scope="module")
def started() -> Iterator[ValkeyServer]:
    """A server that has on its disk what it has accepted: it may be killed at any moment."""
    server = ValkeyServer(valkey_program(), appendfsync="always")
    yield server
    server.remove()


@pytest.fixture
def server(request: pytest.FixtureRequest) -> ValkeyServer:
    """A server that runs: where it is killed, the one that loses nothing by it."""
    called = getattr(request.node, "callspec", None)
    killed = called is not None and "killed" in called.params.values()
    found: ValkeyServer = request.getfixturevalue("started" if killed else "valkey_server")
    found.start()
    return found


@pytest.fixture
def clock() -> VirtualClock:
    """What the store takes for the present."""
    return VirtualClock()


@pytest.fixture
def tokens() -> CountedTokens:
    """Where the store takes the tokens of leases from."""
    return CountedTokens()


@pytest.fixture
async def open_store(
    server: ValkeyServer, storage_prefix: str, clock: VirtualClock, tokens: CountedTokens
) -> AsyncIterator[Open]:
    """Opens the store of the test, again and again."""
    opened: list[RedisStore] = []

    async def open_store() -> tuple[RedisStore, RedisRegistry]:
        place, name = Place(server.url(), storage_prefix), f"test-{len(opened)}"
        found = await open_redis(place, now=clock.now, tokens=tokens, sender=name)
        opened.append(found[0])
        return found

    yield open_store
    for store in opened:
        await store.close()


@pytest.fixture(params=["closed", "killed"])
def next_life(request: pytest.FixtureRequest, server: ValkeyServer, open_store: Open) -> Restart:
    """The next process, after this one was closed, or the server was killed under it."""

    async def next_life(store: Store) -> Store:
        if request.param == "closed":
            await store.close()
        else:
            server.restart()
        return (await open_store())[0]

    return next_life


@pytest.fixture
async def first_life(open_store: Open) -> RedisStore:
    """The store for the first time."""
    return (await open_store())[0]


class TestRedisStore(DurableStoreContract):
    @pytest.fixture
    def store(self, first_life: RedisStore) -> Store:
        return first_life

    @pytest.fixture
    def restart(self, next_life: Restart) -> Restart:
        return next_life


class TestRedisShelf(DurableShelfContract):
    @pytest.fixture
    def shelf(self, first_life: RedisStore) -> Shelf:
        return first_life.shelf

    @pytest.fixture
    def restart(self, first_life: RedisStore, next_life: Restart) -> Callable[[], Awaitable[Shelf]]:
        async def restart() -> Shelf:
            store = await next_life(first_life)
            assert isinstance(store, RedisStore)
            return store.shelf

        return restart


class TestRedisRegistry(RegistryContract):
    @pytest.fixture
    async def registry(self, open_store: Open) -> Registry:
        return (await open_store())[1]


class InACluster:
    """Every key of a script is of one slot, or the server refuses it."""

    @pytest.fixture
    def server(self, valkey_cluster_server: ValkeyServer) -> ValkeyServer:
        return valkey_cluster_server


class TestRedisStoreInACluster(
    InACluster,
    CommitContract,
    ClaimContract,
    BranchContract,
    LeaseContract,
    ReplacementContract,
    OrderContract,
    FactContract,
    FindContract,
    FilterContract,
    SweepContract,
    WaitContract,
    QueueContract,
    PeekContract,
    DataContract,
):
    """All that goes to the server. What is refused before that is the same everywhere."""

    @pytest.fixture
    def durable(self) -> bool:
        return True

    @pytest.fixture
    def store(self, first_life: RedisStore) -> Store:
        return first_life


class TestRedisShelfInACluster(InACluster, ShelfContract):
    @pytest.fixture
    def shelf(self, first_life: RedisStore) -> Shelf:
        return first_life.shelf


class TestRedisRegistryInACluster(InACluster, TestRedisRegistry):
    pass
