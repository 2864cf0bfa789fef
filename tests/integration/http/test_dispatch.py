"""Which worker gets a task, over HTTP: strategies, prices, hot skills, reputation (features D1 to D4)."""

import asyncio
from typing import Any

import pytest

from avtomatika import ActionFactory, Blueprint
from avtomatika.app_keys import DISPATCHER_KEY
from tests.integration.http.conftest import OPERATOR_TOKEN, OTHER_TOKEN, Orchestrator, Start, Worker

LATE = 30
"""Seconds after which no test is there any more: only who is preferred gets a task in time."""


def dispatching(**options: Any) -> Blueprint:
    """One task with these options."""
    blueprint = Blueprint("flow", api_version="v1", api_endpoint="/jobs/flow")

    @blueprint.handler(is_start=True)
    async def start(actions: ActionFactory) -> None:
        actions.dispatch_task("work", {}, {"success": "finished"}, **options)

    return blueprint


async def priced(node: Orchestrator, **costs: float) -> list[Worker]:
    """Workers of these names, for which a second of work costs so much."""
    workers = [Worker(node, name) for name in costs]
    for worker in workers:
        status, _ = await worker.register("work", capabilities={"cost_per_skill": {"work": costs[worker.id]}})
        assert status == 200
    return workers


async def parked(*workers: Worker, timeout: float = 5.0) -> "dict[str, asyncio.Task[Any]]":
    """The workers wait for tasks, in this order."""
    polls = {}
    for worker in workers:
        polls[worker.id] = asyncio.ensure_future(worker.poll(timeout=timeout))
        while not is_parked(worker):  # nothing else tells
            await asyncio.sleep(0.002)
    return polls


def is_parked(worker: Worker) -> bool:
    member = worker.node.engine.app[DISPATCHER_KEY].fleet.get(worker.id)
    return member is not None and bool(member.parked)


async def got(polls: "dict[str, asyncio.Task[Any]]") -> str:
    """Who was given a task first."""
    done, rest = await asyncio.wait(polls.values(), return_when=asyncio.FIRST_COMPLETED)
    for poll in rest:
        poll.cancel()
    await asyncio.wait(rest)
    (name,) = (name for name, poll in polls.items() if poll in done and poll.result() is not None)
    return name


@pytest.mark.parametrize("strategy", ["cheapest", "best_value", "overflow", "default"])
async def test_the_cheapest_of_those_that_wait_gets_the_task(start: Start, strategy: str) -> None:
    node = await start(dispatching(dispatch_strategy=strategy))
    polls = await parked(*await priced(node, a=3.0, b=1.0, c=2.0))
    await node.create()
    assert await got(polls) == "b"


async def test_a_dearer_worker_gets_the_task_when_nobody_else_took_it_in_time(start: Start) -> None:
    node = await start(dispatching(dispatch_strategy="cheapest"), DISPATCHER_SPILL_AFTER_SECONDS=0.4)
    cheap, dear = await priced(node, cheap=1.0, dear=2.0)
    await cheap.poll(timeout=0.0)
    await node.create()
    assert await dear.poll(timeout=0.05) is None
    assert await dear.poll(timeout=5.0) is not None


async def test_a_worker_that_registered_and_never_asked_is_not_waited_for(start: Start) -> None:
    node = await start(dispatching(dispatch_strategy="cheapest"), DISPATCHER_SPILL_AFTER_SECONDS=LATE)
    _, dear = await priced(node, silent=0.0, dear=2.0)
    await node.create()
    assert await dear.poll(timeout=5.0) is not None


async def test_an_overflowing_task_goes_on_to_others_at_the_soft_limit(start: Start) -> None:
    node = await start(
        dispatching(dispatch_strategy="overflow"),
        DISPATCHER_SPILL_AFTER_SECONDS=LATE,
        DISPATCHER_SOFT_LIMIT=2,
    )
    cheap, dear = await priced(node, cheap=1.0, dear=2.0)
    for _ in range(3):
        await node.create()
    await cheap.take()
    assert await dear.poll(timeout=0.1) is None, "the cheap one has room"
    await cheap.take()
    assert await dear.poll(timeout=5.0) is not None


async def test_without_stealing_a_task_stays_with_those_that_are_preferred(start: Start) -> None:
    node = await start(
        dispatching(dispatch_strategy="cheapest"),
        DISPATCHER_SPILL_AFTER_SECONDS=0.05,
        WORK_STEALING_ENABLED="false",
    )
    cheap, dear = await priced(node, cheap=1.0, dear=2.0)
    await node.create()
    assert await dear.poll(timeout=1.5) is None
    assert await cheap.poll(timeout=5.0) is not None


async def test_nobody_above_the_highest_price_gets_the_task(start: Start) -> None:
    node = await start(dispatching(max_cost=1.0), DISPATCHER_SPILL_AFTER_SECONDS=0.05)
    dear, cheap = await priced(node, dear=1.1, cheap=1.0)
    await node.create()
    assert await dear.poll(timeout=0.5) is None
    assert await cheap.poll(timeout=5.0) is not None


async def test_turns_go_round(start: Start) -> None:
    node = await start(dispatching(dispatch_strategy="round_robin"))
    workers = await priced(node, a=1.0, b=2.0, c=3.0)
    winners = []
    for _ in range(6):
        polls = await parked(*workers)
        await node.create()
        winners.append(await got(polls))
    assert winners == ["a", "b", "c", "a", "b", "c"]


async def test_the_worker_with_the_fewest_tasks_gets_the_next_one(start: Start) -> None:
    node = await start(dispatching(dispatch_strategy="least_connections"))
    loaded, free = await priced(node, loaded=1.0, free=9.0)
    await node.create()
    task = await loaded.take()
    polls = await parked(loaded, free)
    await node.create()
    assert await got(polls) == "free"
    await loaded.report(task, {})
    polls = await parked(free, loaded)
    await node.create()
    assert await got(polls) == "loaded"


async def test_a_hot_worker_comes_before_a_cheaper_one_until_it_cools_down(start: Start) -> None:
    node = await start(dispatching(), DISPATCHER_SPILL_AFTER_SECONDS=LATE)
    cheap, hot = await priced(node, cheap=1.0, hot=5.0)
    await hot.beat(hot_skills=["work"])
    for _ in range(2):
        polls = await parked(cheap, hot)
        await node.create()
        assert await got(polls) == "hot"
    await hot.beat(hot_skills=[])
    polls = await parked(hot, cheap)
    await node.create()
    assert await got(polls) == "cheap"


async def test_nobody_waits_for_a_hot_worker_that_is_full(start: Start) -> None:
    node = await start(dispatching(), DISPATCHER_SPILL_AFTER_SECONDS=LATE)
    hot, cold = await node.worker("hot"), await node.worker("cold")
    await hot.register("work", hot_skills=["work"], max_concurrent_tasks=1)
    await node.create()
    await node.create()
    await hot.take()
    assert await cold.poll(timeout=5.0) is not None


async def test_a_worker_that_drains_gets_nothing(start: Start) -> None:
    node = await start(dispatching())
    worker = await node.worker("w1")
    await worker.beat(status="draining")
    await node.create()
    assert await worker.poll(timeout=0.3) is None
    await worker.beat(status="idle")
    assert await worker.poll(timeout=5.0) is not None


async def test_who_keeps_failing_gets_no_more_work_and_cannot_praise_itself(start: Start) -> None:
    node = await start(dispatching(), REPUTATION_PENALTY_TASK_FAILURE=0.25)
    bad, good = await node.worker("bad"), await node.worker("good")
    for _ in range(3):
        await node.create()
        await bad.fail(await bad.take(), "PERMANENT_ERROR")
    await node.create()
    assert await bad.poll(timeout=0.2) is None
    praise = {"reputation": 1.0, "_internal_load": -5, "metadata": {"reputation": 1.0}}
    assert (await bad.register("work", **praise))[0] == 200
    assert (await bad.beat(**praise))[0] == 200
    assert await bad.poll(timeout=0.2, reputation=1) is None
    status, body = await node.get("/api/v1/workers", token=OPERATOR_TOKEN)
    worths = {each["worker_id"]: (each["reputation"], each["load"]) for each in body["workers"]}
    assert (status, worths) == (200, {"bad": (0.25, 0), "good": (1.0, 0)})
    await good.report(await good.take(), {})


async def test_a_result_that_breaks_its_schema_costs_more_trust(start: Start) -> None:
    node = await start(dispatching(output_schema={"type": "object", "required": ["n"]}))
    worker = await node.worker("w1")
    await node.create()
    task = await worker.take()
    await worker.report(task, {})
    await worker.report(task, {})
    _, body = await node.get("/api/v1/workers", token=OPERATOR_TOKEN)
    assert body["workers"][0]["reputation"] == 0.8, "once, however often it is sent"


async def test_a_reputation_outlives_the_node(start: Start, storage: str) -> None:
    if storage.startswith("memory"):
        pytest.skip("nothing outlives the process")
    node = await start(dispatching())
    worker = await node.worker("w1")
    await node.create()
    await worker.fail(await worker.take(), "PERMANENT_ERROR")
    await node.engine.stop()
    again = await start(dispatching())
    await again.worker("w1")
    async with asyncio.timeout(5):
        while True:
            _, body = await again.get("/api/v1/workers", token=OPERATOR_TOKEN)
            if body["workers"][0]["reputation"] == 0.95:
                break


async def test_it_is_explained_why_a_task_waits(start: Start) -> None:
    node = await start(dispatching(max_cost=1.0, dispatch_strategy="cheapest"))
    await priced(node, dear=2.0, dearer=3.0)
    other = await node.worker("other", "paint")
    await other.beat(status="draining")
    job = await node.job(await node.create(), wait=0.2)
    while "waiting" not in job or job["waiting"]["reason"] != "worker":
        job = await node.job(job["id"])
    task = job["waiting"]["task_id"]
    status, found = await node.get(f"/api/v1/tasks/{task}/explain")
    assert status == 200
    assert found.pop("available_at") > 0
    assert found == {
        "task_id": task,
        "job_id": job["id"],
        "skill": "work",
        "strategy": "cheapest",
        "state": "queued",
        "workers": 3,
        "fit": 0,
        "saturated": 0,
        "parked": 0,
        "reasons": {"too_expensive": 2, "skill_not_offered": 1, "worker_is_draining": 1},
    }
    (cheap,) = await priced(node, cheap=0.5)
    status, found = await node.get(f"/api/v1/tasks/{task}/explain", token=OPERATOR_TOKEN)
    lacks = {each["worker_id"]: each["reasons"] for each in found["details"]}
    assert (lacks["cheap"], lacks["dear"], found["fit"]) == ([], ["too_expensive"], 1)
    await cheap.take()
    status, found = await node.get(f"/api/v1/tasks/{task}/explain", token=OPERATOR_TOKEN)
    assert (found["state"], found["taken_by"]) == ("taken", "cheap")


async def test_a_task_of_somebody_else_is_not_explained(start: Start) -> None:
    node = await start(dispatching())
    job = await node.job(await node.create())
    while not job.get("waiting", {}).get("task_id"):
        job = await node.job(job["id"])
    task = job["waiting"]["task_id"]
    assert (await node.get(f"/api/v1/tasks/{task}/explain"))[0] == 200
    assert (await node.get(f"/api/v1/tasks/{task}/explain", token=OTHER_TOKEN))[0] == 404
    for name in ("nothing", "a-b-c", f"{task}9", "no-such-1-0"):
        assert (await node.get(f"/api/v1/tasks/{name}/explain"))[0] == 404
