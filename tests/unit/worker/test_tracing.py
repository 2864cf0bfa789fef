"""A span for each task, below that of its job, around its handler. The SDK is the real one."""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from avtomatika_worker import SkillBlueprint
from avtomatika_worker.types import PermanentError
from tests.unit.worker.calling import Bench, offer

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from avtomatika_worker.watching import tracing

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CONTEXT = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}


class Seen:
    """What the providers of one test got."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])

    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        assert data is not None
        found = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics]
        return [point for metric in found if metric.name == name for point in metric.data.data_points]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """Providers as a program would set them, for one test."""
    found = Seen()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: found.provider)
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: found.meters)
    monkeypatch.setattr(trace, "get_tracer", found.provider.get_tracer)
    monkeypatch.setattr(metrics, "get_meter", found.meters.get_meter)
    yield found
    found.provider.shutdown()
    found.meters.shutdown()


async def run(handler: Any, **fields: Any) -> None:
    skills = SkillBlueprint()
    skills.skill("work")(handler)
    bench = Bench(skills)
    bench.runner.watches = [tracing.Tracing("w1")]
    await bench.run(offer(**fields))


async def test_a_task_is_a_span_below_the_one_of_its_job(seen: Seen) -> None:
    async def handler() -> None: ...

    await run(handler, tracing_context=CONTEXT, priority=2.0)
    (span,) = seen.spans()
    assert span.context is not None
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT
    assert span.parent.is_remote
    assert (span.name, span.kind) == ("task work", trace.SpanKind.CONSUMER)
    assert dict(span.attributes or {}) == {
        "avtomatika.skill": "work",
        "avtomatika.task_id": "task-1",
        "avtomatika.job_id": "job-1",
        "avtomatika.worker_id": "w1",
        "avtomatika.priority": 2.0,
        "avtomatika.outcome": "success",
    }


@pytest.mark.parametrize("context", [None, {}, {"traceparent": "nonsense"}, {"traceparent": 7}])
async def test_a_task_without_a_trace_begins_one(context: Any, seen: Seen) -> None:
    async def handler() -> None: ...

    await run(handler, tracing_context=context)
    (span,) = seen.spans()
    assert span.parent is None


async def test_spans_of_handlers_are_within_it_in_coroutines_and_threads(seen: Seen) -> None:
    def thread() -> None:
        seen.provider.get_tracer("mine").start_span("inner").end()

    async def coroutine() -> None:
        thread()

    for handler in (coroutine, thread):
        seen.exporter.clear()
        await run(handler, tracing_context=CONTEXT)
        inner, outer = seen.spans()
        assert (inner.name, outer.name) == ("inner", "task work")
        assert outer.context is not None
        assert inner.parent is not None
        assert inner.parent.span_id == outer.context.span_id
    assert not trace.get_current_span().get_span_context().is_valid


async def test_a_failure_is_an_error_of_the_span(seen: Seen) -> None:
    async def handler() -> None:
        raise PermanentError("the file is broken")

    await run(handler)
    (span,) = seen.spans()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.status.description == "the file is broken"
    assert (span.attributes or {})["error.type"] == "PERMANENT_ERROR"


async def test_figures_are_recorded_under_the_published_names(seen: Seen) -> None:
    async def handler() -> None: ...

    await run(handler)
    (count,) = seen.points("worker.tasks.total")
    assert (count.value, dict(count.attributes)) == (1, {"skill": "work", "outcome": "success"})
    (duration,) = seen.points("worker.tasks.duration")
    assert duration.count == 1


# ---------------------------------------------------------------- OTEL_EXPORTER_OTLP_ENDPOINT


class FakeExporter(SpanExporter):
    """Stands for the exporter of opentelemetry-exporter-otlp-proto-http, which tests do not install."""

    made: list["FakeExporter"] = []

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.names: list[str] = []
        FakeExporter.made.append(self)

    def export(self, spans: Any) -> SpanExportResult:
        self.names += [span.name for span in spans]
        return SpanExportResult.SUCCESS


@pytest.fixture
def fake_exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The exporter is there, and no provider is set; the one that is set is kept."""
    FakeExporter.made = []
    providers: list[Any] = []
    name = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
    parts = name.split(".")
    for n in range(2, len(parts)):
        monkeypatch.setitem(sys.modules, ".".join(parts[:n]), ModuleType(".".join(parts[:n])))
    module = ModuleType(name)
    module.OTLPSpanExporter = FakeExporter  # type: ignore[attr-defined]  # as in the real module
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(trace, "get_tracer_provider", trace.ProxyTracerProvider)
    monkeypatch.setattr(trace, "set_tracer_provider", providers.append)
    yield providers
    for provider in providers:
        provider.shutdown()


def test_spans_go_to_the_endpoint_and_what_is_left_is_sent_at_the_end(fake_exporter: list[Any]) -> None:
    flush = tracing.export_to("http://collector:4318/", "w1")
    (provider,) = fake_exporter
    provider.get_tracer("mine").start_span("last").end()
    flush()
    (exporter,) = FakeExporter.made
    assert (exporter.endpoint, exporter.names) == ("http://collector:4318/v1/traces", ["last"])
    assert provider.resource.attributes["service.instance.id"] == "w1"


def test_a_provider_of_the_program_is_left_alone(
    fake_exporter: list[Any], seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: seen.provider)
    tracing.export_to("http://collector:4318", "w1")()
    assert fake_exporter == []


def test_without_an_exporter_the_log_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    monkeypatch.setattr(trace, "get_tracer_provider", trace.ProxyTracerProvider)
    tracing.export_to("http://collector:4318", "w1")()
    assert "opentelemetry-exporter-otlp-proto-http" in caplog.text
