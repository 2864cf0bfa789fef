"""Figures of a worker for Prometheus, with the extra ``metrics``."""

import time
from collections.abc import Awaitable, Sequence
from typing import Final, TypeVar
from urllib.parse import urlsplit

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from avtomatika_worker.skills.outcome import Outcome
from avtomatika_worker.watching.health import Health
from avtomatika_worker.watching.relay import Relay
from avtomatika_worker.watching.watch import Ended
from rxon.errors import RxonError
from rxon.messages import (
    EventAnswer,
    Heartbeat,
    HeartbeatAnswer,
    Registered,
    Registration,
    ResultAnswer,
    TaskOffer,
    TaskResult,
    WorkerEvent,
)
from rxon.transport import PollRequest, WorkerTransport

__all__ = ["CountedCalls", "Metrics"]

R = TypeVar("R")

DURATIONS: Final = (0.005, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0, 86_400.0)
MOST_OUTCOMES: Final = 100
OTHER: Final = "other"
NOTHING: Final = "none"


class Metrics:
    """Counts the tasks of one worker with ``slots`` slots, and its calls to orchestrators.

    The registry is not the default one of the client library: workers of one process count apart.
    """

    def __init__(self, slots: int) -> None:
        mine = self.registry = CollectorRegistry()
        self._ways: list[CountedCalls] = []
        self._outcomes: set[tuple[str, str]] = set()
        self._tasks = Counter(
            "worker_tasks_total", "Tasks whose handler ended.", ("skill", "outcome", "code"), registry=mine
        )
        self._durations = Histogram(
            "worker_task_duration_seconds", "How long it took.", ("skill",), registry=mine, buckets=DURATIONS
        )
        self._running = Gauge("worker_tasks_running", "Handlers that are running.", registry=mine)
        Gauge("worker_slots", "How many tasks may run at once.", registry=mine).set(slots)
        self._draining = Gauge("worker_draining", "1 while the worker takes no more tasks.", registry=mine)
        self._calls = Counter(
            "worker_calls_total", "Calls that were answered.", ("orchestrator", "call"), registry=mine
        )
        self._errors = Counter(
            "worker_call_errors_total", "Calls that failed.", ("orchestrator", "call", "code"), registry=mine
        )
        self._registered = Gauge(
            "worker_registered",
            "1 while the orchestrator knows the worker.",
            ("orchestrator",),
            registry=mine,
        )
        self._streaming = Gauge(
            "worker_streaming", "1 while tasks come over a stream.", ("orchestrator",), registry=mine
        )

    def began(self, offer: TaskOffer) -> Ended:
        """The task counts when it is over."""
        began = time.monotonic()

        def ended(outcome: Outcome | None) -> None:
            self._tasks.labels(offer.type, *self._words(outcome)).inc()
            self._durations.labels(offer.type).observe(time.monotonic() - began)

        return ended

    def counting(self, name: str, way: WorkerTransport) -> "CountedCalls":
        """The transport to the orchestrator ``name``; its calls count."""
        counted = CountedCalls(way, name, self)
        self._ways.append(counted)
        return counted

    def answered(self, orchestrator: str, call: str) -> None:
        """A call was answered."""
        self._calls.labels(orchestrator, call).inc()

    def failed(self, orchestrator: str, call: str, code: str) -> None:
        """A call failed."""
        self._errors.labels(orchestrator, call, code).inc()

    def text(self, health: Health) -> bytes:
        """Everything, in the text format of Prometheus; also what the program itself counts."""
        self._running.set(health.running_tasks)
        self._draining.set(health.draining)
        for way in self._ways:
            self._registered.labels(way.label).set(way.name in health.registered)
            self._streaming.labels(way.label).set(way.streaming)
        return generate_latest(self.registry) + generate_latest(REGISTRY)

    def _words(self, outcome: Outcome | None) -> tuple[str, str]:
        """Status and code; handlers may invent both, so there is an end to how many are told apart."""
        if outcome is None:
            return "unwanted", NOTHING
        words = (outcome.status, NOTHING if outcome.error is None else outcome.error.code)
        if words not in self._outcomes and len(self._outcomes) >= MOST_OUTCOMES:
            return OTHER, OTHER
        self._outcomes.add(words)
        return words


class CountedCalls(Relay):
    """Counts the calls to the orchestrator ``name``, and those that failed by their code."""

    def __init__(self, way: WorkerTransport, name: str, metrics: Metrics) -> None:
        super().__init__(way)
        self.name = name
        self.label = _without_credentials(name)
        self._metrics = metrics

    async def register(self, registration: Registration) -> Registered:
        """The server knows the worker."""
        return await self._counted("register", super().register(registration))

    async def poll(self, request: PollRequest) -> Sequence[TaskOffer]:
        """Tasks for this worker; empty when none came in time."""
        return await self._counted("poll", super().poll(request))

    async def heartbeat(self, beat: Heartbeat | None) -> HeartbeatAnswer:
        """The server knows that the worker is alive."""
        return await self._counted("heartbeat", super().heartbeat(beat))

    async def report(self, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        """Answers for at least the first of ``results``, in order."""
        return await self._counted("report", super().report(results))

    async def emit(self, event: WorkerEvent) -> EventAnswer:
        """The server has judged the event."""
        return await self._counted("emit", super().emit(event))

    async def _counted(self, call: str, answer: Awaitable[R]) -> R:
        try:
            found = await answer
        except RxonError as error:
            self._metrics.failed(self.label, call, error.code)
            raise
        self._metrics.answered(self.label, call)
        return found


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
