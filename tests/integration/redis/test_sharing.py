"""Several nodes at one store: nobody gets what another has, and everybody hears."""

import asyncio

import pytest
import redis.asyncio

from avtomatika.errors import AvtomatikaError, ConfigError
from avtomatika.kernel.ids import JobId
from avtomatika.ports.store import Commit, KeyTaken, LeaseLost
from avtomatika.storage import RedisStorage
from avtomatika.testing.contract.values import T0, TTL, a_claim, a_job, a_message, at, grab_one, names, send
from avtomatika.testing.contract.waiting import wakes
from tests.integration.redis.conftest import Cutter, Open
from tests.servers.valkey import ValkeyServer

FAR = 3_600_000


@pytest.mark.parametrize("kind", ["valkey_url", "valkey_cluster_url"])
async def test_thirty_creations_with_one_key_make_one_job(
    request: pytest.FixtureRequest, open_at: Open, kind: str
) -> None:
    url = request.getfixturevalue(kind)
    stores = [(await open_at(url))[0] for _ in range(3)]

    async def create(n: int) -> str:
        claim = a_claim(job=f"j{n}", expires_at=at(9))
        try:
            await stores[n % 3].commit(Commit(now=T0, job=a_job(f"j{n}"), claim=claim))
        except KeyTaken as taken:
            return taken.claim.job
        return f"j{n}"

    made = set(await asyncio.gather(*(create(n) for n in range(30))))
    assert len(made) == 1
    assert sum((await stores[0].tally()).values()) == 1


@pytest.mark.parametrize("kind", ["valkey_url", "valkey_cluster_url"])
async def test_of_twenty_who_race_for_ten_messages_each_has_another(
    request: pytest.FixtureRequest, open_at: Open, kind: str
) -> None:
    url = request.getfixturevalue(kind)
    stores = [(await open_at(url))[0] for _ in range(4)]
    await send(stores[0], *(a_message(f"m{n}") for n in range(10)))
    given = await asyncio.gather(
        *(stores[n % 4].lease(("q",), owner=f"w{n}", now=T0, ttl=TTL, limit=1) for n in range(20))
    )
    assert sorted(name for leases in given for name in names(leases)) == sorted(f"m{n}" for n in range(10))


async def test_an_owner_that_was_taken_for_dead_cannot_acknowledge(valkey_url: str, open_at: Open) -> None:
    (one, _), (two, _) = await open_at(valkey_url), await open_at(valkey_url)
    await send(one, a_message())
    zombie = await grab_one(one)
    fresh = await grab_one(two, now=at(TTL))
    with pytest.raises(LeaseLost):
        await one.commit(Commit(now=at(TTL), ack=(zombie,)))
    await two.commit(Commit(now=at(TTL), ack=(fresh,)))


async def test_moves_of_one_job_by_many_nodes_have_no_gap(valkey_url: str, open_at: Open) -> None:
    stores = [(await open_at(valkey_url))[0] for _ in range(4)]
    await stores[0].commit(Commit(now=T0, job=a_job()))

    async def move(n: int) -> None:
        store = stores[n % 4]
        while True:
            job = await store.load(JobId("j"))
            assert job is not None
            try:
                await store.commit(Commit(now=T0, job=a_job(version=job.version + 1), expected=job.version))
            except AvtomatikaError:
                continue
            return

    await asyncio.gather(*(move(n) for n in range(20)))
    job = await stores[0].load(JobId("j"))
    assert job is not None
    assert job.version == 21


@pytest.mark.parametrize("kind", ["valkey_url", "valkey_cluster_url"])
async def test_nodes_hear_of_what_others_did(
    request: pytest.FixtureRequest, open_at: Open, kind: str
) -> None:
    url = request.getfixturevalue(kind)
    (one, _), (two, _) = await open_at(url), await open_at(url)

    async def stir(n: int) -> None:
        await one.commit(Commit(now=T0, send=(a_message(f"m{n}", "f:one"),)))

    await wakes(two.wait(("f",), until=at(FAR)), stir)

    async def say(_: int) -> None:
        await one.announce(("mail:w",))

    await wakes(two.wait(("mail:w",), until=at(FAR)), say)


async def test_nodes_hear_again_after_the_server_was_away(valkey_server: ValkeyServer, open_at: Open) -> None:
    (one, _), (two, _) = await open_at(valkey_server.url()), await open_at(valkey_server.url())
    await asyncio.to_thread(valkey_server.restart)

    async def say(_: int) -> None:
        await one.announce(("mail:w",))

    await wakes(two.wait(("mail:w",), until=at(FAR)), say)


async def test_whoever_hears_nothing_asks_whether_the_server_is_there(
    cutter: Cutter, open_at: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avtomatika.stores.redis.news.QUIET_S", 0.05)
    store, _ = await open_at(cutter.url)
    await cutter.until_heard(b"PING", 3)
    assert cutter.heard.count(b"SUBSCRIBE") == 1
    cutter.after("PING")
    await cutter.until_heard(b"SUBSCRIBE", 2)
    await store.announce(("mail:w",))
    await cutter.until_heard(b"PUBLISH", 1)


async def test_who_finds_another_primary_listens_there(cutter: Cutter, open_at: Open) -> None:
    store, _ = await open_at(cutter.url)
    await cutter.until_heard(b"SUBSCRIBE", 1)
    cutter.after("HMGET")
    assert await store.load(JobId("j")) is None
    assert cutter.cut == 1
    await cutter.until_heard(b"SUBSCRIBE", 2)


async def test_an_engine_takes_the_address_of_a_client(valkey_url: str, open_at: Open) -> None:
    async with redis.asyncio.Redis.from_url(valkey_url) as client:
        store, _ = await open_at(RedisStorage(client).url)
        assert await store.load(JobId("j")) is None
    assert RedisStorage(valkey_url, prefix="p").url == valkey_url
    there = redis.asyncio.Redis(host="h", port=7, db=2, username="u", password="p@/", ssl=True)
    assert RedisStorage(there).url.startswith("rediss://u:p%40%2F@h:7/2?")
    with pytest.raises(ConfigError):
        RedisStorage(object())
