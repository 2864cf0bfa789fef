"""Many jobs with one request, and which of those that wait comes first (feature B1)."""

import asyncio
from typing import Any

import pytest

from avtomatika import ActionFactory, Blueprint
from tests.integration.http.blueprints import flow, straight
from tests.integration.http.conftest import (
    OPERATOR_TOKEN,
    OTHER_TOKEN,
    Orchestrator,
    Start,
    on_lasting_stores,
)

PATH = "/api/v1/jobs/straight/batch"


async def batch(node: Orchestrator, *jobs: Any, path: str = PATH, **headers: str) -> tuple[int, Any]:
    return await node.post(path, {"jobs": [*jobs]}, **headers)


async def count(node: Orchestrator) -> int:
    _, page = await node.get("/api/v1/jobs", limit=1_000)
    return len(page["jobs"])


async def test_the_ids_come_in_the_order_of_the_requests(start: Start) -> None:
    node = await start(straight())
    given = [
        {"n": 0},
        {"initial_data": {"n": 1}, "labels": {"shop": "7"}, "priority": 2},
        {},
        {"initial_data": {"n": 3}, "dispatch_timeout": 5},
    ]
    status, body = await batch(node, *given)
    assert (status, set(body), body["status"]) == (202, {"status", "job_ids"}, "accepted")
    jobs = [await node.ended(job_id) for job_id in body["job_ids"]]
    assert [job["result"] for job in jobs] == [{"n": 0}, {"n": 1}, {}, {"n": 3}]
    assert (jobs[1]["labels"], jobs[1]["priority"]) == ({"shop": "7"}, 2.0)


@pytest.mark.parametrize("size", [1, 1_000])
async def test_a_batch_has_one_job_or_a_thousand(start: Start, size: int) -> None:
    node = await start(straight())
    status, body = await batch(node, *({"n": n} for n in range(size)))
    assert (status, len(set(body["job_ids"]))) == (202, size)
    last = await node.ended(body["job_ids"][-1])
    assert last["result"] == {"n": size - 1}
    async with asyncio.timeout(10):
        while len((await node.get("/api/v1/jobs", status="finished", limit=1_000))[1]["jobs"]) < size:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "body",
    [
        {"jobs": [{}] * 1_001},
        {"jobs": []},
        {"jobs": {}},
        {"jobs": None},
        {},
        {"jobs": [{}], "more": 1},
        [{}],
    ],
    ids=["too many", "none", "no list", "null", "nothing", "more", "bare"],
)
async def test_a_batch_is_a_list_of_one_to_a_thousand(start: Start, body: Any) -> None:
    node = await start(straight())
    status, answer = await node.post(PATH, body)
    assert (status, answer["error"]["code"]) == (400, "invalid_input")
    assert answer["error"]["field"] in ("jobs", "body")
    assert await count(node) == 0


def strict() -> Blueprint:
    """Takes only a number, in a blueprint with the path of the plain one."""
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    blueprint = Blueprint("strict", api_version="v1", api_endpoint="/jobs/straight", input_schema=schema)

    @blueprint.handler(is_start=True, is_end=True)
    async def start(n: int) -> int:
        return n

    return blueprint


@pytest.mark.parametrize(
    ("wrong", "status", "field"),
    [
        ({"initial_data": {"n": 1}, "priority": "high"}, 400, "jobs[2].priority"),
        ({"initial_data": {"n": 1}, "labels": {"a:b": "c"}}, 400, "jobs[2].labels.a:b"),
        ({"initial_data": [1]}, 400, "jobs[2].initial_data"),
        ({"initial_data": {"n": 1}, "colour": 1}, 400, "jobs[2].colour"),
        ({"initial_data": {"n": 1}, "webhook_url": "ftp://a"}, 400, "jobs[2].webhook_url"),
        (7, 400, "jobs[2]"),
        (None, 400, "jobs[2]"),
        ({"n": "many"}, 422, "jobs[2]"),
        ({}, 422, "jobs[2]"),
    ],
)
async def test_one_that_is_wrong_refuses_all_and_is_named(
    start: Start, wrong: Any, status: int, field: str
) -> None:
    node = await start(strict())
    found, answer = await batch(node, {"n": 0}, {"n": 1}, wrong, {"n": 3})
    assert found == status
    assert answer["error"]["field"].startswith(field)
    assert await count(node) == 0


async def test_with_a_key_the_repetition_of_a_batch_creates_nothing(start: Start) -> None:
    node = await start(straight(), flow())
    given = [{"n": n} for n in range(20)]
    answers = await asyncio.gather(*(batch(node, *given, Idempotency_Key="order-7") for _ in range(5)))
    assert {status for status, _ in answers} == {202}
    assert all(body == answers[0][1] for _, body in answers)
    assert await count(node) == 20
    _, fresh = await batch(node, *given, Idempotency_Key="order-8")
    assert not set(fresh["job_ids"]) & set(answers[0][1]["job_ids"])
    _, theirs = await batch(node, *given, Idempotency_Key="order-7", token=OTHER_TOKEN)
    assert not set(theirs["job_ids"]) & set(answers[0][1]["job_ids"])


async def test_without_a_key_every_batch_is_new(start: Start) -> None:
    node = await start(straight())
    first, second = await batch(node, {"n": 1}, {"n": 1}), await batch(node, {"n": 1}, {"n": 1})
    assert len({*first[1]["job_ids"], *second[1]["job_ids"]}) == 4


async def test_a_key_is_for_the_jobs_that_it_came_with(start: Start) -> None:
    node = await start(straight(), flow())
    first = await batch(node, {"n": 1}, {"n": 2}, Idempotency_Key="order-7")
    status, body = await batch(node, {"n": 1}, {"n": 3}, Idempotency_Key="order-7")
    assert (status, body["error"]["code"]) == (422, "idempotency_key_reused")
    other = await batch(node, {"n": 1}, path="/api/v1/jobs/flow/batch", Idempotency_Key="order-7")
    assert (other[0], other[1]["error"]["code"]) == (422, "idempotency_key_reused")
    assert await count(node) == 2
    # A batch that grew is the old one, and the rest.
    _, more = await batch(node, {"n": 1}, {"n": 2}, {"n": 3}, Idempotency_Key="order-7")
    assert more["job_ids"][:2] == first[1]["job_ids"]
    assert await count(node) == 3


@pytest.mark.parametrize("key", ["", "x" * 251, "é", "a\tb"])
async def test_a_key_that_is_none_refuses_all(start: Start, key: str) -> None:
    node = await start(straight())
    status, body = await batch(node, *({"n": n} for n in range(12)), Idempotency_Key=key)
    assert (status, body["error"]["field"]) == (400, "Idempotency-Key")
    assert await count(node) == 0


async def test_a_key_may_be_as_long_as_its_limit(start: Start) -> None:
    node = await start(straight())
    given = [{"n": n} for n in range(1_000)]
    answers = [await batch(node, *given, Idempotency_Key="x" * 250) for _ in range(2)]
    assert answers[0][0] == 202
    assert answers[0] == answers[1]


@on_lasting_stores
async def test_an_accepted_batch_and_its_key_outlive_the_node(start: Start) -> None:
    node = await start(flow())
    path = "/api/v1/jobs/flow/batch"
    given = [{"n": n} for n in range(50)]
    first = await batch(node, *given, path=path, Idempotency_Key="order-7")
    await node.engine.stop()
    node = await start(flow())
    assert await batch(node, *given, path=path, Idempotency_Key="order-7") == first
    worker = await node.worker()
    taken = [await worker.take() for _ in range(50)]
    assert sorted(task["params"]["n"] for task in taken) == [*range(50)]
    assert await worker.poll(timeout=0.1) is None


def noting(order: list[int]) -> Blueprint:
    """Notes the number in its input."""
    blueprint = Blueprint("noting", api_version="v1", api_endpoint="/noting")

    @blueprint.handler(is_start=True, is_end=True)
    async def start(n: int) -> None:
        order.append(n)

    return blueprint


def of_priority(n: int, priority: float | None) -> dict[str, Any]:
    given = {} if priority is None else {"priority": priority}
    return {"initial_data": {"n": n}, **given}


PRIORITIES = [None, 5, -3, 0.5, 5, 1e6, None]
FIRST = [5, 1, 4, 3, 0, 6, 2]
"""The places of these priorities in the order in which they count."""


async def test_the_handlers_of_jobs_with_higher_priority_run_first(start: Start) -> None:
    order: list[int] = []
    node = await start(noting(order), EXECUTOR_MAX_CONCURRENT_JOBS=1)
    verb = "/api/v1/blueprints/noting"
    assert (await node.post(f"{verb}/pause", token=OPERATOR_TOKEN))[0] == 200
    jobs = [await node.create(of_priority(n, each), "/api/v1/noting") for n, each in enumerate(PRIORITIES)]
    assert order == []
    assert (await node.post(f"{verb}/resume", token=OPERATOR_TOKEN))[0] == 200
    for job_id in jobs:
        await node.ended(job_id)
    assert order == FIRST


async def test_the_tasks_of_jobs_with_higher_priority_are_taken_first(start: Start) -> None:
    node = await start(flow())
    for n, each in enumerate(PRIORITIES):
        job_id = await node.create(of_priority(n, each))
        async with asyncio.timeout(5):
            while (await node.job(job_id))["status"] != "waiting_for_worker":
                await asyncio.sleep(0.002)
    worker = await node.worker()
    assert [(await worker.take())["params"]["n"] for _ in PRIORITIES] == FIRST


async def test_the_priority_of_a_task_adds_to_that_of_its_job(start: Start) -> None:
    blueprint = Blueprint("mixed", api_version="v1", api_endpoint="/mixed")

    @blueprint.handler(is_start=True)
    async def begin(n: int, task: float, actions: ActionFactory) -> None:
        actions.dispatch_task("work", {"n": n}, {"success": "end"}, priority=task)

    @blueprint.handler(is_end=True)
    async def end() -> None:
        return None

    node = await start(blueprint)
    for n, (job, task) in enumerate([(1, 1), (5, -4), (0, 3), (-10, 20)]):
        body = {"initial_data": {"n": n, "task": task}, "priority": job}
        job_id = await node.create(body, "/api/v1/mixed")
        async with asyncio.timeout(5):
            while (await node.job(job_id))["status"] != "waiting_for_worker":
                await asyncio.sleep(0.002)
    worker = await node.worker()
    assert [(await worker.take())["params"]["n"] for _ in range(4)] == [3, 2, 0, 1]
