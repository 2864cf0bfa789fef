"""What a server promises is asked when a store opens: one that may forget is refused unless allowed."""

import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from avtomatika import stores
from avtomatika.app.backends import open_backend
from avtomatika.clock import SystemClock, SystemNames
from avtomatika.errors import ConfigError, StorageFull, Unavailable
from avtomatika.ports.store import Commit, Durability, KeyTaken
from avtomatika.services.supervisor import Supervisor
from avtomatika.settings import read
from avtomatika.storage import RedisStorage
from avtomatika.stores.redis import checks, line
from avtomatika.stores.redis.opening import Place
from avtomatika.testing.contract.values import T0, a_claim, a_job, at, create
from tests.integration.redis.conftest import Open
from tests.servers.fixtures import valkey_program
from tests.servers.process import until
from tests.servers.valkey import ValkeyServer

Start = Callable[..., ValkeyServer]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers with settings of the test."""
    servers: list[ValkeyServer] = []

    def start(primary: ValkeyServer | None = None, **options: Any) -> ValkeyServer:
        server = ValkeyServer(valkey_program(), **options)
        server.follow(primary)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.remove()


@pytest.mark.parametrize(("fsync", "loss"), [("always", 0.0), ("everysec", 2.0)])
async def test_what_is_promised_is_what_the_server_is_set_to(
    start: Start, open_at: Open, fsync: str, loss: float
) -> None:
    store, _ = await open_at(start(appendfsync=fsync).url())
    assert store.durability == Durability("redis", fsync, loss, 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"appendonly": "no"}, "appendonly yes"),
        ({"appendfsync": "no"}, "appendfsync always"),
        ({"maxmemory_policy": "allkeys-lru"}, "noeviction"),
    ],
)
async def test_a_server_that_may_forget_is_refused_unless_that_is_allowed(
    start: Start, open_at: Open, options: dict[str, str], said: str
) -> None:
    server = start(**options)
    with pytest.raises(ConfigError, match=said) as caught:
        await open_at(server.url())
    assert "AVTOMATIKA_ALLOW_VOLATILE_REDIS" in caught.value.message
    store, _ = await open_at(server.url(), volatile=True)
    if "maxmemory_policy" not in options:
        assert (store.durability.fsync, store.durability.accepted_loss_window_s) == ("none", None)


async def test_a_server_that_does_not_say_is_used_with_a_warning(
    start: Start, open_at: Open, caplog: pytest.LogCaptureFixture
) -> None:
    server = start()
    server.command("ACL", "SETUSER", "app", "on", ">p", "~*", "&*", "+@all", "-config")
    with caplog.at_level(logging.WARNING, "avtomatika"):
        store, _ = await open_at(server.url().replace("redis://", "redis://app:p@"))
    assert store.durability == Durability("redis", "unknown", None, 0)
    assert "redis.unchecked" in caplog.text
    await create(store, a_job())


async def test_a_wrong_password_is_a_matter_of_configuration_and_never_shown(
    start: Start, open_at: Open
) -> None:
    server = start(requirepass="right")
    with pytest.raises(ConfigError) as caught:
        await open_at(server.url().replace("right", "hidden"))
    assert "hidden" not in str(caught.value)
    await open_at(server.url())


@pytest.mark.parametrize(
    "url",
    [
        "redis://h:hidden@host:port/0",
        "redis+sentinel://:hidden@h:1",
        "redis+sentinel://:hidden@h:1,/s",
        "redis+cluster://:hidden@",
    ],
)
async def test_an_address_that_is_none_is_refused_without_being_shown(open_at: Open, url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await open_at(url)
    assert "hidden" not in str(caught.value)


async def test_a_server_that_is_not_there_is_unavailable(
    start: Start, open_at: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start()
    server.kill()
    monkeypatch.setattr(checks, "PATIENCE_S", 0.5)
    with pytest.raises(Unavailable):
        await open_at(server.url())


async def test_a_server_without_memory_refuses_and_loses_nothing(start: Start, open_at: Open) -> None:
    server = start()
    store, _ = await open_at(server.url())
    await create(store, a_job())
    server.command("CONFIG", "SET", "maxmemory", "1mb")
    with pytest.raises(StorageFull):
        await store.commit(Commit(now=T0, job=a_job(version=2), expected=1))
    assert await store.load(a_job().id) == a_job()
    server.command("CONFIG", "SET", "maxmemory", "0")
    await store.commit(Commit(now=T0, job=a_job(version=2), expected=1))


async def test_nothing_is_accepted_that_no_replica_has_when_that_is_wanted(
    start: Start, open_at: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    primary = start(appendfsync="always", repl_diskless_sync_delay="0")
    with pytest.raises(ConfigError, match="REPLICATED"):
        await open_at(primary.url(), replicated=True)
    replica = start(primary, appendfsync="always")
    until(lambda: replica.info()["master_link_status"] == "up")
    monkeypatch.setattr(checks, "REPLICAS_MS", (5, 20, 80, 200))
    store, _ = await open_at(primary.url(), replicated=True)
    assert store.durability == Durability("redis", "always", 0.0, 1)
    await store.commit(Commit(now=T0, job=a_job(), claim=a_claim(expires_at=at(9))))
    assert int(replica.command("DBSIZE")) > 0
    replica.pause()
    monkeypatch.setattr(line, "PATIENCE_S", 0.5)
    with pytest.raises(Unavailable):
        await create(store, a_job("k"))
    monkeypatch.setattr(line, "PATIENCE_S", 10.0)
    replica.go_on()
    await create(store, a_job("l"))
    with pytest.raises(KeyTaken):
        await store.commit(Commit(now=T0, claim=a_claim(expires_at=at(9))))


async def test_a_store_that_is_open_twice_is_one_store(valkey_url: str, open_at: Open) -> None:
    one, _ = await open_at(valkey_url)
    two, _ = await open_at(valkey_url)
    await create(one, a_job())
    assert await two.load(a_job().id) == a_job()


async def test_time_goes_on_and_never_back(valkey_server: ValkeyServer, open_at: Open) -> None:
    store, _ = await open_at(valkey_server.url())
    first = await store.time()
    assert first is not None
    prefix = valkey_server.command("KEYS", "*:time")[-1]
    for key in valkey_server.command("KEYS", "*:time"):
        valkey_server.command("SET", key, f"{first + 60_000:020d}")
    assert prefix
    assert await store.time() == first + 60_000


async def test_who_has_not_installed_the_extra_is_told_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "redis", stores.redis)  # which the import below replaces
    for name in [name for name in sys.modules if name.startswith("avtomatika.stores.redis")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis.asyncio.connection", None)
    settings = read({"STORAGE_URL": "redis://localhost"})
    with pytest.raises(ConfigError, match=r"avtomatika\[redis\]"):
        await open_backend(settings, SystemClock(), SystemNames(), Supervisor())


def test_the_address_is_never_shown() -> None:
    place = Place("redis://:hidden@h/0", "p")
    assert "hidden" not in repr(place) + repr(RedisStorage(place.url))
