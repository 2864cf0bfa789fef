"""Spans and figures of tasks for OpenTelemetry, with the extra ``otel``."""

import importlib
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from opentelemetry import context as contexts
from opentelemetry import metrics, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from avtomatika_worker.skills.outcome import Outcome
from avtomatika_worker.watching.watch import Ended
from rxon.messages import TaskOffer

__all__ = ["Tracing", "export_to"]

NAME: Final = "avtomatika_worker"
FLUSH_MILLISECONDS: Final = 3_000

_log = logging.getLogger(__name__)


class Tracing:
    """A span for each task, below the span that its job belongs to; handlers run within it.

    Which spans are kept and where they go is up to the providers that the program has set.
    """

    def __init__(self, worker_id: str) -> None:
        self._worker_id = worker_id
        self._tracer = trace.get_tracer(NAME)
        meter = metrics.get_meter(NAME)
        self._tasks = meter.create_counter("worker.tasks.total", description="Tasks whose handler ended.")
        self._durations = meter.create_histogram("worker.tasks.duration", "s", "How long handlers took.")
        self._propagator = TraceContextTextMapPropagator()

    def began(self, offer: TaskOffer) -> Ended:
        """The span of the task is the current one until it ends."""
        began = time.monotonic()
        parent = self._propagator.extract(_carrier(offer))
        span = self._tracer.start_span(
            f"task {offer.type}",
            parent,
            trace.SpanKind.CONSUMER,
            {
                "avtomatika.skill": offer.type,
                "avtomatika.task_id": offer.task_id,
                "avtomatika.job_id": offer.job_id,
                "avtomatika.worker_id": self._worker_id,
                "avtomatika.priority": offer.priority,
            },
        )
        token = contexts.attach(trace.set_span_in_context(span, parent))

        def ended(outcome: Outcome | None) -> None:
            contexts.detach(token)
            _end(span, outcome)
            attributes = {"skill": offer.type, "outcome": "unwanted" if outcome is None else outcome.status}
            self._tasks.add(1, attributes)
            self._durations.record(time.monotonic() - began, attributes)

        return ended


def export_to(endpoint: str, worker_id: str) -> Callable[[], None]:
    """Spans go to ``endpoint`` by OTLP over HTTP, unless the program has set a provider already.

    That needs the SDK and its exporter; without them a line of the log says so. What is returned sends
    what is left, and may block for some seconds.
    """
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return _nothing
    try:
        sdk: Any = importlib.import_module("opentelemetry.sdk.trace")
        batches: Any = importlib.import_module("opentelemetry.sdk.trace.export")
        resources: Any = importlib.import_module("opentelemetry.sdk.resources")
        otlp: Any = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError as error:
        _log.warning(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but nothing is sent there: %s."
            " Install opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http",
            error,
        )
        return _nothing
    resource = resources.Resource.create({"service.name": NAME, "service.instance.id": worker_id})
    provider = sdk.TracerProvider(resource=resource)
    exporter = otlp.OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces")
    provider.add_span_processor(batches.BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return lambda: provider.force_flush(FLUSH_MILLISECONDS)


def _end(span: trace.Span, outcome: Outcome | None) -> None:
    if outcome is not None:
        span.set_attribute("avtomatika.outcome", outcome.status)
        if outcome.error is not None:
            span.set_attribute("error.type", outcome.error.code)
            span.set_status(trace.StatusCode.ERROR, outcome.error.message)
    span.end()


def _carrier(offer: TaskOffer) -> dict[str, str]:
    return {name: value for name, value in (offer.tracing_context or {}).items() if isinstance(value, str)}


def _nothing() -> None:
    """Nothing is left to be sent."""
