"""The ways in which a store loses its primary, whatever chooses the next one."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from tests.servers.cluster import ClusterTopology
from tests.servers.process import until
from tests.servers.sentinel import SentinelTopology
from tests.servers.valkey import ValkeyServer

SHORT, LONG = 0.0, 6.0
"""How long a primary stands still after another was elected: calls still wait for it, or were given up."""

LAG, STALL = 1.2, 6.0
"""How long replicas hear nothing before their primary dies: it still accepts, or has long noticed."""


class Primaries(Protocol):
    """A primary with replicas."""

    def url(self) -> str: ...
    def primary(self) -> ValkeyServer: ...
    def replicas(self) -> Sequence[ValkeyServer]: ...
    def wait_for_another(self, gone: ValkeyServer) -> ValkeyServer: ...
    def bring_back(self, gone: ValkeyServer) -> None: ...


class BySentinels:
    """Three sentinels choose."""

    def __init__(self, topology: SentinelTopology) -> None:
        self._topology = topology

    def url(self) -> str:
        """What `STORAGE_URL` says."""
        return self._topology.url()

    def primary(self) -> ValkeyServer:
        """The server that they all call the primary."""
        return self._topology.primary()

    def replicas(self) -> Sequence[ValkeyServer]:
        """The others."""
        return self._topology.replicas()

    def wait_for_another(self, gone: ValkeyServer) -> ValkeyServer:
        """The one that took its place."""
        return self._topology.wait_for_another(gone)

    def bring_back(self, gone: ValkeyServer) -> None:
        """It is a replica, in sync. Who was paused believes to be what it was, until sentinels tell it."""
        self._topology.bring_back(gone, unaware=gone.running)


class InCluster:
    """The other primaries of a cluster choose; the store is where *key* is."""

    def __init__(self, topology: ClusterTopology, key: str) -> None:
        self._topology, self._key = topology, key

    def url(self) -> str:
        """What `STORAGE_URL` says."""
        return self._topology.url()

    def primary(self) -> ValkeyServer:
        """The node that has the slot of the key."""
        return self._topology.primary_of(self._key)

    def replicas(self) -> Sequence[ValkeyServer]:
        """Its replica."""
        return [server for server in self._topology.servers if self._follows(server)]

    def wait_for_another(self, gone: ValkeyServer) -> ValkeyServer:
        """The one that took its place."""
        others = [server for server in self._topology.servers if server is not gone and server.running]
        until(lambda: all(served(server, self._key) != gone.port for server in others))
        return next(server for server in others if server.port == served(others[0], self._key))

    def bring_back(self, gone: ValkeyServer) -> None:
        """It is a replica, in sync."""
        self._topology.bring_back(gone)

    def _follows(self, server: ValkeyServer) -> bool:
        return server.running and server.info("INFO", "replication").get("master_port") == str(
            self.primary().port
        )


def served(server: ValkeyServer, key: str) -> int | None:
    """The port of the primary of the key, as far as the server knows."""
    slot = int(server.command("CLUSTER", "KEYSLOT", key))
    shards = server.command("CLUSTER", "SLOTS")
    return next((int(shard[2][1]) for shard in shards if shard[0] <= slot <= shard[1]), None)


Look = Callable[[ValkeyServer], None]


def kill(store: Primaries, look: Look) -> tuple[float, float]:
    """The primary was killed, another is there and was looked at, and the old one follows it.

    When that began, and from when on the old one could have taken nothing.
    """
    gone = store.primary()
    begun = time.monotonic()
    gone.kill()
    dead = time.monotonic()
    look(store.wait_for_another(gone))
    store.bring_back(gone)
    return begun, dead


def kill_ahead(store: Primaries, look: Look, *, behind: int, by: float) -> tuple[float, float]:
    """As `kill` of a primary of which so many replicas have heard nothing for *by* seconds.

    They die with it: what was on the way to them is lost.
    """
    gone = store.primary()
    lagging = store.replicas()[:behind]
    begun = time.monotonic()
    for replica in lagging:
        replica.pause()
    time.sleep(by)
    gone.kill()
    dead = time.monotonic()
    for replica in lagging:
        replica.kill()
        replica.follow(gone)
        replica.start()
    look(store.wait_for_another(gone))
    store.bring_back(gone)
    return begun, dead


def pause(store: Primaries, look: Look, *, longer: float) -> tuple[float, float]:
    """As `kill` of a primary that stands still, and goes on *longer* seconds after another was there."""
    gone = store.primary()
    stopped = time.monotonic()
    gone.pause()
    try:
        look(store.wait_for_another(gone))
        time.sleep(longer)
    finally:
        gone.go_on()
    awake = time.monotonic()
    store.bring_back(gone)
    return stopped, awake
