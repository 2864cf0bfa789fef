"""What a node counts, read where Prometheus reads it."""

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from avtomatika import Blueprint
from tests.integration.http.conftest import Orchestrator, Start

WRONG = {"X-Worker-Token": "wrong"}


def measured_flow() -> Blueprint:
    made = Blueprint("measured", api_endpoint="/jobs/flow", api_version="v1")

    @made.handler(is_start=True)
    async def begin(actions):  # type: ignore[no-untyped-def]
        actions.dispatch_task(
            "work", {}, {"success": "done", "failure": "failed"}, result_timeout_seconds=None, retry=None
        )

    @made.handler(is_end=True)
    async def done():  # type: ignore[no-untyped-def]
        return "ok"

    @made.handler(is_end=True)
    async def failed():  # type: ignore[no-untyped-def]
        return "no"

    return made


async def scraped(node: Orchestrator) -> dict[str, float]:
    """Every sample, by its name and labels as Prometheus writes them."""
    async with node.session.get(f"{node.url}/_public/metrics") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/plain"
        text = await answer.text()
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {
        s.name + "".join(f" {k}={v}" for k, v in sorted(s.labels.items()) if k != "le"): s.value
        for s in samples
    }


async def gained(node: Orchestrator, before: dict[str, float]) -> dict[str, float]:
    """By how much each counter went up."""
    after = await scraped(node)
    return {
        name: value - before.get(name, 0)
        for name, value in after.items()
        if not name.split(" ")[0].endswith("_created") and value != before.get(name, 0)
    }


async def test_jobs_are_counted_from_their_acceptance_to_their_end(start: Start) -> None:
    node = await start(measured_flow())
    worker = await node.worker()
    before = await scraped(node)
    good, bad = await node.create(), await node.create()
    await worker.report(await worker.take())
    await worker.fail(await worker.take(), "PERMANENT_ERROR")
    await node.ended(good)
    await node.ended(bad)
    now = await gained(node, before)
    assert now["orchestrator_jobs_total blueprint=measured"] == 2
    ended = {name: count for name, count in now.items() if "duration_seconds_count" in name}
    assert sum(ended.values()) == 2
    assert now["orchestrator_jobs_failed_total blueprint=measured status=failed"] == 1


async def test_what_is_turned_away_is_counted(start: Start) -> None:
    node = await start(measured_flow())
    worker = await node.worker()
    before = await scraped(node)
    await node.get("/api/v1/jobs", token="wrong")
    await worker.call(
        "POST", "/_worker/workers/register", {"worker_id": "w1"}, headers={"X-Worker-Token": "x"}
    )
    job = await node.create()
    task = await worker.take()
    await worker.report(task)
    await worker.report(task)
    await worker.report(task, {"other": 1})
    await node.ended(job)
    now = await gained(node, before)
    assert now["orchestrator_security_auth_failures_total role=client"] == 1
    assert now["orchestrator_security_auth_failures_total role=worker"] == 1
    assert now["orchestrator_tasks_ignored_total reason=duplicate"] == 1
    assert now["orchestrator_tasks_ignored_total reason=stale"] == 1


async def test_a_time_limit_is_counted(start: Start) -> None:
    node = await start(measured_flow())
    before = await scraped(node)
    job = await node.create({"initial_data": {}, "dispatch_timeout": 0.01})
    await node.ended(job)
    now = await gained(node, before)
    assert now["orchestrator_jobs_timeouts_total blueprint=measured deadline=dispatch"] == 1


async def test_a_node_tells_how_it_feels_for_as_long_as_it_lives(start: Start) -> None:
    node = await start(measured_flow(), INSTANCE_ID="measured-node")
    async with asyncio.timeout(10):
        while "orchestrator_loop_lag_seconds node=measured-node" not in (found := await scraped(node)):
            await asyncio.sleep(0.1)
    assert found["orchestrator_task_queue_length node=measured-node"] == 0
    assert found["orchestrator_active_workers node=measured-node"] == 0
    await node.engine.stop()
    other = await start(measured_flow(), INSTANCE_ID="other-node")
    assert not [name for name in await scraped(other) if "measured-node" in name]
