"""`python3 dev.py bench`: client, orchestrator (SQLite, synchronous=FULL) and one worker on this machine.

Prints, as medians of the rounds: three-step jobs a second, and the latency of a one-step job that is
submitted while nothing else runs; beside them what the machine can do at all (the yardstick), and the
processor time that each process spent on a job. With `--store` or `--orchestrators` it compares storages
instead, see `bench_scale.py`.
"""

import argparse
import asyncio
import json
import os
import pstats
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import msgspec
import uvloop

HERE = Path(__file__).parent
OVER = {"finished", "failed", "cancelled", "quarantined"}


def yardstick(folder: Path) -> tuple[float, float]:
    """How many fsyncs of a 4 KiB append, and JSON encodes of a small object, this machine does a second."""
    file = os.open(folder / "yardstick", os.O_CREAT | os.O_WRONLY, 0o600)
    begun = time.perf_counter()
    for _ in range(300):
        os.write(file, b"x" * 4_096)
        os.fdatasync(file)
    fsyncs = 300 / (time.perf_counter() - begun)
    os.close(file)
    document = {"id": "0190", "state": "start", "numbers": list(range(20)), "nested": {"a": 1.5, "b": None}}
    encoder = msgspec.json.Encoder()
    begun = time.perf_counter()
    for _ in range(100_000):
        encoder.encode(document)
    return fsyncs, 100_000 / (time.perf_counter() - begun)


class Servers:
    """The processes under test."""

    def __init__(self, folder: Path, slots: int, transport: str, profile: Path | None) -> None:
        self.port = _free_port()
        self.token = secrets.token_hex(16)
        worker_token = secrets.token_hex(16)
        shared = {**os.environ, "LOG_LEVEL": "WARNING"}
        options = ("--profile", str(profile)) if profile else ()
        self._orchestrator = subprocess.Popen(
            [sys.executable, HERE / "bench_orchestrator.py", *options],
            env={
                **shared,
                "API_PORT": str(self.port),
                "STORAGE_URL": f"sqlite:///{folder / 'bench.db'}",
                "CLIENT_TOKEN": self.token,
                "GLOBAL_WORKER_TOKEN": worker_token,
            },
        )
        self._worker = subprocess.Popen(
            [sys.executable, HERE / "bench_worker.py"],
            env={
                **shared,
                "ORCHESTRATOR_URL": f"http://127.0.0.1:{self.port}",
                "WORKER_TOKEN": worker_token,
                "MAX_CONCURRENT_TASKS": str(slots),
                "WORKER_TRANSPORT": transport,
                "WORKER_ID": "bench",
                "WORKER_SPOOL_DIR": str(folder / "spool"),
            },
        )

    def cpu_seconds(self) -> tuple[float, float]:
        """The processor time that orchestrator and worker have used."""
        return _cpu(self._orchestrator.pid), _cpu(self._worker.pid)

    def stop(self) -> None:
        """Both have ended in order."""
        for process in (self._worker, self._orchestrator):
            process.send_signal(signal.SIGTERM)
        for process in (self._worker, self._orchestrator):
            process.wait(timeout=60)


class Client:
    """A client that keeps a number of jobs in flight."""

    def __init__(self, session: aiohttp.ClientSession, base: str, *, prefers: bool, batch: int) -> None:
        """Who *prefers* to wait has the result of a job with the answer to the request that makes it.

        For throughput a request makes a *batch* of jobs.
        """
        self._session, self._base, self._prefers, self._batch = session, base, prefers, batch

    async def run(self, kind: str) -> None:
        """One job from request to result."""
        url, wish = f"{self._base}/{kind}", {"Prefer": "wait=30"} if self._prefers else {}
        async with self._session.post(url, data=b'{"n":0}', headers=wish) as answer:
            answer.raise_for_status()
            view = await answer.json()
        while view.get("status") not in OVER:
            url = f"{self._base}/{view['job_id']}"
            async with self._session.get(url, params={"wait": "30"}) as answer:
                view = await answer.json()
        if view["status"] != "finished":
            raise SystemExit(f"a job ended {view}")

    async def run_batch(self, kind: str, size: int) -> None:
        """So many jobs, from one request to all their results."""
        url, wish = f"{self._base}/{kind}/batch", {"Prefer": "wait=30"}
        asked = b'{"jobs":[' + b",".join([b'{"n":0}'] * size) + b"]}"
        async with self._session.post(url, data=asked, headers=wish) as answer:
            answer.raise_for_status()
            views = (await answer.json())["jobs"]
        if len(views) != size or any(view["status"] != "finished" for view in views):
            raise SystemExit(f"a batch ended {views}")

    async def throughput(self, jobs: int, in_flight: int) -> float:
        """Three-step jobs a second."""
        gate = asyncio.Semaphore(max(1, in_flight // self._batch))

        async def one() -> None:
            async with gate:
                await (self.run("three") if self._batch == 1 else self.run_batch("three", self._batch))

        begun = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(jobs // self._batch)))
        return jobs / (time.perf_counter() - begun)

    async def latency(self, samples: int) -> list[float]:
        """Milliseconds from request to result of one-step jobs, one at a time, in ascending order."""
        taken: list[float] = []
        for _ in range(samples):
            begun = time.perf_counter()
            await self.run("one")
            taken.append((time.perf_counter() - begun) * 1_000)
            await asyncio.sleep(0.005)  # idle means idle: nothing of the last job may still be going on
        return sorted(taken)


def bare_latency(servers: Servers, samples: int) -> list[float]:
    """As `Client.latency`, from the first byte sent until the last one received: no library takes part."""
    head = f"POST /api/v1/jobs/one HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Client-Token: {servers.token}\r\n"
    asked = f'{head}Prefer: wait=30\r\nContent-Length: 7\r\n\r\n{{"n":0}}'.encode()
    taken: list[float] = []
    with socket.create_connection(("127.0.0.1", servers.port), timeout=60) as connection:
        for _ in range(samples):
            begun = time.perf_counter()
            connection.sendall(asked)
            answer = connection.recv(65_536)
            taken.append((time.perf_counter() - begun) * 1_000)
            line, _, rest = answer.partition(b"\r\n")
            view = json.loads(rest.partition(b"\r\n\r\n")[2])  # a part of an answer is no JSON
            if line != b"HTTP/1.1 200 OK" or view["status"] != "finished":
                raise SystemExit(f"a job ended {answer!r}")
            time.sleep(0.005)
    return sorted(taken)


@asynccontextmanager
async def client(servers: Servers, *, prefers: bool, batch: int) -> AsyncIterator[Client]:
    """A client of the servers, once a first job has gone through them."""
    base = f"http://127.0.0.1:{servers.port}/api/v1/jobs"
    headers = {"X-Client-Token": servers.token}
    connector = aiohttp.TCPConnector(limit=200)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        deadline = time.monotonic() + 30
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{servers.port}/_public/ready") as answer:
                    if answer.status == 200:
                        break
            except aiohttp.ClientError:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.05)
        found = Client(session, base, prefers=prefers, batch=batch)
        await found.run("one")
        yield found


@contextmanager
def servers(folder: Path, slots: int, transport: str, profile: Path | None) -> Iterator[Servers]:
    """The processes, stopped at the end."""
    started = Servers(folder, slots, transport, profile)
    try:
        yield started
    finally:
        started.stop()


async def measure(arguments: argparse.Namespace, folder: Path, profile: Path | None) -> None:
    """All rounds are run and printed."""
    fsyncs, encodes = yardstick(folder)
    print(f"yardstick: {fsyncs:,.0f} fsyncs/s, {encodes:,.0f} JSON encodes/s")
    rates: list[float] = []
    waits: dict[str, tuple[list[float], list[float]]] = {"asyncio": ([], []), "bare": ([], [])}
    with servers(folder, arguments.slots, arguments.transport, profile) as running:
        async with client(running, prefers=arguments.ask == "once", batch=arguments.batch) as asking:
            for number in range(1, arguments.rounds + 1):
                before = running.cpu_seconds()
                own = time.process_time()
                rates.append(await asking.throughput(arguments.jobs, arguments.in_flight))
                spent = [b - a for a, b in zip(before, running.cpu_seconds(), strict=True)]
                own = time.process_time() - own
                each = [f"{1e6 * s / arguments.jobs:,.0f}" for s in (*spent, own)]
                _note(waits["asyncio"], await asking.latency(arguments.samples))
                _note(waits["bare"], bare_latency(running, arguments.samples))
                last = {kind: (middles[-1], tails[-1]) for kind, (middles, tails) in waits.items()}
                print(
                    f"round {number}: {rates[-1]:,.0f} jobs/s; idle {_told(last)}; CPU per job: "
                    f"orchestrator {each[0]} µs, worker {each[1]} µs, client {each[2]} µs"
                )
    medians = {kind: (statistics.median(p50), statistics.median(p99)) for kind, (p50, p99) in waits.items()}
    print(
        f"median of {arguments.rounds}: {statistics.median(rates):,.0f} three-step jobs/s; "
        f"idle one-step job {_told(medians)}"
    )


def _note(waits: tuple[list[float], list[float]], latency: list[float]) -> None:
    middles, tails = waits
    middles.append(statistics.median(latency))
    tails.append(latency[min(len(latency) - 1, int(len(latency) * 0.99))])


def _told(waits: Mapping[str, tuple[float, float]]) -> str:
    each = [f"p50 {p50:.2f} ms, p99 {p99:.2f} ms ({kind} client)" for kind, (p50, p99) in waits.items()]
    return "; ".join(each)


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def compare(arguments: argparse.Namespace, folder: Path) -> None:
    """The table of storages and numbers of orchestrators is printed."""
    sys.path.insert(0, str(HERE.parents[1]))
    from tests.perf.bench_scale import table

    arguments.slots = max(arguments.slots, 10 * max(arguments.orchestrators or [4]))
    arguments.in_flight = max(arguments.in_flight, 2 * arguments.slots)
    arguments.store = arguments.store or ["valkey", "postgres"]
    arguments.orchestrators = arguments.orchestrators or [1, 2, 4]
    uvloop.run(table(arguments, folder))


def main() -> None:
    """Parse the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--slots", type=int, default=10, help="tasks that the workers run at once")
    parser.add_argument("--transport", choices=("stream", "poll"), default="stream", help="of the worker")
    parser.add_argument("--in-flight", type=int, default=50, help="jobs that the client keeps going")
    asks = "whether the client asks once, with `Prefer: wait`, or for the job and then for its end"
    parser.add_argument("--ask", choices=("once", "twice"), default="once", help=asks)
    of = "jobs that one request makes, and waits for"
    parser.add_argument("--batch", type=int, default=1, help=of)
    parser.add_argument("--profile", action="store_true", help="show where the orchestrator spends its time")
    scale = parser.add_argument_group("several orchestrators on one store")
    scale.add_argument("--store", nargs="+", choices=("sqlite", "valkey", "postgres"))
    scale.add_argument("--orchestrators", nargs="+", type=int)
    scale.add_argument("--workers", type=int, help="processes; as many as there are orchestrators")
    arguments = parser.parse_args()
    if arguments.jobs % arguments.batch:
        parser.error("--jobs is a multiple of --batch, or some of them would be counted and not run")
    with tempfile.TemporaryDirectory(dir=HERE) as folder:
        if arguments.store or arguments.orchestrators:
            compare(arguments, Path(folder))
            return
        profile = Path(folder) / "profile" if arguments.profile else None
        uvloop.run(measure(arguments, Path(folder), profile))
        if profile is not None:
            pstats.Stats(str(profile)).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    main()
