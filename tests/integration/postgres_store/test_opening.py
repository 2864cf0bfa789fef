"""Opening a store: what the database must be like, what is said of it, and what stays secret."""

import sys
from urllib.parse import urlsplit

import asyncpg
import pytest

from avtomatika import stores
from avtomatika.app.backends import open_backend
from avtomatika.clock import SystemClock, SystemNames
from avtomatika.errors import AvtomatikaError, ConfigError, Unavailable
from avtomatika.ports.durability import Durability
from avtomatika.ports.store import Commit
from avtomatika.services.supervisor import Supervisor
from avtomatika.settings import Settings, read
from avtomatika.storage import PostgresStorage
from avtomatika.stores.postgres.opening import open_postgres, promised, standbys_waited_for
from avtomatika.stores.postgres.store import PostgresStore
from avtomatika.testing.contract.values import T0, a_job, create
from tests.integration.postgres_store.conftest import SCHEMA, OpenNode
from tests.servers.postgres import PASSWORD, PostgresServer


async def opened(uri: str, schema: str = SCHEMA) -> PostgresStore:
    store, _ = await open_postgres(uri, schema, now=SystemClock().now, tokens=SystemNames().token)
    return store


async def test_a_server_that_keeps_what_it_was_told_promises_so(own_uri: str) -> None:
    for settings, promise in (
        ({}, Durability("postgres", "none", None)),  # the servers of the tests have `fsync` off
        ({"synchronous_commit": "off"}, Durability("postgres", "none", None)),
    ):
        connection = await asyncpg.connect(own_uri, server_settings=settings)
        assert await promised(connection) == promise
        await connection.close()


async def test_with_fsync_and_synchronous_commits_nothing_accepted_is_lost() -> None:
    class Server:
        def __init__(self, **settings: str) -> None:
            self._settings = {
                "fsync": "on",
                "synchronous_commit": "on",
                "synchronous_standby_names": "",
            } | settings

        async def fetchval(self, query: str) -> str:
            return self._settings[query.removeprefix("SHOW ")]

    safe = Durability("postgres", "always", 0.0)
    assert await promised(Server()) == safe  # type: ignore[arg-type]
    assert await promised(Server(synchronous_commit="local")) == safe  # type: ignore[arg-type]
    assert await promised(Server(synchronous_commit="off")) == Durability("postgres", "none", None)  # type: ignore[arg-type]
    assert await promised(Server(fsync="off")) == Durability("postgres", "none", None)  # type: ignore[arg-type]
    waiting = await promised(Server(synchronous_standby_names="FIRST 2 (a, b, c)"))  # type: ignore[arg-type]
    assert waiting == Durability("postgres", "always", 0.0, 2)
    local = Server(synchronous_standby_names="a", synchronous_commit="local")
    assert await promised(local) == safe  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "count"),
    [
        ("", 0),
        ("*", 1),
        ("a, b", 1),
        ("FIRST 2 (a, b)", 2),
        ("ANY 3(a,b,c)", 3),
        ("2 (a, b)", 2),
        ("any 1 (*)", 1),
    ],
)
def test_the_standbys_that_are_waited_for_are_counted(names: str, count: int) -> None:
    assert standbys_waited_for(names) == count


async def test_what_went_wrong_names_no_password(own_uri: str, postgres_server: PostgresServer) -> None:
    wrong = [
        postgres_server.uri(password="geheim%40x"),
        postgres_server.uri("there_is_none"),
        own_uri.replace(str(postgres_server.port), "1"),
        own_uri + "?sslmode=verify-nothing",
        own_uri + "?sslmode=require",
        own_uri.replace(str(postgres_server.port), "port"),
    ]
    for uri in wrong:
        with pytest.raises((ConfigError, Unavailable)) as caught:
            await opened(uri)
        for secret in ("geheim", PASSWORD, urlsplit(own_uri).password or "none"):
            assert secret not in str(caught.value), uri


async def test_a_role_that_may_not_make_tables_works_where_they_are(
    own_uri: str, open_node: OpenNode, postgres_server: PostgresServer
) -> None:
    first = await opened(own_uri, "other")
    await first.close()
    connection = await asyncpg.connect(own_uri)
    await connection.execute(
        "CREATE ROLE plain LOGIN PASSWORD 'plain'; GRANT USAGE ON SCHEMA other TO plain;"
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA other TO plain;"
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA other TO plain"
    )
    uri = postgres_server.uri(urlsplit(own_uri).path[1:], "plain", "plain")
    try:
        store = await opened(uri, "other")
        await create(store, a_job())
        assert await store.unfinished() == 1
        assert await store.sweep(now=T0, finished_before=T0, limit=1) == 0
        assert await store.time() is not None
        await store.close()
        with pytest.raises(ConfigError, match="a role that may create tables"):
            await opened(uri, "nowhere")
    finally:
        await connection.execute("DROP OWNED BY plain; DROP ROLE plain")
        await connection.close()


async def test_databases_that_cannot_be_used_are_refused(
    own_uri: str, postgres_server: PostgresServer
) -> None:
    connection = await asyncpg.connect(own_uri)
    try:
        await connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        with pytest.raises(ConfigError, match="UTF8"):
            await opened(postgres_server.uri("latin"))
    finally:
        await connection.execute("DROP DATABASE latin WITH (FORCE)")
        await connection.close()


async def test_schemas_do_not_touch_each_other(own_uri: str) -> None:
    one, other = await opened(own_uri, "one"), await opened(own_uri, "Other-1")
    await create(one, a_job())
    assert await other.unfinished() == 0
    await one.close()
    await other.close()


async def test_a_prefix_that_would_be_cut_short_is_refused(own_uri: str) -> None:
    await (await opened(own_uri, "x" * 63)).close()
    with pytest.raises(ConfigError, match="STORAGE_PREFIX"):
        await opened(own_uri, "x" * 64)


def settings(uri: str) -> Settings:
    return read({"STORAGE_URL": uri, "STORAGE_PREFIX": SCHEMA, "CLIENT_TOKEN": "x" * 32})


async def test_names_of_nodes_differ_also_when_their_tokens_do_not(own_uri: str) -> None:
    stores = [
        (await open_postgres(own_uri, SCHEMA, now=SystemClock().now, tokens=lambda: "same"))[0]
        for _ in range(2)
    ]
    for n, store in enumerate(stores):
        await store.commit(Commit(now=T0, job=a_job(f"j{n}")))
    assert await stores[0].unfinished() == 2
    for store in stores:
        await store.close()


async def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "postgres", stores.postgres)  # which the import below replaces
    for module in [name for name in sys.modules if name.startswith("avtomatika.stores.postgres")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(ConfigError, match=r"avtomatika\[postgres\]"):
        await open_backend(
            settings(PostgresStorage("postgresql://h/d").url), SystemClock(), SystemNames(), Supervisor()
        )


async def test_a_url_opens_a_store_and_a_registry(own_uri: str) -> None:
    backend = await open_backend(settings(own_uri), SystemClock(), SystemNames(), Supervisor())
    assert backend.store.durability.backend == "postgres"
    assert await backend.registry.scan("kind", now=T0) == []
    await backend.store.close()
    with pytest.raises(AvtomatikaError):
        await backend.registry.scan("kind", now=T0)
