"""Topologies that lose their primary go on with another, which has what the first had."""

from tests.servers.cluster import ClusterTopology
from tests.servers.sentinel import SentinelTopology
from tests.servers.valkey import ValkeyServer


def test_sentinels_elect_another_primary_and_make_the_old_one_its_replica(
    valkey_sentinels: SentinelTopology,
) -> None:
    first = valkey_sentinels.primary()
    first.command("SET", "key", "value")
    first.command("WAIT", "2", "5000")
    assert valkey_sentinels.kill_primary() is first
    second = valkey_sentinels.wait_for_another(first)
    assert second is not first
    assert second.command("GET", "key") == "value"
    second.command("SET", "key", "other")
    valkey_sentinels.bring_back(first, unaware=True)
    assert first in valkey_sentinels.replicas()
    assert first.command("GET", "key") == "other"


def holder(topology: ClusterTopology, key: str, value: str) -> ValkeyServer:
    primary = topology.primary_of(key)
    primary.command("SET", key, value)
    primary.command("WAIT", "1", "5000")
    return primary


def test_a_cluster_goes_on_with_the_replica(valkey_shards: ClusterTopology) -> None:
    key = "{a}key"
    first = holder(valkey_shards, key, "value")
    assert valkey_shards.kill_primary_of(key) is first
    second = valkey_shards.wait_for_another(key)
    assert second is not first
    assert second.command("GET", key) == "value"
    valkey_shards.bring_back(first)
    assert valkey_shards.primary_of(key) is second


def test_the_slots_of_a_cluster_are_shared(valkey_shards: ClusterTopology) -> None:
    assert len({valkey_shards.primary_of(f"{{{n}}}").port for n in range(20)}) == 3
