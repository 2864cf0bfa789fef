"""A store goes on with the primary that takes the place of a dead one."""

import asyncio
import gc
from collections.abc import Iterator

import pytest
from msgspec import Raw

from avtomatika.kernel.ids import JobId
from avtomatika.ports.store import Commit
from avtomatika.stores.redis.calls import Calls
from avtomatika.stores.redis.primary import connect_with_scripts, primary_of
from avtomatika.stores.redis.shelf import RedisShelf
from avtomatika.testing.contract.values import T0, a_job, at, create
from avtomatika.testing.contract.waiting import wakes
from tests.integration.redis.conftest import Open
from tests.servers.cluster import ClusterTopology
from tests.servers.fixtures import valkey_program
from tests.servers.process import until
from tests.servers.sentinel import SentinelTopology
from tests.servers.valkey import ValkeyServer

FAR = 3_600_000


async def test_sentinels_say_where_a_store_goes_on_and_what_a_replica_had_is_there(
    valkey_sentinels: SentinelTopology, open_at: Open
) -> None:
    store, _ = await open_at(valkey_sentinels.url(), replicated=True)
    other, _ = await open_at(valkey_sentinels.url(), replicated=True)
    assert store.durability.replicated == 1
    await create(store, *(a_job(f"j{n}") for n in range(5)))
    dead = await asyncio.to_thread(valkey_sentinels.kill_primary)
    going = [asyncio.ensure_future(store.load(JobId(f"j{n}"))) for n in range(5)]
    await asyncio.to_thread(valkey_sentinels.wait_for_another, dead)
    assert await asyncio.gather(*going) == [a_job(f"j{n}") for n in range(5)]
    await store.commit(Commit(now=T0, job=a_job("j0", version=2), expected=1))

    async def say(_: int) -> None:
        await store.announce(("mail:w",))

    await wakes(other.wait(("mail:w",), until=at(FAR)), say)
    await asyncio.to_thread(valkey_sentinels.bring_back, dead)


async def test_a_store_follows_its_slot_through_a_cluster(
    valkey_shards: ClusterTopology, storage_prefix: str, open_at: Open
) -> None:
    safe, _ = await open_at(valkey_shards.url(), replicated=True)
    await create(safe, *(a_job(f"j{n}") for n in range(5)))
    store, registry = await open_at(valkey_shards.url())
    assert store.durability.accepted_loss_window_s is None
    key = f"{{{storage_prefix}}}"
    dead = await asyncio.to_thread(valkey_shards.kill_primary_of, key)
    going = asyncio.ensure_future(store.commit(Commit(now=T0, job=a_job("j0", version=2), expected=1)))
    await asyncio.to_thread(valkey_shards.wait_for_another, key)
    await going
    assert await store.load(JobId("j0")) == a_job("j0", version=2)
    assert sum((await store.tally()).values()) == 5
    assert await registry.scan("kind", now=T0) == []
    await asyncio.to_thread(valkey_shards.bring_back, dead)


@pytest.fixture
def pair() -> Iterator[tuple[ValkeyServer, ValkeyServer]]:
    """A primary and its replica."""
    primary, replica = ValkeyServer(valkey_program()), ValkeyServer(valkey_program())
    primary.start()
    replica.follow(primary)
    replica.start()
    until(lambda: replica.info("INFO", "replication")["master_link_status"] == "up")
    yield primary, replica
    replica.remove()
    primary.remove()


async def test_what_waits_for_a_replica_when_its_primary_is_put_aside_goes_to_the_next(
    pair: tuple[ValkeyServer, ValkeyServer], open_at: Open, caplog: pytest.LogCaptureFixture
) -> None:
    primary, replica = pair
    store, _ = await open_at(primary.url(), replicated=True)
    replica.pause()
    waiting = asyncio.ensure_future(create(store, a_job()))
    await asyncio.to_thread(until, lambda: primary.info()["blocked_clients"] != "0")
    primary.command("REPLICAOF", "127.0.0.1", str(replica.port))
    await asyncio.to_thread(until, lambda: primary.info()["blocked_clients"] == "0")
    primary.command("REPLICAOF", "NO", "ONE")
    replica.go_on()
    await waiting
    assert await store.load(a_job().id) == a_job()
    gc.collect()
    assert "never retrieved" not in caplog.text


async def test_who_hears_of_another_primary_by_a_write_reads_from_it_too(
    pair: tuple[ValkeyServer, ValkeyServer], storage_prefix: str
) -> None:
    """One that stood still believes for seconds to be what it was. It takes nothing, but would answer."""
    deposed, successor = pair
    places = [primary_of(server.url(), storage_prefix) for server in pair]
    calls = Calls(lambda: connect_with_scripts(places[0]), storage_prefix, "node")
    shelf = RedisShelf(calls)
    await shelf.put("store", "key", Raw(b'"before"'))
    assert await shelf.get("store", "key") == Raw(b'"before"')
    successor.command("REPLICAOF", "NO", "ONE")
    deposed.command("CONFIG", "SET", "min-replicas-to-write", "1")
    del places[0]
    await shelf.put("store", "key", Raw(b'"after"'))
    assert await shelf.get("store", "key") == Raw(b'"after"')
    await calls.close()
