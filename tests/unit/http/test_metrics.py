"""What is told becomes metrics with few and bounded labels."""

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from avtomatika import observe
from avtomatika.http import metrics
from avtomatika.metrics import REGISTRY, generate_latest


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def test_an_event_that_nobody_made_a_metric_of_is_no_harm() -> None:
    metrics.note("nothing.known", {"id": "1"})


def test_the_end_of_a_job_counts_by_how_it_ended() -> None:
    ends = (("finished", 2.0), ("failed", 3.0), ("quarantined", 4.0), ("cancelled", 5.0))
    for status, seconds in ends:
        metrics.note("job.over", {"blueprint": "ends", "status": status, "seconds": seconds})
    for status, seconds in ends:
        total = value("orchestrator_job_duration_seconds_sum", blueprint="ends", status=status)
        assert total == seconds
    failed = [value("orchestrator_jobs_failed_total", blueprint="ends", status=status) for status, _ in ends]
    assert failed == [None, 1.0, 1.0, None]


def test_a_label_with_too_many_values_counts_as_other() -> None:
    registry = CollectorRegistry()
    counted = metrics.Bounded(Counter("many_total", "Many.", ("name",), registry=registry), "name")
    for number in range(metrics.MOST_LABELS + 10):
        counted.of({"name": f"n{number}"}).inc()
    assert registry.get_sample_value("many_total", {"name": "other"}) == 10
    assert registry.get_sample_value("many_total", {"name": "n0"}) == 1
    families = text_string_to_metric_families(generate_latest(registry).decode())
    names = [s for family in families for s in family.samples if s.name == "many_total"]
    assert len(names) == metrics.MOST_LABELS + 1


def test_a_node_that_is_gone_has_no_figures() -> None:
    metrics.note("node.sample", {"node": "gone", "queued": 3, "workers": 2})
    metrics.note("loop.beat", {"node": "gone", "lag": 0.5})
    assert value("orchestrator_task_queue_length", node="gone") == 3
    assert value("orchestrator_active_workers", node="gone") == 2
    assert value("orchestrator_loop_lag_seconds", node="gone") == 0.5
    metrics.note("node.gone", {"node": "gone"})
    assert value("orchestrator_task_queue_length", node="gone") is None
    assert value("orchestrator_loop_lag_seconds", node="gone") is None


def test_two_that_listen_twice_hear_once() -> None:
    observe.listen(metrics.note)
    observe.listen(metrics.note)
    before = value("orchestrator_jobs_total", blueprint="once") or 0
    observe.measured("job.accepted", blueprint="once")
    assert value("orchestrator_jobs_total", blueprint="once") == before + 1
