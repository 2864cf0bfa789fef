"""A primary, its replicas, and the sentinels that choose another primary when it is gone."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import redis

from tests.servers.process import Process, free_port, new_folder, until
from tests.servers.valkey import ValkeyServer

NAME = "primary-of-tests"
DOWN_AFTER_MS = 1_000
FAILOVER_TIMEOUT_MS = 3_000
REPLICATION = {"repl_diskless_sync_delay": "0", "repl_ping_replica_period": "1"}


class Sentinel:
    """One sentinel. It writes what it learns into its own configuration."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self._folder = new_folder("sentinel")
        self._process = Process(self._folder / "log", cwd=self._folder)
        self.port = free_port()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What the sentinel has said."""
        return self._process.log

    def watch(self, primary: ValkeyServer, quorum: int) -> None:
        """The sentinel runs and watches the primary; *quorum* of them must agree that it is down."""
        file = self._folder / "sentinel.conf"
        file.write_text(
            f"port {self.port}\nbind 127.0.0.1\nprotected-mode no\ndir {self._folder}\n"
            f"sentinel monitor {NAME} 127.0.0.1 {primary.port} {quorum}\n"
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {NAME} {FAILOVER_TIMEOUT_MS}\n"
        )
        self._process.start([self._program, file, "--sentinel"], self._answers)

    def _answers(self) -> bool:
        with suppress(redis.exceptions.RedisError):
            return self.primary() is not None
        return False

    def primary(self) -> int | None:
        """The port of the primary, as far as the sentinel knows."""
        with self._client() as client:
            found = client.sentinel_get_master_addr_by_name(NAME)
        return None if found is None else int(found[1])

    def knows(self) -> tuple[int, int]:
        """How many replicas and how many other sentinels it knows."""
        with self._client() as client:
            state = client.sentinel_master(NAME)
        return int(state["num-slaves"]), int(state["num-other-sentinels"])

    def set(self, option: str, value: int) -> None:
        """From now on it watches with this setting."""
        with self._client() as client:
            client.sentinel_set(NAME, option, value)

    def kill(self) -> None:
        """The process is gone."""
        self._process.end()

    def remove(self) -> None:
        """Nothing is left of it."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=5.0, decode_responses=True)


class SentinelTopology:
    """Starts whole, loses its primary, elects another; *options* are settings of every server."""

    def __init__(self, program: Path, *, replicas: int = 2, sentinels: int = 3, **options: str) -> None:
        settings = REPLICATION | options
        self.servers = [ValkeyServer(program, **settings) for _ in range(1 + replicas)]
        self.sentinels = [Sentinel(program) for _ in range(sentinels)]
        self._started = False

    def url(self, database: int = 0) -> str:
        """The address in the words of `STORAGE_URL`."""
        places = ",".join(sentinel.address for sentinel in self.sentinels)
        return f"redis+sentinel://{places}/{NAME}/{database}"

    def start(self) -> None:
        """All are up and know each other, and replicas have what the primary has.

        Those that a test left dead run again, as replicas.
        """
        if self._started:
            for server in self.servers:
                if not server.running:
                    self.bring_back(server)
            return
        self._started = True
        primary, *replicas = self.servers
        primary.start()
        for replica in replicas:
            replica.follow(primary)
            replica.start()
        until(lambda: self._in_sync(primary), lambda: primary.log)
        for sentinel in self.sentinels:
            sentinel.watch(primary, len(self.sentinels) // 2 + 1)
        wanted = len(replicas), len(self.sentinels) - 1
        until(lambda: all(sentinel.knows() == wanted for sentinel in self.sentinels), self._told)

    def tell(self, option: str, value: int) -> None:
        """All sentinels watch with this setting."""
        for sentinel in self.sentinels:
            sentinel.set(option, value)

    def primary(self) -> ValkeyServer:
        """The server that all sentinels call the primary and that is one; waits until there is such a one."""
        found: list[ValkeyServer] = []

        def agreed() -> bool:
            ports = {sentinel.primary() for sentinel in self.sentinels}
            found[:] = [server for server in self.servers if {server.port} == ports and server.running]
            return bool(found) and _fields(found[0]).get("role") == "master"

        until(agreed, self._told)
        return found[0]

    def replicas(self) -> Sequence[ValkeyServer]:
        """The other servers that run."""
        primary = self.primary()
        return [server for server in self.servers if server.running and server is not primary]

    def kill_primary(self) -> ValkeyServer:
        """The primary is dead; it is returned."""
        primary = self.primary()
        primary.kill()
        return primary

    def wait_for_another(self, dead: ValkeyServer) -> ValkeyServer:
        """The primary that was elected in place of the dead one."""
        until(lambda: all(sentinel.primary() != dead.port for sentinel in self.sentinels), self._told)
        return self.primary()

    def bring_back(self, dead: ValkeyServer, *, unaware: bool = False) -> None:
        """The server runs again with its old data, as a replica of the present primary and in sync with it.

        One that is *unaware* believes to be what it was, until the sentinels tell it otherwise.
        """
        dead.follow(None if unaware else self.primary())
        dead.start()
        until(lambda: self._in_sync(self.primary()), lambda: dead.log)  # another, if this one is too slow

    def remove(self) -> None:
        """Nothing is left of any of them."""
        for sentinel in self.sentinels:
            sentinel.remove()
        for server in self.servers:
            server.remove()

    def _in_sync(self, primary: ValkeyServer) -> bool:
        others = [server for server in self.servers if server.running and server is not primary]
        return all(
            fields.get("master_link_status") == "up" and fields["master_port"] == str(primary.port)
            for fields in map(_fields, others)
        )

    def _told(self) -> str:
        return "\n".join(sentinel.log for sentinel in self.sentinels)


def _fields(server: ValkeyServer) -> dict[str, str]:
    try:
        return server.info("INFO", "replication")
    except redis.exceptions.RedisError:
        return {}
