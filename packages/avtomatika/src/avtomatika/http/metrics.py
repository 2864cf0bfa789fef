"""The metrics of the process: one registry, filled by what `observe` tells, under the names of 1.0b21.

Labels never hold ids, and a label holds no more than `MOST_LABELS` different values: what comes later
counts as `other`. The registry is not the default one of the Prometheus client, so that a program that has
engines in it keeps its own apart; several engines of one process count together.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

REGISTRY: Final = CollectorRegistry()
MOST_LABELS: Final = 500
OTHER: Final = "other"
DURATIONS: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0, 86_400.0, 604_800.0)

Fields = Mapping[str, Any]
Note = Callable[[Fields], None]


class Bounded:
    """A metric whose label sets are bound once, and of which there are not too many."""

    def __init__(self, metric: MetricWrapperBase, *labels: str) -> None:
        self.metric, self.labels = metric, labels
        self._bound: dict[tuple[str, ...], Any] = {}

    def of(self, fields: Fields) -> Any:
        """The metric with its labels as the fields say."""
        values = tuple([str(fields[label]) for label in self.labels])
        found = self._bound.get(values)
        if found is None:
            if len(self._bound) >= MOST_LABELS:
                values = (OTHER,) * len(self.labels)
            found = self._bound[values] = self.metric.labels(*values)
        return found

    def forget(self, fields: Fields) -> None:
        """What the fields say is no longer among the metrics."""
        values = tuple(str(fields[label]) for label in self.labels)
        if self._bound.pop(values, None) is not None:
            self.metric.remove(*values)


def counter(name: str, text: str, *labels: str) -> Bounded:
    """A counter with these labels."""
    return Bounded(Counter(f"orchestrator_{name}", text, labels, registry=REGISTRY), *labels)


def gauge(name: str, text: str, *labels: str) -> Bounded:
    """A gauge with these labels."""
    return Bounded(Gauge(f"orchestrator_{name}", text, labels, registry=REGISTRY), *labels)


JOBS: Final = counter("jobs_total", "Jobs that were accepted.", "blueprint")
JOBS_FAILED: Final = counter(
    "jobs_failed_total", "Jobs that ended as failed or quarantined.", "blueprint", "status"
)
JOB_DURATION: Final = Bounded(
    Histogram(
        "orchestrator_job_duration_seconds",
        "From the acceptance of a job to its end.",
        ("blueprint", "status"),
        registry=REGISTRY,
        buckets=DURATIONS,
    ),
    "blueprint",
    "status",
)
TIMEOUTS: Final = counter(
    "jobs_timeouts_total", "Tasks that ran into a time limit, by the limit.", "blueprint", "deadline"
)
IGNORED: Final = counter("tasks_ignored_total", "Results of tasks that changed nothing, and why.", "reason")
SCHEDULED: Final = counter(
    "scheduler_jobs_triggered_total", "Jobs that a schedule created, by schedule.", "schedule"
)
AUTH_FAILURES: Final = counter(
    "security_auth_failures_total", "Requests with a credential that is missing or not valid.", "role"
)
MISMATCHES: Final = counter(
    "security_identity_mismatch_total", "Requests of a worker that spoke for another one.", "role"
)
QUEUE: Final = gauge(
    "task_queue_length", "Tasks that wait for a worker, of the first thousand that are not over.", "node"
)
WORKERS: Final = gauge("active_workers", "Workers that were heard of lately.", "node")
LAG: Final = gauge("loop_lag_seconds", "How late the event loop was within the last second.", "node")


def _over(fields: Fields) -> None:
    JOB_DURATION.of(fields).observe(fields["seconds"])
    if fields["status"] in ("failed", "quarantined"):
        JOBS_FAILED.of(fields).inc()


def _sampled(fields: Fields) -> None:
    QUEUE.of(fields).set(fields["queued"])
    WORKERS.of(fields).set(fields["workers"])


def _gone(fields: Fields) -> None:
    for each in (QUEUE, WORKERS, LAG):
        each.forget(fields)


_NOTES: Final[Mapping[str, Note]] = {
    "auth.failed": lambda fields: AUTH_FAILURES.of(fields).inc(),
    "auth.mismatch": lambda fields: MISMATCHES.of(fields).inc(),
    "job.accepted": lambda fields: JOBS.of(fields).inc(),
    "job.over": _over,
    "loop.beat": lambda fields: LAG.of(fields).set(fields["lag"]),
    "node.gone": _gone,
    "node.sample": _sampled,
    "schedule.fired": lambda fields: SCHEDULED.of(fields).inc(),
    "task.ignored": lambda fields: IGNORED.of(fields).inc(),
    "task.overdue": lambda fields: TIMEOUTS.of(fields).inc(),
}


def note(name: str, fields: Fields) -> None:
    """The metrics that the event is about have changed. A listener of `observe`."""
    found = _NOTES.get(name)
    if found is not None:
        found(fields)
