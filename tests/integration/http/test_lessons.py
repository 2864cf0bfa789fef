"""What went wrong in earlier releases and does not here: see docs/explanation/what-went-wrong-before.md."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from avtomatika import ActionFactory, Blueprint
from tests.integration.http.blueprints import fan, flow, straight
from tests.integration.http.conftest import Start

OPTIONAL = ("opentelemetry", "redis", "asyncpg", "pydantic", "psutil", "rich", "watchfiles")

BARE = f"""
import asyncio, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {OPTIONAL!r}:
            raise ImportError(name)

sys.meta_path.insert(0, Missing())
from avtomatika import Blueprint, Config, OrchestratorEngine

done = []

async def main():
    flow = Blueprint("flow", api_version="v1", api_endpoint="/jobs/flow")

    @flow.handler(is_start=True, is_end=True)
    async def start(n):
        return n + 1

    config = Config({{}})
    config.API_PORT, config.STORAGE_URL, config.AVTOMATIKA_DATA_DIR = 0, "memory://", sys.argv[1]
    engine = OrchestratorEngine(config=config)
    engine.register_blueprint(flow)
    over = asyncio.get_running_loop().create_future()

    async def finished(job, status, state):
        over.set_result((status, state["result"]))

    engine.on_job_finished.append(finished)
    await engine.start()
    await engine.create_background_job("flow", {{"n": 1}})
    print(await asyncio.wait_for(over, 20))
    await engine.stop()

asyncio.run(main())
"""


def test_a_base_install_runs_jobs(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", BARE, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "('finished', 2)" in ran.stdout, ran.stderr


async def test_a_worker_that_keeps_the_rhythm_of_the_protocol_is_never_refused(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    for _ in range(300):
        assert (await worker.beat())[0] == 200
        assert (await worker.poll_raw(timeout=0))[0] == 204


async def test_jobs_that_run_at_the_same_time_are_all_finished(start: Start) -> None:
    node = await start(straight())
    jobs = await asyncio.gather(*(node.create({"n": n}, "/api/v1/jobs/straight") for n in range(300)))
    ended = await asyncio.gather(*map(node.ended, jobs))
    assert sorted(job["result"]["n"] for job in ended) == list(range(300))
    assert len(set(jobs)) == 300


async def test_a_branch_that_is_listed_in_a_heartbeat_is_not_called_back(start: Start) -> None:
    node = await start(fan())
    worker = await node.worker()
    job_id = await node.create({"items": [1, 2, 3]}, "/api/v1/jobs/fan")
    tasks = [await worker.take() for _ in range(3)]
    assert await worker.beat(*(task["task_id"] for task in tasks)) == (200, {"status": "ok"})
    for task in reversed(tasks):
        status, body = await worker.report(task, task["params"]["item"])
        assert (status, body["status"]) == (200, "accepted")
    assert (await node.ended(job_id))["result"] == [1, 2, 3]


async def test_a_fan_out_that_cannot_be_given_out_whole_is_not_given_out_at_all(start: Start) -> None:
    aggregated: list[Any] = []
    blueprint = Blueprint("flow", api_version="v1", api_endpoint="/jobs/flow")

    @blueprint.handler(is_start=True)
    async def begin(actions: ActionFactory) -> None:
        actions.dispatch_parallel([{"type": "work"}, {"params": {"no": "type"}}], "gather")

    @blueprint.aggregator
    async def gather(aggregation_results: dict[str, Any], actions: ActionFactory) -> None:
        aggregated.append(aggregation_results)
        actions.finish()

    node = await start(blueprint)
    worker = await node.worker()
    job = await node.ended(await node.create())
    assert (job["status"], job["error"]["code"]) == ("quarantined", "BLUEPRINT_ERROR")
    assert aggregated == []
    assert await worker.poll(timeout=0) is None


async def test_a_task_without_a_version_goes_to_a_skill_without_one(start: Start) -> None:
    node = await start(fan())
    worker = await node.worker()
    await node.create({"items": [1]}, "/api/v1/jobs/fan")
    assert "skill_version" not in await worker.take()


async def test_a_handler_that_runs_for_longer_than_its_lease_runs_once(start: Start) -> None:
    runs = 0
    finish = asyncio.Event()
    blueprint = Blueprint("flow", api_version="v1", api_endpoint="/jobs/flow")

    @blueprint.handler(is_start=True, is_end=True)
    async def slow() -> str:
        nonlocal runs
        runs += 1
        await finish.wait()
        return "done"

    node = await start(blueprint, RUN_LEASE_SECONDS=0.15)
    job_id = await node.create()
    job = await node.job(job_id, wait=1.0)
    assert job["status"] == "pending"
    finish.set()
    assert (await node.ended(job_id))["result"] == "done"
    assert runs == 1


async def test_however_many_jobs_wait_none_is_trimmed(start: Start) -> None:
    node = await start(flow())
    for _ in range(4):
        status, body = await node.post("/api/v1/jobs/flow/batch", {"jobs": [{"n": 1}] * 1_000})
        assert (status, len(body["job_ids"])) == (202, 1_000)
    worker = await node.worker()
    count = 0
    while tasks := await worker.poll_batch(1_000, timeout=0):
        count += len(tasks)
        results = [worker.result(task, {}) for task in tasks]
        assert (await worker.call("POST", "/_worker/tasks/results", {"results": results}))[0] == 200
    assert count == 4_000
    _, board = await node.get("/api/v1/dashboard")
    assert board["jobs"] == {"queued": 0, "finished": 4_000}


async def test_a_worker_that_answers_at_once_is_never_stale(start: Start) -> None:
    blueprint = Blueprint("flow", api_version="v1", api_endpoint="/jobs/flow")

    @blueprint.handler(is_start=True)
    async def again(initial_data: dict[str, int], actions: ActionFactory) -> None:
        initial_data["n"] -= 1
        if initial_data["n"] < 0:
            actions.finish("done")
        else:
            actions.dispatch_task("work", {}, {"success": "again"})

    node = await start(blueprint)
    worker = await node.worker()
    job_id = await node.create({"n": 30})
    for _ in range(30):
        status, body = await worker.report(await worker.take(), {})
        assert (status, body["status"]) == (200, "accepted")
    assert (await node.ended(job_id))["result"] == "done"


@pytest.mark.parametrize("name", ["finished", "done", "anything at all"])
async def test_every_end_state_finishes_the_job(start: Start, name: str) -> None:
    blueprint = Blueprint("flow", api_version="v1", api_endpoint="/jobs/flow")

    @blueprint.handler(is_start=True)
    async def begin(actions: ActionFactory) -> None:
        actions.go_to(name)

    @blueprint.handler(name, is_end=True)
    async def end() -> None:
        return None

    node = await start(blueprint)
    assert (await node.ended(await node.create()))["status"] == "finished"
