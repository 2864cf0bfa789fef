"""`python3 dev.py bench --store valkey postgres --orchestrators 1 2 4`: several nodes on one store.

The three-step jobs of the benchmark go through every number of orchestrators on every storage, beside one
orchestrator with SQLite. The client sends each request to the next node, the workers are spread over them.
Processor time is that of whole processes; `full` is what had no room left, and kept the rest waiting.
"""

import argparse
import asyncio
import itertools
import os
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import aiohttp
import msgspec

from tests.perf.nodes import HERE, Nodes, Processes, nodes, processes
from tests.perf.storages import Storage, machine_cpu, storage

OVER = {"finished", "failed", "cancelled", "quarantined"}
FULL = 0.8
"""A process that is busy for so much of the time has no room left: the rest is waiting for others."""


class Round(msgspec.Struct, frozen=True):
    """What was measured in one round: jobs a second, milliseconds of idle jobs, cores in use."""

    rate: float
    p50: float
    p99: float
    busiest: float
    nodes: float
    server: float
    workers: float
    client: float
    machine: float
    calls: Mapping[str, float]
    work: Mapping[str, float]

    def full(self) -> str:
        """What had no room left."""
        found = {"a node": self.busiest, "the server": self.server, "the client": self.client}
        named = [f"{name} {busy:.0%}" for name, busy in found.items() if busy >= FULL]
        cores = os.cpu_count() or 1
        if self.machine >= FULL * cores:
            named.append(f"all {cores} cores {self.machine:.0%}")
        return ", ".join(named) or f"nothing (busiest node {self.busiest:.0%}, machine {self.machine:.0%})"


class Client:
    """A client that keeps a number of jobs in flight, each request at the next node."""

    def __init__(self, session: aiohttp.ClientSession, urls: Sequence[str]) -> None:
        self._session, self._urls = session, itertools.cycle(urls)

    async def run(self, kind: str) -> None:
        """One job from request to result."""
        async with self._session.post(f"{next(self._urls)}/api/v1/jobs/{kind}", data=b'{"n":0}') as answer:
            answer.raise_for_status()
            job = (await answer.json())["job_id"]
        while True:
            url = f"{next(self._urls)}/api/v1/jobs/{job}"
            async with self._session.get(url, params={"wait": "30"}) as answer:
                view = await answer.json()
            if view["status"] in OVER:
                if view["status"] != "finished":
                    raise SystemExit(f"job {job} ended {view}")
                return

    async def many(self, jobs: int, in_flight: int) -> None:
        """So many three-step jobs have finished."""
        gate = asyncio.Semaphore(in_flight)

        async def one() -> None:
            async with gate:
                await self.run("three")

        await asyncio.gather(*(one() for _ in range(jobs)))

    async def idle(self, samples: int) -> list[float]:
        """Milliseconds from request to result of one-step jobs, one at a time, in ascending order."""
        taken: list[float] = []
        for _ in range(samples):
            begun = time.perf_counter()
            await self.run("one")
            taken.append((time.perf_counter() - begun) * 1_000)
            await asyncio.sleep(0.01)  # idle means idle: nothing of the last job may still be going on
        return sorted(taken)


class Setup:
    """A storage with its nodes, workers and client, ready to be measured."""

    def __init__(self, kept: Storage, running: Nodes, workers: Processes, client: Client) -> None:
        self._kept, self._nodes, self._workers, self._client = kept, running, workers, client

    async def round(self, arguments: argparse.Namespace) -> Round:
        """One round of jobs, and then of idle ones."""
        jobs = arguments.jobs
        calls, work = await self._nodes.calls(), self._kept.work()
        before, begun = self._cpu(), time.perf_counter()
        await self._client.many(jobs, arguments.in_flight)
        took = time.perf_counter() - begun
        spent = [(b - a) / took for a, b in zip(before, self._cpu(), strict=True)]
        done = self._kept.work()
        made = await self._nodes.calls()
        latency = await self._client.idle(arguments.samples)
        each = spent[4:]
        return Round(
            rate=jobs / took,
            p50=statistics.median(latency),
            p99=latency[min(len(latency) - 1, int(len(latency) * 0.99))],
            busiest=max(each),
            nodes=sum(each),
            server=spent[0],
            workers=spent[1],
            client=spent[2],
            machine=spent[3],
            calls={name: (made[name] - calls[name]) / jobs for name in made if made[name] > calls[name]},
            work={name: (done[name] - work.get(name, 0)) / jobs for name in done},
        )

    def _cpu(self) -> list[float]:
        """Of the server, the workers, the client, the machine, and each node."""
        workers = sum(self._workers.cpu())
        return [self._kept.cpu(), workers, time.process_time(), machine_cpu(), *self._nodes.processes.cpu()]


def start_workers(workers: Processes, running: Nodes, arguments: argparse.Namespace, folder: Path) -> None:
    """The workers run, each at home with one of the nodes; together they have the slots."""
    count = arguments.workers or len(running.urls)
    for number in range(count):
        workers.start(
            HERE / "bench_worker.py",
            {
                "ORCHESTRATOR_URL": running.urls[number % len(running.urls)],
                "WORKER_TOKEN": running.worker_token,
                "MAX_CONCURRENT_TASKS": str(max(1, arguments.slots // count)),
                "WORKER_TRANSPORT": arguments.transport,
                "WORKER_ID": f"bench-{number}",
                "WORKER_PORT": "0",
                "WORKER_SPOOL_DIR": str(folder / f"spool-{number}"),
            },
        )


async def measure(kind: str, count: int, arguments: argparse.Namespace, folder: Path) -> Sequence[Round]:
    """All rounds of one row of the table."""
    with storage(kind, folder) as kept, nodes(kept, count, folder) as running, processes() as workers:
        await running.ready()
        start_workers(workers, running, arguments, folder)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(headers=running.client_headers, connector=connector) as session:
            client = Client(session, running.urls)
            await client.many(arguments.jobs // 10 + 1, arguments.in_flight)  # everything has run once
            setup = Setup(kept, running, workers, client)
            return [await setup.round(arguments) for _ in range(arguments.rounds)]


def median(rounds: Sequence[Round]) -> Round:
    """The round with the rate in the middle."""
    return sorted(rounds, key=lambda each: each.rate)[len(rounds) // 2]


HEAD = (
    f"{'store':9}{'nodes':>6}{'jobs/s':>8}{'lowest':>8}{'idle p50':>10}{'p99 ms':>8}"
    f"{'nodes':>9}{'server':>8}{'workers':>9}{'client':>8}{'calls':>7}  full\n"
    f"{'':49}{'µs of CPU a job, all processes':>34}{'a job':>7}"
)


def row(kind: str, count: int, rounds: Sequence[Round]) -> str:
    """One line of the table: the round in the middle."""
    middle = median(rounds)
    each = [f"{1e6 * busy / middle.rate:,.0f}" for busy in (middle.nodes, middle.server, middle.workers)]
    own = f"{1e6 * middle.client / middle.rate:,.0f}"
    lowest = min(each.rate for each in rounds)
    return (
        f"{kind:9}{count:6}{middle.rate:8,.0f}{lowest:8,.0f}{middle.p50:10.2f}{middle.p99:8.2f}"
        f"{each[0]:>9}{each[1]:>8}{each[2]:>9}{own:>8}{sum(middle.calls.values()):7.1f}  {middle.full()}"
    )


def listed(counts: Mapping[str, float], most: int = 12) -> str:
    """The names and figures that matter, the largest first."""
    found = sorted(counts.items(), key=lambda pair: -pair[1])[:most]
    return ", ".join(f"{name} {count:.1f}" for name, count in found if count >= 0.05)


async def table(arguments: argparse.Namespace, folder: Path) -> None:
    """Everything is measured and printed."""
    measured: list[tuple[str, int, Sequence[Round]]] = []
    print(
        f"{arguments.jobs:,} jobs of three steps a round, {arguments.in_flight} in flight, "
        f"{arguments.slots} slots; the median of {arguments.rounds} rounds"
    )
    print(HEAD)
    for kind, count in _rows(arguments.store, arguments.orchestrators):
        rounds = await measure(kind, count, arguments, folder)
        measured.append((kind, count, rounds))
        print(row(kind, count, rounds), flush=True)
    print("\ncalls of verbs of the store a job, and what its server did a job:")
    for kind, count, rounds in measured:
        middle = median(rounds)
        print(f"{kind} {count}: {listed(middle.calls)}")
        if middle.work:
            print(f"{'':10} server: {listed(middle.work, 16)}")


def _rows(kinds: Iterable[str], counts: Iterable[int]) -> Iterable[tuple[str, int]]:
    yield "sqlite", 1
    for kind in kinds:
        for count in counts:
            if kind != "sqlite":
                yield kind, count
