"""A million jobs in a store of any kind: nine of ten are over, the others wait for workers or for a moment.

    python -m tests.perf.stored_jobs BEGIN COUNT

is one of the processes that fill the store which the environment names, by its own commits.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import msgspec
import uvloop

from avtomatika import Config
from avtomatika.app.backends import open_backend
from avtomatika.clock import SystemClock, SystemNames
from avtomatika.commands.outbox import message_of, timer_message
from avtomatika.kernel.decisions import Dispatch
from avtomatika.kernel.effects import OfferTask, StartAlarm, StartTimer
from avtomatika.kernel.events import Deadline, Decided, Submitted
from avtomatika.kernel.ids import JobId, task_id
from avtomatika.kernel.model import Job, Order, Policy, Ready, Sleeping, Task, Waiting
from avtomatika.kernel.time import Instant, Span, after
from avtomatika.ports.store import Commit, Fact, Store
from avtomatika.services.supervisor import Supervisor
from tests.perf.finished_jobs import BLUEPRINTS, CLIENTS, INPUT, START, finished, now, rare

WRITERS = 2
AT_ONCE = 300
CLASSES = 20
MONTH = Span(30 * 86_400_000)
ENDED = 0.9


def stored(n: int, due: Instant) -> Commit:
    """The job of this number; what it waits for comes at *due*, or never."""
    if n % 10:
        return finished(n)
    return waiting(n, due) if n % 20 else sleeping(n, due)


def name_of(n: int) -> JobId:
    """The job of this number, by its id."""
    return JobId(f"{START + n:x}-{n:08}")


def _first(n: int) -> Job:
    at = Instant(START + n * 10)
    return Job(
        id=name_of(n),
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


def waiting(n: int, due: Instant) -> Commit:
    """A job whose task no worker has taken."""
    first = _first(n)
    order = Order(skill=f"waiting-{n // 20 % CLASSES}")
    task = Task(task_id(first.id, 2, 0), order, Span(60_000), dispatch_due=due)
    at = first.created
    job = msgspec.structs.replace(first, phase=Waiting(task, {"success": "end"}), version=2, steps=1)
    facts = (
        Fact(first.id, 1, at, Submitted(first)),
        Fact(first.id, 2, at, Decided(1, Dispatch(order, {"success": "end"}))),
    )
    offer = message_of(OfferTask(first.id, task, at))
    timer = timer_message(StartTimer(first.id, task.id, 1, Deadline.DISPATCH, due))
    return Commit(now=at, job=job, facts=facts, send=(offer, timer))


def sleeping(n: int, due: Instant) -> Commit:
    """A job that rests."""
    first = _first(n)
    job = msgspec.structs.replace(first, phase=Sleeping(2, due, "end"), version=2, steps=1)
    fact = Fact(first.id, 1, first.created, Submitted(first))
    alarm = message_of(StartAlarm(first.id, 2, due))
    return Commit(now=first.created, job=job, facts=(fact,), send=(alarm,))


@asynccontextmanager
async def opened(environment: Mapping[str, str]) -> AsyncIterator[Store]:
    """The store that the environment names, for this process."""
    settings = Config(environment).settings()
    backend = await open_backend(settings, SystemClock(), SystemNames(), Supervisor())
    try:
        yield backend.store
    finally:
        await backend.store.close()


async def write(environment: Mapping[str, str], begin: int, count: int) -> None:
    """So many jobs are in the store, from this number on."""
    due = after(now(), MONTH)
    numbers = iter(range(begin, begin + count))
    async with opened(environment) as store:

        async def one_after_another() -> None:
            for n in numbers:
                await store.commit(stored(n, due))

        await asyncio.gather(*(one_after_another() for _ in range(AT_ONCE)))


def fill(environment: Mapping[str, str], count: int, writers: int = WRITERS) -> float:
    """So many jobs are in the store; the jobs that were stored a second."""
    begun = time.perf_counter()
    each = -(-count // writers)
    command = [sys.executable, "-m", "tests.perf.stored_jobs"]
    running = [
        subprocess.Popen(
            [*command, str(begin), str(min(each, count - begin))], env={**os.environ, **environment}
        )
        for begin in range(0, count, each)
    ]
    if sum(process.wait() != 0 for process in running):
        raise SystemExit("the store could not be filled")
    return count / (time.perf_counter() - begun)


if __name__ == "__main__":
    uvloop.run(write(os.environ, int(sys.argv[1]), int(sys.argv[2])))
