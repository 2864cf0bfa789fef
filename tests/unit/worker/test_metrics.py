"""Tasks and calls are counted where metrics are enabled."""

import re
from typing import Any

import pytest
from prometheus_client import REGISTRY, Counter
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from avtomatika_worker import SkillBlueprint
from avtomatika_worker.types import PermanentError
from avtomatika_worker.watching.health import Health
from avtomatika_worker.watching.metrics import MOST_OUTCOMES, Metrics
from rxon.errors import AuthError
from rxon.messages import Heartbeat, Registration
from rxon.testing.gateway import MemoryGateway
from rxon.testing.loopback import LoopbackTransport
from rxon.transport import PollRequest
from tests.docs.pages import ROOT
from tests.unit.worker.calling import Bench, offer

HEALTH = Health(alive=True, registered=("http://a",), running_tasks=3, draining=False)


def figures(metrics: Metrics, health: Health = HEALTH) -> dict[str, float]:
    """What `/metrics` says, by name and labels; buckets are left out."""
    text = metrics.text(health).decode()
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {
        " ".join([sample.name, *(sample.labels[name] for name in sorted(sample.labels))]): sample.value
        for sample in samples
        if "le" not in sample.labels
    }


async def test_tasks_are_counted_by_skill_and_outcome() -> None:
    skills = SkillBlueprint()

    @skills.skill
    async def work(params: dict[str, Any]) -> Any:
        if "fail" in params:
            raise PermanentError("no")
        return {"status": params.get("status", "success")}

    metrics = Metrics(4)
    bench = Bench(skills)
    bench.runner.watches = [metrics]
    given = ({}, {}, {"status": "odd"}, {"fail": 1})
    await bench.run(*(offer(params, task_id=f"t{n}") for n, params in enumerate(given)))
    found = figures(metrics)
    # labels in the order of their names: code, outcome, skill
    assert found["worker_tasks_total none success work"] == 2
    assert found["worker_tasks_total none odd work"] == 1
    assert found["worker_tasks_total PERMANENT_ERROR failure work"] == 1
    assert found["worker_task_duration_seconds_count work"] == 4
    assert found["worker_task_duration_seconds_sum work"] < 5


async def test_what_nobody_wanted_any_more_counts_as_that() -> None:
    skills = SkillBlueprint()
    metrics = Metrics(1)

    @skills.skill
    async def work() -> None:
        bench.runner.stop(execution)

    bench = Bench(skills)
    bench.runner.watches = [metrics]
    async with bench.group:
        execution = bench.submit(offer())
    assert figures(metrics)["worker_tasks_total none unwanted work"] == 1


def test_the_state_of_the_worker_is_that_of_the_moment() -> None:
    metrics = Metrics(10)
    metrics.counting("http://a", LoopbackTransport(MemoryGateway(), "w1", "token"))
    metrics.counting("http://b", LoopbackTransport(MemoryGateway(), "w1", "token"))
    found = figures(metrics)
    assert (found["worker_tasks_running"], found["worker_slots"], found["worker_draining"]) == (3, 10, 0)
    assert (found["worker_registered http://a"], found["worker_registered http://b"]) == (1, 0)
    assert found["worker_streaming http://a"] == 0
    later = Health(alive=True, registered=(), running_tasks=0, draining=True)
    assert figures(metrics, later)["worker_draining"] == 1
    assert figures(metrics, later)["worker_registered http://a"] == 0


async def test_calls_are_counted_and_errors_by_their_code() -> None:
    metrics = Metrics(1)
    way = metrics.counting("http://a", LoopbackTransport(MemoryGateway(), "w1", "token"))
    await way.register(Registration("w1"))
    await way.poll(PollRequest(0.0))
    await way.heartbeat(Heartbeat("w1"))
    stranger = metrics.counting("http://b", LoopbackTransport(MemoryGateway(), "w1", "wrong"))
    for _ in range(2):
        with pytest.raises(AuthError):
            await stranger.poll(PollRequest(0.0))
    found = figures(metrics)
    assert found["worker_calls_total poll http://a"] == 1
    assert found["worker_calls_total heartbeat http://a"] == 1
    assert found["worker_calls_total register http://a"] == 1
    assert found["worker_call_errors_total poll unauthorized http://b"] == 2


def test_no_credentials_are_shown() -> None:
    metrics = Metrics(1)
    metrics.counting("http://user:hush@a:1", LoopbackTransport(MemoryGateway(), "w1", "token"))
    text = metrics.text(HEALTH).decode()
    assert "hush" not in text
    assert 'orchestrator="http://a:1"' in text


async def test_there_is_an_end_to_how_many_outcomes_are_told_apart() -> None:
    skills = SkillBlueprint()

    @skills.skill
    async def work(params: dict[str, Any]) -> Any:
        return {"status": f"s{params['n']}"}

    metrics = Metrics(1)
    bench = Bench(skills)
    bench.runner.watches = [metrics]
    await bench.run(*(offer({"n": n}, task_id=f"t{n}") for n in range(MOST_OUTCOMES + 5)))
    assert figures(metrics)["worker_tasks_total other other work"] == 5


def test_what_the_program_counts_itself_is_there_too() -> None:
    counter = Counter("letters_of_a_test", "Letters that were sent.")
    try:
        counter.inc(7)
        assert figures(Metrics(1))["letters_of_a_test_total"] == 7
    finally:
        REGISTRY.unregister(counter)


def test_the_page_lists_every_metric_with_its_kind_and_its_labels() -> None:
    page = (ROOT / "docs/how-to/monitoring-workers.md").read_text("utf-8")
    row = re.compile(r"^\| `(worker_\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)
    listed = {found[1]: (found[2], set(re.findall(r"`(\w+)`", found[3]))) for found in row.finditer(page)}
    metrics = [each for each in vars(Metrics(1)).values() if isinstance(each, MetricWrapperBase)]
    there_are = {
        family.name + ("_total" if family.type == "counter" else ""): (family.type, set(each._labelnames))
        for each in metrics
        for family in each.describe()
    }
    assert listed == {**there_are, "worker_slots": ("gauge", set())}


def test_workers_of_one_process_count_apart() -> None:
    one, two = Metrics(1), Metrics(2)
    assert (figures(one)["worker_slots"], figures(two)["worker_slots"]) == (1, 2)
