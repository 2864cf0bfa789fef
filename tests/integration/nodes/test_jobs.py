"""Any node serves any request: jobs, their news, decisions of people, versions, schedules, webhooks."""

import asyncio
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from avtomatika import Blueprint
from avtomatika.commands.queries import LOOK_AGAIN
from avtomatika.kernel.time import SECOND
from tests.integration.http.blueprints import fan, flow, straight
from tests.integration.http.conftest import OPERATOR_TOKEN, Orchestrator
from tests.integration.http.test_approvals import SECRET, asking, by_link, decide, question, secret_of
from tests.integration.http.test_following import following, talking, whole_story
from tests.integration.http.test_operator import switch
from tests.integration.http.test_versions import version
from tests.integration.nodes.conftest import Nodes
from tests.integration.webhooks.sinks import HERE, always, sink, status

SOON = 5.0
"""A second, on a machine that has much else to do."""


async def test_who_waits_at_one_node_hears_at_once_of_an_end_at_another(nodes: Nodes) -> None:
    one, two, three = await nodes.several(3, flow())
    worker = await two.worker()
    job_id = await one.create({"n": 1})
    waiting = asyncio.ensure_future(three.ended(job_id))
    task = await worker.take()
    began = time.monotonic()
    assert (await worker.report(task, {"n": 2}))[0] == 200
    assert (await waiting)["result"] == {"n": 2}
    assert time.monotonic() - began < SOON


async def test_a_follower_at_one_node_hears_what_happens_at_others_in_order(nodes: Nodes) -> None:
    one, two, three = await nodes.several(3, talking())
    worker = await two.worker()
    job_id = await one.create({}, "/api/v1/talking")
    async with following(three, job_id) as stream:
        began = time.monotonic()
        await whole_story(two, worker, job_id)
        told = await stream.rest()
        assert time.monotonic() - began < SOON
    kinds = [each.kind for each in told]
    assert (kinds[0], kinds[-1], kinds.count("progress"), kinds.count("event")) == ("state", "end", 1, 3)
    async with following(one, job_id, told[3].id) as later:
        assert [each.kind for each in await later.rest()] == kinds[4:]


async def test_a_key_names_one_job_at_all_nodes(nodes: Nodes) -> None:
    several = await nodes.several(4, straight())
    path, keys = "/api/v1/jobs/straight", [f"key-{n}" for n in range(5)]
    made = await asyncio.gather(
        *(node.create({}, path, Idempotency_Key=key) for key in keys for node in several)
    )
    assert len(set(made)) == len(keys)


async def test_the_branches_of_one_job_may_be_reported_at_all_nodes_at_once(nodes: Nodes) -> None:
    several = await nodes.several(3, fan())
    job_id = await several[0].create({"items": list(range(12))}, "/api/v1/jobs/fan")
    workers = [await node.worker(f"w{n}") for n, node in enumerate(several)]
    tasks = [await workers[n % 3].take() for n in range(12)]
    answers = await asyncio.gather(
        *(workers[n % 3].report(task, task["params"]) for n, task in enumerate(tasks))
    )
    assert {status for status, _ in answers} == {200}
    job = await several[1].ended(job_id)
    assert job["result"] == [{"item": n} for n in range(12)]


async def test_a_question_is_decided_once_at_whatever_node(nodes: Nodes) -> None:
    one, two, three = await nodes.several(3, asking(), **SECRET)
    job_id = await question(one)
    secret = await secret_of(two, job_id)
    answers = await asyncio.gather(decide(one, job_id), decide(two, job_id), by_link(three, job_id, secret))
    assert min(code for code, _ in answers) == 200
    assert (await two.ended(job_id))["status"] == "finished"
    found = (await three.get(f"/api/v1/jobs/{job_id}/history"))[1]["events"]
    assert sum(each["event_type"] == "human_decided" for each in found) == 1


async def test_a_version_runs_where_it_is_loaded_and_is_reported_as_parked_elsewhere(nodes: Nodes) -> None:
    old = await nodes.start(version("1"))
    both = await nodes.start(version("1"), version("2"))
    worker = await old.worker()
    made = [await node.create() for node in (old, both)]
    for _ in made:
        await worker.report(await worker.take())
    results = [(await old.ended(job_id))["result"] for job_id in made]
    assert results == ["1", "2"], "each node accepts the version that is its newest"

    second = await both.create()
    task = await worker.take()
    nodes.kill(both)
    assert (await worker.report(task))[0] == 200
    assert (await old.job(second, wait=0.2))["status"] == "running"
    assert await parked_at(old) == [
        {"blueprint": "flow", "version": "2", "jobs": 1, "example_job_id": second}
    ]
    again = await nodes.start(version("1"), version("2"))
    assert (await again.ended(second))["result"] == "2"
    assert await parked_at(old) == []


async def test_a_blueprint_that_a_node_does_not_have_is_not_there(nodes: Nodes) -> None:
    old = await nodes.start(version("1"))
    newer = await nodes.start(version("1"), version("1", "/newer", "newer"))
    assert (await old.post("/api/v1/newer", {}))[0] == 404
    job_id = await newer.create({}, "/api/v1/newer")
    worker = await old.worker()
    assert (await worker.report(await worker.take()))[0] == 200
    assert (await old.ended(job_id))["result"] == "1"


async def parked_at(node: Orchestrator) -> Any:
    return (await node.get("/api/v1/blueprints"))[1]["parked"]


async def test_a_pause_at_one_node_holds_at_all(nodes: Nodes) -> None:
    one, two = await nodes.several(2, straight())
    await switch(one, "pause", "straight")
    async with asyncio.timeout(5):
        while not (await two.get("/api/v1/blueprints"))[1]["blueprints"][0]["paused"]:
            await asyncio.sleep(0.02)
    job_id = await two.create({}, "/api/v1/jobs/straight")
    assert (await one.job(job_id, wait=0.2))["waiting"]["reason"] == "blueprint_paused"
    await switch(two, "resume", "straight")
    assert (await one.ended(job_id))["status"] == "finished"


async def test_what_a_worker_is_worth_is_what_all_nodes_saw(nodes: Nodes) -> None:
    several = await nodes.several(2, flow())
    worker = await several[0].worker()
    for node in (*several, *several):
        worker.node = node
        await node.create()
        await worker.fail(await worker.take(), "PERMANENT_ERROR")
    last = await nodes.start(flow())
    async with asyncio.timeout(5):
        while (found := await worth(last)) == 1.0:
            await asyncio.sleep(0.02)
    assert found == 0.8


async def worth(node: Orchestrator) -> float:
    _, body = await node.get("/api/v1/workers", token=OPERATOR_TOKEN)
    return float(body["workers"][0]["reputation"])


async def test_the_webhooks_of_a_node_that_is_gone_are_sent_by_another(nodes: Nodes) -> None:
    settings = {
        "WEBHOOK_ALLOW_HTTP": True,
        "WEBHOOK_ALLOWED_HOSTS": f"{HERE}/32",
        "WEBHOOK_BACKOFF_SECONDS": 0.05,
        "WEBHOOK_BACKOFF_MAX_SECONDS": 0.05,
    }
    one, two = await nodes.several(2, flow(), **settings)
    worker = await two.worker()
    async with sink(always(status(204))) as receiver:
        job_id = await one.create({"initial_data": {}, "webhook_url": f"http://{HERE}:{receiver.port}/"})
        task = await worker.take()
        nodes.kill(one)
        await worker.report(task)
        async with asyncio.timeout(10):
            while not any(job_id in str(each.body) for each in receiver.received):
                await asyncio.sleep(0.01)


async def test_each_tick_of_a_schedule_is_one_job_however_many_nodes_there_are_and_die(
    nodes: Nodes, tmp_path: Path
) -> None:
    names = [f"s{n}" for n in range(20)]
    rule = 'blueprint = "straight"\ninterval_seconds = 1\ncatch_up = "all"'
    file = tmp_path / "schedules.toml"
    file.write_text("\n".join(f"[{name}]\n{rule}" for name in names))
    running = await nodes.several(5, straight(), SCHEDULES_CONFIG_PATH=file)
    for _ in range(4):
        await asyncio.sleep(0.8)
        nodes.kill(running.pop(0))
    jobs = [job["id"] for job in await all_jobs(running[0])]
    assert len(set(jobs)) == len(jobs) >= len(names)
    moments: dict[str, list[int]] = {}
    for job_id in sorted(jobs):
        schedule, _, due = job_id.removeprefix("tick-").rpartition("-")
        moments.setdefault(schedule, []).append(int(due))
    assert sorted(moments) == sorted(names)
    gaps = {b - a for each in moments.values() for a, b in pairwise(each)}
    assert gaps == {1_000}


async def all_jobs(node: Orchestrator) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        _, page = await node.get("/api/v1/jobs", token=OPERATOR_TOKEN, limit=100, **after)
        found += page["jobs"]
        if page["next"] is None:
            return found
        after = {"after": page["next"]}


async def test_a_handler_of_a_node_that_dies_is_run_by_another(nodes: Nodes) -> None:
    begun: asyncio.Queue[str] = asyncio.Queue()
    go_on = asyncio.Event()

    def slow(name: str) -> Blueprint:
        blueprint = Blueprint("slow", api_version="v1", api_endpoint="/slow", version="1")

        @blueprint.handler(is_start=True, is_end=True)
        async def start() -> str:
            begun.put_nowait(name)
            await go_on.wait()
            return name

        return blueprint

    one = await nodes.start(slow("one"), RUN_LEASE_SECONDS=1)
    job_id = await one.create({}, "/api/v1/slow")
    assert await begun.get() == "one"
    two = await nodes.start(slow("two"), RUN_LEASE_SECONDS=1)
    nodes.kill(one)
    async with asyncio.timeout(20):
        assert await begun.get() == "two"
    go_on.set()
    assert (await two.ended(job_id))["result"] == "two"


async def test_an_end_while_somebody_begins_to_wait_is_not_missed(nodes: Nodes) -> None:
    """Who has just read that a job goes on, and does not wait yet, must not sleep through its end."""
    one, two = await nodes.several(2, flow())
    worker = await one.worker()

    async def waits(number: int) -> float:
        job_id = await one.create()
        task = await worker.take()
        reporting = asyncio.ensure_future(worker.report(task))
        await asyncio.sleep(number * 0.0002)
        began = time.monotonic()
        assert (await two.ended(task["job_id"]))["status"] == "finished"
        took = time.monotonic() - began
        assert ((await reporting)[0], job_id) == (200, task["job_id"])
        return took

    took = sorted([await waits(number) for number in range(40)])
    assert took[-1] < LOOK_AGAIN / SECOND - 1, took[-5:]
