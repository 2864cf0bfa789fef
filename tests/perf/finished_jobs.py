"""Many finished jobs in a file, and what a store that holds them is measured by."""

import asyncio
import itertools
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Raw

from avtomatika.kernel.decisions import Dispatch, Finish
from avtomatika.kernel.effects import OfferTask, RunHandler
from avtomatika.kernel.events import Decided, Event, Submitted, TaskAccepted, TaskReported
from avtomatika.kernel.ids import JobId, task_id
from avtomatika.kernel.model import Done, Job, Order, Policy, Ready, Report, Status, Task, Verdict, Waiting
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.store import Commit, Fact, JobQuery, Message, MessageId, Store
from avtomatika.stores.sql.sqlite import SqliteStore

TTL = Span(60_000)
START = Instant(1_700_000_000_000)
CLIENTS = ("acme", "globex", "initech", "rare")
BLUEPRINTS = ("invoice", "report", "resize", "seldom")
STATUSES = (Verdict.FINISHED, Verdict.FAILED, Verdict.CANCELLED, Verdict.QUARANTINED)
INPUT = {"document": Raw(b'"' + b"d" * 300 + b'"'), "n": Raw(b"17")}
HISTORY = {"pages": Raw(b"[" + b"1.0," * 60 + b"2]"), "total": Raw(b'"1234.50"')}

_tokens = itertools.count()
_names = itertools.count()


def now() -> Instant:
    return Instant(time.time_ns() // 1_000_000)


def opened(path: Path) -> SqliteStore:
    """The store, for this process."""

    def broken(failure: Exception) -> None:
        raise SystemExit(str(failure))

    return SqliteStore(path, now=now, tokens=lambda: str(next(_tokens)), broken=broken)


def rare(n: int, kinds: Sequence[str]) -> str:
    """Mostly the first of the kinds, sometimes one of the next, the last in one of a thousand cases."""
    if n % 1_000 == 7:
        return kinds[-1]
    return kinds[min(n % 7, len(kinds) - 2)] if n % 7 < len(kinds) - 1 else kinds[0]


def finished(n: int) -> Commit:
    """A job as it is left by two handlers and a task, with its facts and labels."""
    name = JobId(f"{START + n:x}-{n:08}")
    at = Instant(START + n * 10)
    order = Order(skill="convert", params=Raw(b'{"document": "' + b"d" * 100 + b'"}'))
    task = task_id(name, 2, 0)
    first = Job(
        id=name,
        blueprint=rare(n, BLUEPRINTS),
        edition="1",
        state="start",
        phase=Ready(),
        policy=Policy(),
        created=at,
        updated=at,
        client=rare(n // 3, CLIENTS),
        labels={"env": "prod", "team": f"t{n % 50}", "order": f"o{n}"},
        input=INPUT,
    )
    events: list[Event] = [
        Submitted(first),
        Decided(1, Dispatch(order, {"success": "end"})),
        TaskAccepted(task, 1, "worker-1"),
        TaskReported(task, 1, 1, Report("success", "worker-1", Raw(b"[" + b"1.0," * 60 + b"2]"))),
        Decided(4, Finish(), history=HISTORY),
    ]
    status = Verdict(rare(n // 2, [verdict.value for verdict in STATUSES]))
    end = Instant(at + 900)
    job = msgspec.structs.replace(
        first, state="end", phase=Done(status), updated=end, version=5, steps=2, history=HISTORY
    )
    facts = tuple(Fact(name, v, Instant(at + v), event) for v, event in enumerate(events, 1))
    return Commit(now=end, job=job, facts=facts)


async def fill(path: Path, count: int, begin: int = 0) -> float:
    """So many finished jobs are in the file, by commits of the store; the jobs stored a second."""
    store = opened(path)
    started = time.perf_counter()
    for at in range(begin, begin + count, 500):
        await asyncio.gather(*(store.commit(finished(n)) for n in range(at, min(at + 500, begin + count))))
    rate = count / (time.perf_counter() - started)
    await store.close()
    return rate


class Times(msgspec.Struct):
    """How long each verb took, in milliseconds."""

    create: list[float] = msgspec.field(default_factory=list)
    lease: list[float] = msgspec.field(default_factory=list)
    result: list[float] = msgspec.field(default_factory=list)

    def rows(self) -> Iterator[tuple[str, float, float]]:
        """The verb, its median and its 99th percentile."""
        for verb in ("create", "lease", "result"):
            taken = sorted(getattr(self, verb))
            yield verb, statistics.median(taken), taken[int(len(taken) * 0.99)]


async def one_job(store: Store, name: JobId, times: Times) -> None:
    """A job is created, its task leased and reported: every commit is on disk when it returns."""
    at = now()
    job = Job(name, "invoice", "1", "start", Ready(), Policy(), at, at, client="acme", version=1, input=INPUT)
    job = msgspec.structs.replace(job, labels={"env": "prod", "order": name})
    run = Message(MessageId(f"run:{name}"), "run:b", name, at, RunHandler(name, 1, "b", "1", at))
    begun = time.perf_counter()
    await store.commit(Commit(now=at, job=job, facts=(Fact(name, 1, at, Submitted(job)),), send=(run,)))
    created = time.perf_counter()
    (lease,) = await store.lease(("run:b",), owner="node:1", now=now(), ttl=TTL, limit=1)
    task = Task(task_id(name, 2, 0), Order(skill="convert"), Span(60_000))
    waiting = msgspec.structs.replace(job, version=2, phase=Waiting(task, {"success": "end"}))
    fact = Fact(name, 2, at, Decided(1, Dispatch(task.order, {"success": "end"})))
    offer = Message(MessageId(f"task:{name}"), "offer", name, at, OfferTask(name, task, at))
    await store.commit(Commit(now=at, job=waiting, expected=1, facts=(fact,), send=(offer,), ack=(lease,)))
    leasing = time.perf_counter()
    (lease,) = await store.lease(("offer",), owner="worker-1", now=now(), ttl=TTL, limit=1)
    leased = time.perf_counter()
    done = msgspec.structs.replace(job, version=3, phase=Done(Verdict.FINISHED), history=HISTORY)
    fact = Fact(name, 3, at, TaskReported(task.id, 1, 1, Report("success", "worker-1", Raw(b"[1.0]"))))
    await store.commit(Commit(now=at, job=done, expected=2, facts=(fact,), ack=(lease,)))
    times.create.append((created - begun) * 1_000)
    times.lease.append((leased - leasing) * 1_000)
    times.result.append((time.perf_counter() - leased) * 1_000)


async def alternate(stores: Sequence[Store], rounds: int, each: int) -> list[Times]:
    """What the verbs of each store take, measured in turns so that the machine is the same for all."""
    times = [Times() for _ in stores]
    for _ in range(rounds):
        for store, taken in zip(stores, times, strict=True):
            for _ in range(each):
                await one_job(store, JobId(f"live-{next(_names):06}"), taken)
    return times


def lists(count: int) -> dict[str, JobQuery]:
    """Every filter, alone and with others; some that nearly every job meets and some that few do."""
    common, few = CLIENTS[0], CLIENTS[-1]
    middle = Instant(START + count * 5)
    team, order = (("team", "t7"),), (("order", f"o{count // 2}"),)
    return {
        "all": JobQuery(),
        "client, most": JobQuery(client=common),
        "client, few": JobQuery(client=few),
        "blueprint, most": JobQuery(blueprint=BLUEPRINTS[0]),
        "blueprint, few": JobQuery(blueprint=BLUEPRINTS[-1]),
        "status, most": JobQuery(status=Status.FINISHED),
        "status, few": JobQuery(status=Status.QUARANTINED),
        "status, none": JobQuery(status=Status.SLEEPING),
        "label, all": JobQuery(labels=(("env", "prod"),)),
        "label, some": JobQuery(labels=team),
        "label, one": JobQuery(labels=order),
        "label, none": JobQuery(labels=(("env", "test"),)),
        "time": JobQuery(since=middle, before=Instant(middle + 1_000_000)),
        "client, status": JobQuery(client=common, status=Status.FAILED),
        "client, rare status": JobQuery(client=common, status=Status.QUARANTINED),
        "rare client, rare status": JobQuery(client=few, status=Status.QUARANTINED),
        "client, label": JobQuery(client=common, labels=team),
        "client, one label": JobQuery(client=common, labels=order),
        "rare client, common label": JobQuery(client=few, labels=(("env", "prod"),)),
        "client, blueprint": JobQuery(client=common, blueprint=BLUEPRINTS[1]),
        "rare client, blueprint": JobQuery(client=few, blueprint=BLUEPRINTS[0]),
        "client, time": JobQuery(client=common, before=middle),
        "client, two labels": JobQuery(client=common, labels=(*team, ("env", "prod"))),
        "client, label, status": JobQuery(client=common, labels=team, status=Status.FAILED),
        "rare status, label": JobQuery(status=Status.QUARANTINED, labels=(("env", "prod"),)),
        "all at once": JobQuery(
            client=common,
            status=Status.FINISHED,
            blueprint=BLUEPRINTS[0],
            labels=(*team, ("env", "prod")),
            since=START,
            before=middle,
        ),
    }


async def page_times(store: Store, count: int) -> dict[str, tuple[float, int]]:
    """The milliseconds that the first page of every list took, at best of three, and the jobs on it."""
    found: dict[str, tuple[float, int]] = {}
    for name, query in lists(count).items():
        taken: list[float] = []
        for _ in range(3):
            begun = time.perf_counter()
            page = await store.find(query)
            taken.append((time.perf_counter() - begun) * 1_000)
        found[name] = min(taken), len(page.jobs)
    return found


class Start(msgspec.Struct):
    """How a process came up: seconds until the store was open, and its memory in MiB before and after."""

    seconds: float
    before: float
    after: float


_OPEN = """
import os, resource, sys, time
from pathlib import Path
from tests.perf.finished_jobs import opened, resident

before = resident()
begun = time.perf_counter()
store = opened(Path(sys.argv[1]))
seconds = time.perf_counter() - begun
print(seconds, before, resident(), flush=True)
if sys.argv[2] == "killed":
    os._exit(9)
import asyncio
asyncio.run(store.close())
"""


def resident() -> float:
    """The memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def start(path: Path, end: str = "closed") -> Start:
    """A process of its own opens the store and ends as it is told to: closed or killed."""
    done = subprocess.run(
        [sys.executable, "-c", _OPEN, str(path), end],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    if done.returncode not in (0, 9):
        raise SystemExit(done.stderr)
    return Start(*map(float, done.stdout.split()))
