"""The Valkey of the tests does what tests need of it."""

from collections.abc import Iterator

import pytest
import redis

from tests.servers.fixtures import valkey_program
from tests.servers.valkey import ValkeyServer


@pytest.fixture(params=["alone", "cluster"])
def server(request: pytest.FixtureRequest) -> Iterator[ValkeyServer]:
    server = ValkeyServer(valkey_program(), cluster=request.param == "cluster", requirepass="p/w@:#")
    server.start()
    yield server
    server.remove()


def test_a_server_that_was_killed_has_its_data_on_the_same_port(server: ValkeyServer) -> None:
    url = server.url()
    server.command("SET", "{tag}key", "value")
    server.restart()
    assert server.url() == url
    assert server.command("GET", "{tag}key") == "value"


def test_a_server_that_was_paused_goes_on(server: ValkeyServer) -> None:
    server.pause()
    with server.client() as client:
        client.connection_pool.connection_kwargs["socket_timeout"] = 0.1
        with pytest.raises(redis.exceptions.TimeoutError):
            client.ping()
    server.go_on()
    assert server.command("PING")


def test_options_are_settings_of_the_server() -> None:
    server = ValkeyServer(valkey_program(), appendonly="no", maxmemory_policy="allkeys-lru")
    try:
        server.start()
        assert server.command("CONFIG", "GET", "appendonly")["appendonly"] == "no"
        assert server.command("CONFIG", "GET", "maxmemory-policy")["maxmemory-policy"] == "allkeys-lru"
    finally:
        server.remove()


def test_the_servers_of_a_session_are_there_for_every_test(
    valkey_url: str, valkey_cluster_url: str, storage_prefix: str
) -> None:
    assert valkey_url.startswith("redis://")
    assert valkey_cluster_url.startswith("redis+cluster://")
    assert storage_prefix.replace("_", "").isalnum()
