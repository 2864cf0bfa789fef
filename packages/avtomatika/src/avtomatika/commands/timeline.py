"""What happened to a job, for those who follow it: each fact with what it did to the job."""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Raw

from avtomatika.kernel.events import Decided, Event, TaskSignalled
from avtomatika.kernel.machine import Life
from avtomatika.kernel.model import NULL, Done, Job, Status
from avtomatika.kernel.notices import failure_of
from avtomatika.kernel.rules.signal import PROGRESS
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Fact


class Entry(msgspec.Struct, frozen=True):
    """One fact: what happened, and where the job stood before and after it."""

    version: int
    at: Instant
    event: Event
    status: Status
    state: str
    before: Status | None
    previous: str | None


class News(msgspec.Struct, frozen=True):
    """One piece of news for a follower. `last` is true for the last piece of its version."""

    version: int
    at: Instant
    kind: str
    data: msgspec.Struct
    last: bool = True


class StateNews(msgspec.Struct, frozen=True):
    """The job has another status, or is in another state."""

    status: Status
    state: str
    previous_state: str | None


class WorkerNews(msgspec.Struct, frozen=True):
    """A worker told something about the task that it holds: its progress, or an event of its own.

    `origin_worker_id` is whom it comes from, which is the worker itself unless another one is proven.
    """

    task_id: str
    worker_id: str
    name: str
    payload: Raw
    origin_worker_id: str


class JobNews(msgspec.Struct, frozen=True):
    """A handler told something (`actions.send_event`)."""

    name: str
    payload: Raw


class EndNews(msgspec.Struct, frozen=True, omit_defaults=True):
    """The job is over."""

    status: Status
    state: str
    result: Raw = NULL
    error_code: str | None = None
    error_message: str | None = None


STATE: Final = "state"
WORKER_EVENT: Final = "worker_event"
JOB_EVENT: Final = "event"
END: Final = "end"


class Timeline:
    """Facts of one job, taken in order from the first one on."""

    def __init__(self) -> None:
        self._life = Life()

    def entry(self, fact: Fact) -> Entry:
        """The fact as an entry of the history."""
        before = self._life.job
        job = self._life.add(fact.event, fact.at)
        status, state = (None, None) if before is None else (before.status, before.state)
        return Entry(fact.version, fact.at, fact.event, job.status, job.state, status, state)

    def news(self, fact: Fact) -> Iterator[News]:
        """What a follower hears of the fact, which may be nothing."""
        entry = self.entry(fact)
        told = list(_told(entry, self._life.job))
        for place, (kind, data) in enumerate(told, 1):
            yield News(fact.version, fact.at, kind, data, place == len(told))


def _told(entry: Entry, job: Job | None) -> Iterator[tuple[str, msgspec.Struct]]:
    event = entry.event
    if isinstance(event, Decided):
        yield from ((JOB_EVENT, JobNews(signal.name, signal.payload)) for signal in event.told)
    if isinstance(event, TaskSignalled):
        kind = PROGRESS if event.name == PROGRESS else WORKER_EVENT
        yield kind, _of_worker(event)
    if (entry.status, entry.state) != (entry.before, entry.previous):
        yield STATE, StateNews(entry.status, entry.state, entry.previous)
    if job is not None and isinstance(job.phase, Done):
        yield END, _end(job, job.phase)


def _of_worker(event: TaskSignalled) -> WorkerNews:
    origin = event.origin or event.worker
    return WorkerNews(event.task, event.worker, event.name, event.payload, origin)


def _end(job: Job, phase: Done) -> EndNews:
    failure = failure_of(job)
    return EndNews(
        status=job.status,
        state=job.state,
        result=phase.result,
        error_code=None if failure is None else failure.code,
        error_message=None if failure is None else failure.message,
    )
