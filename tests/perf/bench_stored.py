"""What a store feels of a million jobs that it holds.

    python -m tests.perf.bench_stored [--store sqlite valkey postgres] [--jobs 1000000]

For each kind an empty store and a full one, on servers of their own, are measured in turns: create, lease and
result by the verbs of the store and over HTTP; then pages of every list, and the start of a node.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import uvloop

from avtomatika.kernel.model import Status
from avtomatika.matching.placement import FAMILY
from avtomatika.ports.store import JobQuery, Store
from avtomatika.stores.codec import page_cursor
from tests.perf.finished_jobs import CLIENTS, Times, alternate, now, page_times
from tests.perf.nodes import HERE, Nodes, nodes
from tests.perf.storages import KINDS, Postgres, Storage, Valkey, memory_of, storage
from tests.perf.stored_jobs import WRITERS, fill, name_of, opened

MOST_RATIO, MOST_MS = 1.5, 50.0
OPERATOR = "operator-token-of-the-benchmark"


def filled(kept: Storage, count: int) -> None:
    """The store holds so many jobs, written without waiting for the disk, and is as safe as before."""
    memory = kept.memory()
    if isinstance(kept, Valkey):
        kept.server.command("CONFIG", "SET", "appendfsync", "everysec")
    if isinstance(kept, Postgres):
        kept.query("ALTER DATABASE bench SET synchronous_commit = off")
    writers = 1 if kept.kind == "sqlite" else WRITERS  # a file belongs to one process at a time
    rate = fill(kept.environment, count, writers)
    if isinstance(kept, Valkey):
        kept.server.command("CONFIG", "SET", "appendfsync", "always")
        kept.rewrite()
    if isinstance(kept, Postgres):
        kept.query("ALTER DATABASE bench RESET synchronous_commit")
        kept.query("VACUUM ANALYZE")
        kept.query("CHECKPOINT")
    each = 1_024 * 1_024 / count
    print(
        f"{kept.kind}: {count:,} jobs stored, {rate:,.0f} jobs/s; "
        f"memory of the server {memory:,.0f} -> {kept.memory():,.0f} MiB "
        f"({(kept.memory() - memory) * each / 1_024:.2f} KiB a job), "
        f"on disk {kept.disk():,.0f} MiB ({kept.disk() * each / 1_024:.2f} KiB a job)",
        flush=True,
    )


class Verdicts:
    """What is slower than wanted."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def ratio(self, name: str, empty: float, full: float) -> str:
        """The ratio, with a mark when it is too high."""
        return self._judged(full / empty, MOST_RATIO, f"{name}: {full / empty:.2f} x the empty store")

    def page(self, name: str, taken: float) -> str:
        """The milliseconds, with a mark when they are too many."""
        return self._judged(taken, MOST_MS, f"{name}: {taken:.1f} ms")

    def _judged(self, value: float, most: float, text: str) -> str:
        if value <= most:
            return f"{value:.2f}"
        self.found.append(text)
        return f"{value:.2f} !"


def compare(title: str, of_empty: Times, of_full: Times, verdicts: Verdicts) -> None:
    """The table of the verbs."""
    print(
        f"  {title:14}{'empty p50':>11}{'full p50':>10}{'empty p99':>11}{'full p99':>10}{'p50 ratio':>11}"
        f"{'p99 ratio':>11}"
    )
    for (verb, p50, p99), (_, full50, full99) in zip(of_empty.rows(), of_full.rows(), strict=True):
        middle = verdicts.ratio(f"{title} {verb} p50", p50, full50)
        tail = verdicts.ratio(f"{title} {verb} p99", p99, full99)
        print(f"  {verb:14}{p50:11.2f}{full50:10.2f}{p99:11.2f}{full99:10.2f}{middle:>11}{tail:>11}")


async def pages(store: Store, count: int, verdicts: Verdicts) -> None:
    """What every list takes, on its first page and deep inside."""
    found = await page_times(store, count)
    for name, query in await deep(store, count):
        taken, page = await best_of_three(partial(store.find, query))
        found[name] = taken, len(page.jobs)
    print("  first pages of lists, and pages deep inside (ms, best of three):")
    for name, (taken, jobs) in sorted(found.items(), key=lambda each: -each[1][0]):
        print(f"    {name:32}{verdicts.page('list ' + name, taken):>10}{jobs:6} jobs")


async def deep(store: Store, count: int) -> list[tuple[str, JobQuery]]:
    """Lists from a place on that nine of ten of their jobs come before."""
    job = await store.load(name_of(count // 10))
    assert job is not None
    cursor = page_cursor(job)
    return [
        ("all, deep", JobQuery(after=cursor)),
        ("client, deep", JobQuery(client=CLIENTS[0], after=cursor)),
        ("status, deep", JobQuery(status=Status.FINISHED, after=cursor)),
        ("rare status, deep", JobQuery(status=Status.QUARANTINED, after=cursor)),
        ("waiting, deep", JobQuery(status=Status.WAITING_FOR_WORKER, after=cursor)),
        ("label, deep", JobQuery(labels=(("team", "t7"),), after=cursor)),
        ("client and label, deep", JobQuery(client=CLIENTS[0], labels=(("team", "t7"),), after=cursor)),
    ]


async def best_of_three(call: Callable[[], Awaitable[Any]]) -> tuple[float, Any]:
    """The fewest milliseconds that it took, and what came of it."""
    taken: list[float] = []
    for _ in range(3):
        begun = time.perf_counter()
        answer = await call()
        taken.append((time.perf_counter() - begun) * 1_000)
    return min(taken), answer


async def other_verbs(stores: Sequence[Store], verdicts: Verdicts) -> None:
    """Questions that nodes ask again and again, of both stores."""
    questions: Mapping[str, Callable[[Store], Awaitable[Any]]] = {
        "tally": lambda store: store.tally(),
        "tally of a client": lambda store: store.tally(CLIENTS[0]),
        "unfinished": lambda store: store.unfinished(),
        "unfinished of a client": lambda store: store.unfinished(CLIENTS[0]),
        "queues of tasks": lambda store: store.queues(FAMILY),
        "backlog": lambda store: store.backlog(FAMILY, now=now(), most=1_000),
        "next timer": lambda store: store.next_due("timer"),
        "no work": lambda store: store.lease(("run:x",), owner="n", now=now(), ttl=1_000, limit=10),
        "a job": lambda store: store.load(name_of(0)),
        "facts of a job": lambda store: store.facts(name_of(0)),
    }
    print("  questions of nodes (ms, best of three): empty, full")
    for name, ask in questions.items():
        empty, full = [(await best_of_three(partial(ask, each)))[0] for each in stores]
        print(f"    {name:32}{empty:8.2f}{verdicts.page(name, full):>10}")


class Asker:
    """A client and a worker of one node, over HTTP."""

    def __init__(self, session: aiohttp.ClientSession, running: Nodes) -> None:
        self._session, self._url = session, running.urls[0]
        self._client = running.client_headers
        self._worker = {"X-Worker-Token": running.worker_token, "X-RXON-Version": "2"}
        self.times = Times()

    async def register(self) -> None:
        """The worker is known."""
        body = {"worker_id": "w", "worker_type": "bench", "supported_skills": [{"name": "live"}]}
        await self._ask("POST", "/_worker/workers/register", self._worker, body)

    async def job(self) -> None:
        """A job is created, its task leased and reported, each timed."""
        begun = time.perf_counter()
        await self._ask("POST", "/api/v1/jobs/any", self._client, {"skill": "live"})
        created = time.perf_counter()
        offered = await self._ask("GET", "/_worker/workers/w/tasks/next?timeout=30&limit=1", self._worker)
        leased = time.perf_counter()
        (task,) = offered["tasks"]
        result = {name: task[name] for name in ("job_id", "task_id", "lease_token")}
        body = {**result, "worker_id": "w", "status": "success", "data": {}}
        await self._ask("POST", "/_worker/tasks/result", self._worker, body)
        self.times.create.append((created - begun) * 1_000)
        self.times.lease.append((leased - created) * 1_000)
        self.times.result.append((time.perf_counter() - leased) * 1_000)

    async def page(self, query: str) -> float:
        """The milliseconds of a page of jobs."""

        async def ask() -> Any:
            return await self._ask("GET", f"/api/v1/jobs?{query}", {"X-Client-Token": OPERATOR})

        return (await best_of_three(ask))[0]

    async def _ask(self, method: str, path: str, headers: Mapping[str, str], body: Any = None) -> Any:
        async with self._session.request(method, self._url + path, json=body, headers=headers) as answer:
            found = await answer.read()
            if answer.status not in (200, 201, 202):
                raise SystemExit(f"{method} {path}: {answer.status} {found!r}")
            return msgspec.json.decode(found)


async def over_http(
    stores: Sequence[Storage], arguments: argparse.Namespace, folder: Path, verdicts: Verdicts
) -> None:
    """A node starts on each store; jobs in turns and pages over HTTP."""
    with ExitStack() as stack:
        running: list[Nodes] = []
        for name, kept in zip(("empty", "full"), stores, strict=True):
            node = stack.enter_context(nodes(kept, 1, folder / name, OPERATOR_TOKEN=OPERATOR))
            seconds = await node.ready()
            running.append(node)
            memory = memory_of(*node.processes.pids)
            print(f"  a node on the {name} store: ready after {seconds:.2f} s, {memory:.0f} MiB")
        async with aiohttp.ClientSession() as session:
            askers = [Asker(session, node) for node in running]
            for asker in askers:
                await asker.register()
            for warm in (True, False):
                for asker in askers:
                    asker.times = Times()
                for _ in range(2 if warm else arguments.rounds):
                    for asker in askers:
                        for _ in range(arguments.each):
                            await asker.job()
            compare("HTTP", askers[0].times, askers[1].times, verdicts)
            job = int(arguments.jobs * 0.1)
            cursor = f"{job * 10 + 1_700_000_000_000}~{name_of(job)}"
            for query in ("", "client=acme", "status=failed", "label=team:t7", f"cursor={cursor}"):
                taken = await askers[1].page(query)
                print(f"    page over HTTP {query[:24]:24}{verdicts.page('HTTP ' + query, taken):>10} ms")


async def by_verbs(stores: Sequence[Storage], arguments: argparse.Namespace, verdicts: Verdicts) -> None:
    """The verbs of the stores, in turns, and the lists of the full one."""
    async with AsyncExitStack() as stack:
        both: list[Store] = []
        for name, kept in zip(("empty", "full"), stores, strict=True):
            begun = time.perf_counter()
            both.append(await stack.enter_async_context(opened(kept.environment)))
            print(f"  the {name} store: open after {time.perf_counter() - begun:.2f} s")
        await alternate(both, 2, arguments.each)
        of_empty, of_full = await alternate(both, arguments.rounds, arguments.each)
        compare("verbs", of_empty, of_full, verdicts)
        await pages(both[1], arguments.jobs, verdicts)
        await other_verbs(both, verdicts)


async def measure(kind: str, arguments: argparse.Namespace, folder: Path) -> list[str]:
    """Everything about one kind of store is printed; what is slower than wanted."""
    verdicts = Verdicts()
    with storage(kind, folder) as empty, storage(kind, folder) as full:
        await asyncio.to_thread(filled, full, arguments.jobs)
        await by_verbs((empty, full), arguments, verdicts)
        await over_http((empty, full), arguments, folder, verdicts)
        print(f"  at the end: memory of the server {full.memory():,.0f} MiB, on disk {full.disk():,.0f} MiB")
    return [f"{kind}: {each}" for each in verdicts.found]


async def table(arguments: argparse.Namespace, folder: Path) -> None:
    """All kinds are measured and printed."""
    slow: list[str] = []
    for kind in arguments.store:
        slow += await measure(kind, arguments, folder)
    print(f"\nwanted: at most {MOST_RATIO} x the empty store, pages and questions within {MOST_MS:.0f} ms:")
    print("\n".join(f"  {each}" for each in slow) or "  met")


def main() -> None:
    """Parse the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--each", type=int, default=50, help="jobs in each store and round")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=HERE) as folder:
        uvloop.run(table(arguments, Path(folder)))


if __name__ == "__main__":
    main()
