"""Nodes that share a database."""

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from avtomatika.clock import SystemClock, SystemNames
from avtomatika.stores.postgres.opening import open_postgres
from avtomatika.stores.postgres.store import PostgresStore

OpenNode = Callable[..., Awaitable[PostgresStore]]
SCHEMA = "jobs"


@pytest.fixture
async def open_node(own_uri: str) -> AsyncIterator[OpenNode]:
    """Opens the store of one more node; all of them are closed after the test."""
    opened: list[PostgresStore] = []

    async def open_node(uri: str = own_uri) -> PostgresStore:
        store, _ = await open_postgres(uri, SCHEMA, now=SystemClock().now, tokens=SystemNames().token)
        opened.append(store)
        return store

    yield open_node
    for store in opened:
        await store.close()


@pytest.fixture
async def other(own_uri: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of somebody else to the same database."""
    connection = await asyncpg.connect(own_uri, server_settings={"search_path": SCHEMA})
    yield connection
    connection.terminate()
