"""A cluster: primaries that share the slots, and a replica for each."""

from collections.abc import Iterator
from pathlib import Path

import redis

from tests.servers.process import until
from tests.servers.sentinel import REPLICATION
from tests.servers.valkey import SLOTS, ValkeyServer

NODE_TIMEOUT_MS = 1_000
SETTINGS = REPLICATION | {
    "cluster_node_timeout": str(NODE_TIMEOUT_MS),
    "cluster_replica_validity_factor": "0",  # a replica that lagged behind while the machine was busy may win
}


class ClusterTopology:
    """Starts whole, loses primaries, goes on with their replicas; *options* are settings of every node."""

    def __init__(self, program: Path, *, primaries: int = 3, **options: str) -> None:
        share = -(-SLOTS // primaries)
        slots = [range(first, min(first + share, SLOTS)) for first in range(0, SLOTS, share)]
        settings = SETTINGS | options
        self._first = [ValkeyServer(program, cluster=True, slots=part, **settings) for part in slots]
        self._second = [ValkeyServer(program, cluster=True, slots=range(0), **settings) for _ in slots]
        self.servers = [*self._first, *self._second]
        self._started = False

    def url(self) -> str:
        """The address in the words of `STORAGE_URL`."""
        return "redis+cluster://" + ",".join(server.address for server in self._first)

    def start(self) -> None:
        """All slots are served, and every primary has a replica. Those that a test left dead run again."""
        if self._started:
            for server in self.servers:
                if not server.running:
                    self.bring_back(server)
            return
        self._started = True
        for epoch, server in enumerate(self.servers, 1):
            server.start()
            server.command("CLUSTER", "SET-CONFIG-EPOCH", str(epoch))
        first, *others = self.servers
        for server in others:
            first.command("CLUSTER", "MEET", "127.0.0.1", str(server.port), str(server.bus))
        until(self._all_acquainted, self._told)
        for primary, replica in zip(self._first, self._second, strict=True):
            replica.command("CLUSTER", "REPLICATE", primary.command("CLUSTER", "MYID"))
        self._wait_until_whole()

    def primary_of(self, key: str) -> ValkeyServer:
        """The node that serves the slot of the key, in the eyes of all that run; waits until there is one."""
        found: list[ValkeyServer] = []

        def agreed() -> bool:
            slot = next(self._running()).command("CLUSTER", "KEYSLOT", key)
            ports = {_served_by(server, int(slot)) for server in self._running()}
            found[:] = [server for server in self._running() if {server.port} == ports]
            return bool(found) and _fields(found[0], "INFO", "replication").get("role") == "master"

        until(agreed, self._told)
        return found[0]

    def kill_primary_of(self, key: str) -> ValkeyServer:
        """The node that served the slot of the key is dead; it is returned."""
        primary = self.primary_of(key)
        primary.kill()
        return primary

    def wait_for_another(self, key: str) -> ValkeyServer:
        """The node that serves the key in place of a dead one, in a cluster that works."""
        primary = self.primary_of(key)
        until(self._works, self._told)
        return primary

    def bring_back(self, dead: ValkeyServer) -> None:
        """The node runs again with its old data, as a replica where it was a primary, and is in sync."""
        dead.start()
        self._wait_until_whole()

    def remove(self) -> None:
        """Nothing is left of any of them."""
        for server in self.servers:
            server.remove()

    def _running(self) -> Iterator[ValkeyServer]:
        return (server for server in self.servers if server.running)

    def _all_acquainted(self) -> bool:
        wanted = str(len(self.servers))
        known = [_fields(server, "CLUSTER", "INFO").get("cluster_known_nodes") for server in self.servers]
        return known == [wanted] * len(self.servers) and all(
            "handshake" not in server.command("CLUSTER", "NODES") for server in self.servers
        )

    def _works(self) -> bool:
        return all(
            _fields(server, "CLUSTER", "INFO").get("cluster_state") == "ok" for server in self._running()
        )

    def _wait_until_whole(self) -> None:
        until(lambda: self._works() and self._all_followed(), self._told)

    def _all_followed(self) -> bool:
        fields = [_fields(server, "INFO", "replication") for server in self._running()]
        followed = [each for each in fields if each.get("role") == "master"]
        following = [each for each in fields if each.get("master_link_status") == "up"]
        return len(followed) == len(self._first) and len(followed) + len(following) == len(fields)

    def _told(self) -> str:
        return "\n".join(server.log for server in self.servers)


def _served_by(server: ValkeyServer, slot: int) -> int | None:
    """The port of the primary of the slot, as far as the server knows."""
    try:
        shards = server.command("CLUSTER", "SLOTS")
    except redis.exceptions.RedisError:
        return None
    return next((int(shard[2][1]) for shard in shards if shard[0] <= slot <= shard[1]), None)


def _fields(server: ValkeyServer, *words: str) -> dict[str, str]:
    try:
        return server.info(*words)
    except redis.exceptions.RedisError:
        return {}
