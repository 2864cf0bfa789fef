"""How fast tasks reach a fleet that is parked at several orchestrators of one store, and what it costs idle.

    python -m tests.perf.bench_parked [--store valkey postgres] [--workers 2000] [--orchestrators 3]

Long polls over HTTP from two processes. Measured: the fleet at rest; single tasks, from the answer to the
client until the worker has them; and tasks of every skill all the time, of which nobody may get none.
"""

import argparse
import asyncio
import itertools
import os
import pstats
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import uvloop

from tests.perf.nodes import HERE, Nodes, nodes
from tests.perf.storages import KINDS, SHARED, Storage, cpu_of, machine_cpu, memory_of, storage

PROCESSES = 2
SETTLE = 35.0
"""Seconds after which every worker has asked at least once more."""

STARVED = 60.0


class Fleet:
    """The workers, and what they have told so far."""

    def __init__(self) -> None:
        self.got: dict[str, float] = {}
        self.turns: dict[str, list[float]] = defaultdict(list)
        self.errors: Counter[str] = Counter()
        self.pids: list[int] = []
        self.arrived = asyncio.Event()
        self._ready = 0

    async def listen(self, output: asyncio.StreamReader) -> None:
        """Takes in what one process says, until it ends."""
        while line := (await output.readline()).decode():
            words = line.split()
            match words:
                case ["ready"]:
                    self._ready += 1
                case ["got", worker, job, at]:
                    self.got[job] = int(at) / 1e9
                    self.turns[worker].append(int(at) / 1e9)
                    self.arrived.set()
                case _:
                    self.errors[line.strip()] += 1

    async def ready(self) -> None:
        """All are registered and wait."""
        while self._ready < PROCESSES:
            await asyncio.sleep(0.1)

    async def have(self, jobs: Sequence[str]) -> None:
        """Returns when the tasks of all these jobs have reached a worker, or 30 s later."""
        deadline = time.monotonic() + 30
        while not all(job in self.got for job in jobs) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)


class Figures(msgspec.Struct):
    """One row of the table."""

    store: str
    registered: float = 0.0
    idle_nodes: float = 0.0
    idle_server: float = 0.0
    idle_calls: Mapping[str, float] = {}
    idle_work: Mapping[str, float] = {}
    memory: float = 0.0
    reached: list[float] = []
    asked: list[float] = []
    lost: int = 0
    offered: float = 0.0
    longest: float = 0.0
    starved: int = 0
    fewest: int = 0
    errors: Mapping[str, int] = {}

    def row(self) -> str:
        """The line of the table."""
        p50, p99 = cut(self.reached, 50), cut(self.reached, 99)
        whole = cut(self.asked, 99)
        calls = sum(self.idle_calls.values())
        return (
            f"{self.store:9}{self.registered:8.1f}{self.idle_nodes:8.0%}{self.idle_server:8.0%}{calls:9.0f}"
            f"{self.memory:8.0f}{p50:9.1f}{p99:8.1f}{whole:9.1f}{self.lost:6}"
            f"{self.offered:10.0f}{self.fewest:8}{self.longest:9.1f}{self.starved:9}{sum(self.errors.values()):8}"
        )


HEAD = (
    f"{'':9}{'regist.':>8}{'idle CPU':>16}{'calls':>9}{'nodes':>8}{'from the answer':>17}{'asked':>9}"
    f"{'':6}{'all skills':>10}{'fewest':>8}{'longest':>9}{'starved':>9}\n"
    f"{'store':9}{'s':>8}{'nodes':>8}{'server':>8}{'a second':>9}{'MiB':>8}{'p50 ms':>9}{'p99':>8}{'p99':>9}"
    f"{'lost':>6}{'tasks/s':>10}{'tasks':>8}{'wait s':>9}{'workers':>9}{'errors':>8}"
)


def cut(values: Sequence[float], percent: int) -> float:
    """The percentile."""
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)] if values else float("nan")


@asynccontextmanager
async def fleet(running: Nodes, arguments: argparse.Namespace) -> AsyncIterator[Fleet]:
    """The workers in their processes, gone at the end."""
    found = Fleet()
    each = arguments.workers // PROCESSES
    started = []
    for number in range(PROCESSES):
        environment = {
            **os.environ,
            "URLS": ",".join(running.urls),
            "TOKEN": running.worker_token,
            "FIRST": str(number * each),
            "COUNT": str(each),
            "SKILLS": str(arguments.skills),
            "SKILLS_EACH": str(arguments.skills_each),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, HERE / "parked_workers.py", env=environment, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        started.append((process, asyncio.ensure_future(found.listen(process.stdout))))
        found.pids.append(process.pid)
    try:
        yield found
    finally:
        for process, _ in started:
            process.kill()
        for process, listening in started:
            await process.wait()
            await listening


class Client:
    """Asks for jobs of one task, at any of the nodes."""

    def __init__(self, session: aiohttp.ClientSession, urls: Sequence[str]) -> None:
        self._session, self._urls, self._chance = session, urls, random.Random(0)

    async def submit(self, skill: str) -> tuple[str, float, float]:
        """The job, when it was asked for and when the answer was there."""
        asked = time.monotonic()
        url = f"{self._chance.choice(self._urls)}/api/v1/jobs/any"
        async with self._session.post(url, json={"skill": skill}) as answer:
            answer.raise_for_status()
            body: dict[str, Any] = await answer.json()
        return body["job_id"], asked, time.monotonic()

    async def ended(self, job: str) -> None:
        """Returns when the job has finished."""
        while True:
            url = f"{self._chance.choice(self._urls)}/api/v1/jobs/{job}"
            async with self._session.get(url, params={"wait": "30"}) as answer:
                view: dict[str, Any] = await answer.json()
            if view["status"] == "finished":
                return
            if view["status"] in ("failed", "cancelled", "quarantined"):
                raise SystemExit(f"job {job} ended {view}")


async def at_rest(figures: Figures, kept: Storage, running: Nodes, seconds: float) -> None:
    """What the fleet costs while there is nothing to do."""
    calls, work = await running.calls(), kept.work()
    spent, server = sum(running.processes.cpu()), kept.cpu()
    begun = time.monotonic()
    await asyncio.sleep(seconds)
    took = time.monotonic() - begun
    figures.idle_nodes = (sum(running.processes.cpu()) - spent) / took
    figures.idle_server = (kept.cpu() - server) / took
    made, done = await running.calls(), kept.work()
    figures.idle_calls = {
        name: (made[name] - calls[name]) / took for name in made if made[name] > calls[name]
    }
    figures.idle_work = {name: (done[name] - work.get(name, 0)) / took for name in done}
    figures.memory = memory_of(*running.processes.pids) / len(running.urls)


async def single_tasks(
    figures: Figures, client: Client, workers: Fleet, arguments: argparse.Namespace
) -> None:
    """How long single tasks are on their way to a worker, at a low rate."""
    chance, sent = random.Random(1), list[tuple[str, float, float]]()

    async def one() -> None:
        sent.append(await client.submit(f"skill-{chance.randrange(arguments.skills)}"))

    async with asyncio.TaskGroup() as group:
        for _ in range(arguments.tasks):
            group.create_task(one())
            await asyncio.sleep(chance.expovariate(arguments.rate))
    await workers.have([job for job, _, _ in sent])
    there = [(workers.got[job], asked, answered) for job, asked, answered in sent if job in workers.got]
    figures.reached = [max(0.0, at - answered) * 1_000 for at, _, answered in there]
    figures.asked = [(at - asked) * 1_000 for at, asked, _ in there]
    figures.lost = len(sent) - len(there)


async def every_skill(
    figures: Figures, client: Client, workers: Fleet, arguments: argparse.Namespace
) -> None:
    """Tasks of every skill are offered all the time: who gets how many, and who waits for how long."""
    begun = time.monotonic()
    until = begun + arguments.seconds

    async def always(skill: str) -> None:
        while time.monotonic() < until:
            job, _, _ = await client.submit(skill)
            await client.ended(job)

    async with asyncio.TaskGroup() as group:
        for number in range(arguments.skills):
            for _ in range(arguments.offered):
                group.create_task(always(f"skill-{number}"))
    ended = time.monotonic()
    gaps, counts = [], []
    for number in range(arguments.workers // PROCESSES * PROCESSES):
        turns = [at for at in workers.turns[f"parked-{number}"] if begun <= at <= ended]
        moments = [begun, *turns, ended]
        gaps.append(max(b - a for a, b in itertools.pairwise(moments)))
        counts.append(len(turns))
    figures.offered = sum(counts) / (ended - begun)
    figures.longest, figures.fewest = max(gaps), min(counts)
    figures.starved = sum(gap > STARVED for gap in gaps)


async def measure(kind: str, arguments: argparse.Namespace, folder: Path) -> Figures:
    """Everything about one storage."""
    figures = Figures(kind)
    count = arguments.orchestrators if kind in SHARED else 1
    settings = {"PROFILE": str(folder)} if arguments.profile else {}
    with storage(kind, folder) as kept, nodes(kept, count, folder, **settings) as running:
        await running.ready()
        begun = time.monotonic()
        async with fleet(running, arguments) as workers:
            await workers.ready()
            figures.registered = time.monotonic() - begun
            await asyncio.sleep(arguments.settle)
            await at_rest(figures, kept, running, arguments.idle)
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(headers=running.client_headers, connector=connector) as session:
                client = Client(session, running.urls)
                for name, phase in (("single tasks", single_tasks), ("every skill", every_skill)):
                    begun, spent = time.monotonic(), loads(kept, running, workers)
                    done, calls = len(workers.got), await running.calls()
                    await phase(figures, client, workers, arguments)
                    took, done = time.monotonic() - begun, len(workers.got) - done
                    busy = [b - a for a, b in zip(spent, loads(kept, running, workers), strict=True)]
                    print(f"{kind}, {name}: {shares(busy, took, done)}")
                    made = {verb: n / max(1, done) for verb, n in ((await running.calls()) - calls).items()}
                    print(f"{'':10} calls a task: {sum(made.values()):.0f}: {_listed(made)}", flush=True)
            figures.errors = workers.errors
    return figures


def shares(busy: Sequence[float], took: float, done: int) -> str:
    """Who used how many cores, and how much of them for each task."""
    names = ("nodes", "server", "fleet", "client")
    each = ", ".join(
        f"{name} {spent / took:.0%} ({spent * 1_000 / max(1, done):.2f} ms a task)"
        for name, spent in zip(names, busy[:-1], strict=True)
    )
    return f"cores in use: {each}, machine {busy[-1] / took:.0%}"


def loads(kept: Storage, running: Nodes, workers: Fleet) -> Sequence[float]:
    """The processor seconds of nodes, server, fleet, client and machine."""
    own = time.process_time()
    return [sum(running.processes.cpu()), kept.cpu(), cpu_of(*workers.pids), own, machine_cpu()]


async def table(arguments: argparse.Namespace, folder: Path) -> None:
    """Everything is measured and printed."""
    print(
        f"{arguments.workers:,} workers over {arguments.orchestrators} nodes, {arguments.skills_each} of "
        f"{arguments.skills} skills each; {arguments.tasks} single tasks at {arguments.rate:.0f} a second; "
        f"then {arguments.offered} of each skill at any time for {arguments.seconds:.0f} s"
    )
    found = [await measure(kind, arguments, folder) for kind in arguments.store]
    print(HEAD)
    for figures in found:
        print(figures.row())
    print("\na second, at rest:")
    for figures in found:
        print(f"{figures.store}: {_listed(figures.idle_calls)}")
        if figures.idle_work:
            print(f"{'':10} server: {_listed(figures.idle_work)}")
        for error, count in Counter(figures.errors).most_common(5):
            print(f"{'':10} {count} x {error}")
    met = all(cut(figures.reached, 99) <= 100 and not figures.starved + figures.lost for figures in found)
    print("\nwanted: p99 at most 100 ms, nothing lost, nobody starved:", "met" if met else "NOT met")


def _listed(counts: Mapping[str, float]) -> str:
    found = sorted(counts.items(), key=lambda pair: -pair[1])[:14]
    return ", ".join(f"{name} {count:.1f}" for name, count in found if count >= 0.5)


def main() -> None:
    """Parse the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", nargs="+", choices=KINDS, default=list(SHARED))
    parser.add_argument("--orchestrators", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2_000)
    parser.add_argument("--skills", type=int, default=50)
    parser.add_argument("--skills-each", type=int, default=10)
    parser.add_argument("--tasks", type=int, default=600, help="single ones")
    parser.add_argument("--rate", type=float, default=20.0, help="single tasks a second")
    parser.add_argument("--offered", type=int, default=1, help="tasks of each skill at any time")
    parser.add_argument("--seconds", type=float, default=75.0, help="in which all skills are offered")
    parser.add_argument("--settle", type=float, default=SETTLE, help="seconds before anything is measured")
    parser.add_argument("--idle", type=float, default=30.0, help="seconds of rest that are measured")
    parser.add_argument("--profile", action="store_true", help="show where the nodes spend their time")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=HERE) as folder:
        uvloop.run(table(arguments, Path(folder)))
        if arguments.profile:
            files = [str(file) for file in Path(folder).glob("*.profile")]
            pstats.Stats(*files).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    main()
