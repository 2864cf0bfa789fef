"""What a dispatch demands of workers and of their results (feature A5)."""

from typing import Any

from avtomatika import ActionFactory, Blueprint
from tests.integration.http.conftest import Start

GPU = {"devices": [{"type": "gpu", "model": "RTX 4090", "properties": {"memory_gb": 24}}]}


def demanding(**options: Any) -> Blueprint:
    """One task with these options."""
    blueprint = Blueprint("flow", api_version="v1", api_endpoint="/jobs/flow")

    @blueprint.handler(is_start=True)
    async def start(actions: ActionFactory) -> None:
        actions.dispatch_task("work", {}, {"success": "finished"}, **options)

    return blueprint


async def test_a_task_goes_only_to_a_machine_that_has_what_it_demands(start: Start) -> None:
    wanted = {"resources": {"devices": [{"type": "gpu", "properties": {"memory_gb": 20}}]}}
    node = await start(demanding(resource_requirements=wanted))
    weak = await node.worker("weak")
    strong = await node.worker("strong")
    assert (await strong.register("work", resources=GPU))[0] == 200
    job_id = await node.create()
    assert await weak.poll(timeout=0.2) is None
    await strong.report(await strong.take(), {"n": 1})
    assert (await node.ended(job_id))["status"] == "finished"


async def test_a_success_that_breaks_its_schema_is_a_contract_violation(start: Start) -> None:
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    node = await start(demanding(output_schema=schema))
    worker = await node.worker()
    good, bad = await node.create(), await node.create()
    results: dict[str, Any] = {good: {"n": 1}, bad: {"n": "one"}}
    for _ in results:
        task = await worker.take()
        status, answer = await worker.report(task, results[task["job_id"]])
        assert status == 200
        again = await worker.report(task, results[task["job_id"]])
        assert again == (200, answer | {"duplicate": True})
    assert (await node.ended(good))["status"] == "finished"
    job = await node.ended(bad)
    assert (job["status"], job["error"]["code"]) == ("quarantined", "CONTRACT_VIOLATION_ERROR")
    assert "n: " in job["error"]["message"]


async def test_a_demand_that_nobody_would_understand_is_a_mistake_of_the_blueprint(start: Start) -> None:
    node = await start(demanding(resource_requirements={"gpus": 2}))
    job = await node.ended(await node.create())
    assert (job["status"], job["error"]["code"]) == ("quarantined", "BLUEPRINT_ERROR")
