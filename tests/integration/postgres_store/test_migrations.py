"""The schema grows step by step, once, and nodes of the release before go on meanwhile."""

import asyncio

import asyncpg
import pytest

from avtomatika.clock import SystemClock, SystemNames
from avtomatika.errors import ConfigError
from avtomatika.kernel.ids import JobId
from avtomatika.ports.store import Commit
from avtomatika.stores.postgres import migrations
from avtomatika.stores.postgres.migrations import SCHEMA as NEWEST
from avtomatika.stores.postgres.migrations import Step
from avtomatika.stores.postgres.opening import open_postgres
from avtomatika.stores.postgres.store import PostgresStore
from avtomatika.testing.contract.values import T0, a_job, create
from tests.integration.postgres_store.conftest import SCHEMA

NEXT = Step(
    NEWEST + 1,
    pre="ALTER TABLE job ADD COLUMN colour text; CREATE TABLE paint (colour text PRIMARY KEY)",
    post="ALTER TABLE job ALTER COLUMN colour SET DEFAULT 'red'; CREATE TABLE dry ()",
)
LAST = Step(NEWEST + 2, pre="CREATE TABLE brush ()")


async def opened(uri: str, *more: Step) -> PostgresStore:
    known = [*migrations.steps(), *more]
    store, _ = await open_postgres(
        uri, SCHEMA, now=SystemClock().now, tokens=SystemNames().token, steps=known
    )
    return store


async def state(other: asyncpg.Connection) -> tuple[int, int]:
    return tuple(await other.fetchrow("SELECT pre, post FROM schema_state"))


async def test_nodes_that_start_at_once_make_the_schema_once(own_uri: str, other: asyncpg.Connection) -> None:
    stores = await asyncio.gather(*(opened(own_uri) for _ in range(5)))
    assert await state(other) == (NEWEST, NEWEST)
    for n, store in enumerate(stores):
        await create(store, a_job(f"j{n}"))
    assert await stores[0].unfinished() == 5
    for store in stores:
        await store.close()


async def test_old_nodes_go_on_while_new_ones_come_one_after_another(
    own_uri: str, other: asyncpg.Connection
) -> None:
    old = await opened(own_uri)
    await create(old, a_job())
    new = await opened(own_uri, NEXT)
    assert await state(other) == (NEWEST + 1, NEWEST)
    await old.commit(Commit(now=T0, job=a_job(version=2), expected=1))
    restarted = await opened(own_uri)
    await restarted.commit(Commit(now=T0, job=a_job(version=3), expected=2))
    await new.commit(Commit(now=T0, job=a_job(version=4), expected=3))
    assert await old.load(JobId("j")) == a_job(version=4)
    await old.close()
    await restarted.close()
    newer = await opened(own_uri, NEXT, LAST)
    assert await state(other) == (NEWEST + 2, NEWEST + 1)
    with pytest.raises(ConfigError, match=f"this release knows up to {NEWEST}"):
        await opened(own_uri)
    await new.commit(Commit(now=T0, job=a_job(version=5), expected=4))
    await (await opened(own_uri, NEXT)).close()
    await newer.commit(Commit(now=T0, job=a_job(version=6), expected=5))
    for store in (new, newer):
        await store.close()


async def test_a_step_that_fails_leaves_nothing_behind(own_uri: str, other: asyncpg.Connection) -> None:
    await (await opened(own_uri)).close()
    broken = Step(NEWEST + 1, pre="CREATE TABLE half (); SELECT 1/0")
    with pytest.raises(Exception, match="division"):
        await opened(own_uri, broken)
    assert await state(other) == (NEWEST, NEWEST)
    assert await other.fetchval("SELECT to_regclass('half')") is None


async def test_a_new_database_needs_nothing_that_only_old_nodes_did(
    own_uri: str, other: asyncpg.Connection
) -> None:
    await (await opened(own_uri, NEXT)).close()
    assert await state(other) == (NEWEST + 1, NEWEST + 1)
    assert await other.fetchval("SELECT to_regclass('dry')") is not None
