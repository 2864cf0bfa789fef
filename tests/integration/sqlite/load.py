"""A process that commits as fast as it can and says so, until it is killed. Arguments: file, name, mode."""

import asyncio
import os
import sys
import time
from pathlib import Path

from avtomatika.kernel.effects import StartTimer
from avtomatika.kernel.events import CancelRequested, Deadline
from avtomatika.kernel.ids import JobId, task_id
from avtomatika.kernel.model import Branch, Done, Job, Order, Policy, Ready, Task, Verdict
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.store import Commit, Fact, Message, MessageId, Store
from avtomatika.stores.sql import group_commit
from avtomatika.stores.sql.sqlite import SqliteStore


def now() -> Instant:
    return Instant(time.time_ns() // 1_000_000)


def token() -> str:
    return os.urandom(8).hex()


def told(job: JobId, version: int) -> None:
    os.write(1, f"{job} {version}\n".encode())


async def live(store: Store, name: JobId) -> None:
    """One job from its beginning to its end: 1 has a message, 2 a branch instead, 3 neither; then a count."""
    at = now()
    task = Task(id=task_id(name, 2, 0), order=Order(skill="s"), execution_timeout=Span(1))
    job = Job(name, "b", "1", "s", Ready(), Policy(), at, at, labels={"name": name}, version=1)
    message = Message(
        MessageId(f"m-{name}"), f"q:{name}", name, at, StartTimer(name, task.id, 1, Deadline.RESULT, at)
    )
    fact = Fact(name, 1, at, CancelRequested())
    await store.commit(Commit(now=at, job=job, facts=(fact,), send=(message,)))
    told(name, 1)
    (lease,) = await store.lease((f"q:{name}",), owner="node:n", now=now(), ttl=Span(60_000), limit=1)
    job = Job(name, "b", "1", "s", Ready(), Policy(), at, at, labels={"name": name}, version=2)
    fact = Fact(name, 2, at, CancelRequested())
    await store.commit(
        Commit(now=now(), job=job, expected=1, facts=(fact,), branches=(Branch(task),), ack=(lease,))
    )
    told(name, 2)
    job = Job(name, "b", "1", "s", Done(Verdict.FINISHED), Policy(), at, at, labels={"name": name}, version=3)
    fact = Fact(name, 3, at, CancelRequested())
    await store.commit(Commit(now=now(), job=job, expected=2, facts=(fact,), close=(2,)))
    told(name, 3)
    counter = str(name).rpartition("x")[0]
    told(JobId(f"counter:{counter}"), await store.shelf.incr("counters", counter, 1))


async def main(path: Path, name: str, mode: str) -> None:
    if mode == "thread":
        group_commit.SLOW_COMMIT_S = 0.0  # type: ignore[misc]

    def broken(failure: Exception) -> None:
        raise SystemExit(str(failure))

    store = SqliteStore(path, now=now, tokens=token, broken=broken)

    async def go_on(worker: int) -> None:
        for n in range(1_000_000):
            await live(store, JobId(f"{name}x{worker}x{n}"))

    await asyncio.gather(*(go_on(worker) for worker in range(8)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
