"""A client that prefers to wait has the job with the answer to the request that made it (RFC 7240)."""

import asyncio
import os
import sys

import pytest

from tests.integration.http.blueprints import flow, straight
from tests.integration.http.conftest import CLIENT_TOKEN, Start

HEADERS = {"X-Client-Token": CLIENT_TOKEN}


async def test_a_job_that_ends_in_time_is_the_answer_to_its_request(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    asked = asyncio.ensure_future(node.post("/api/v1/jobs/flow", {"n": 1}, Prefer="wait=30"))
    task = await worker.take()
    assert not asked.done()
    await worker.report(task, {"n": 2})
    status, job = await asked
    assert (status, job["status"], job["result"]) == (200, "finished", {"n": 2})
    assert job == (await node.get(f"/api/v1/jobs/{job['job_id']}"))[1]


async def test_a_job_that_does_not_is_accepted_as_ever(start: Start) -> None:
    node = await start(flow())
    status, accepted = await node.post("/api/v1/jobs/flow", {}, Prefer="wait=0")
    assert status == 202
    assert set(accepted) == {"status", "job_id"}
    assert (await node.job(accepted["job_id"]))["status"] == "waiting_for_worker"


async def test_a_repetition_waits_for_the_same_job(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    first = await node.create({"n": 1}, Idempotency_Key="k")
    again = asyncio.ensure_future(
        node.post("/api/v1/jobs/flow", {"n": 1}, Idempotency_Key="k", Prefer="respond-async, wait=30")
    )
    await worker.report(await worker.take(), {})
    status, job = await again
    assert (status, job["job_id"], job["status"]) == (200, first, "finished")


async def test_a_batch_whose_jobs_all_end_in_time_is_answered_with_them_in_their_order(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    batch = {"jobs": [{"n": n} for n in range(3)]}
    asked = asyncio.ensure_future(node.post("/api/v1/jobs/flow/batch", batch, Prefer="wait=30"))
    tasks = [await worker.take() for _ in range(3)]
    for task in reversed(tasks):
        assert not asked.done()
        await worker.report(task, {"n": task["params"]["n"]})
    status, answer = await asked
    assert status == 200
    assert [job["result"] for job in answer["jobs"]] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert answer["jobs"] == [(await node.get(f"/api/v1/jobs/{job['id']}"))[1] for job in answer["jobs"]]


async def test_a_batch_of_which_one_job_does_not_end_is_accepted_as_ever(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    batch = {"jobs": [{"n": 1}, {"n": 2}]}
    asked = asyncio.ensure_future(node.post("/api/v1/jobs/flow/batch", batch, Prefer="wait=1"))
    await worker.report(await worker.take(), {})
    status, answer = await asked
    assert (status, answer["status"]) == (202, "accepted")
    states = [(await node.job(job_id))["status"] for job_id in answer["job_ids"]]
    assert sorted(states) == ["finished", "waiting_for_worker"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no sched_yield")
async def test_the_node_gives_way_to_the_reader_of_an_answer_unless_others_wait(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_way: list[None] = []
    monkeypatch.setattr(os, "sched_yield", lambda: given_way.append(None))
    node = await start(flow())
    worker = await node.worker()
    asked = [
        asyncio.ensure_future(node.post("/api/v1/jobs/flow", {"n": n}, Prefer="wait=30")) for n in range(2)
    ]
    tasks = [await worker.take() for _ in asked]
    seen: list[int] = []
    for task in tasks:
        await worker.report(task, {})
        status, _ = await asked[task["params"]["n"]]
        seen.append(len(given_way))
        assert status == 200
    assert seen == [0, 1]
    await node.job(tasks[0]["job_id"])
    assert len(given_way) == 1  # who does not wait is not in a hurry


@pytest.mark.parametrize(
    ("said", "applied"),
    [
        ("wait=5", "wait=5"),
        ('handling=lenient; x, Wait = "7"', "wait=7"),
        ("wait=999999999", "wait=60"),
        ("wait=-1", None),
        ("wait", None),
        ("waits=5", None),
        ("wait=1.5", None),
        ("", None),
    ],
)
async def test_what_is_no_preference_of_ours_changes_nothing(
    start: Start, said: str, applied: str | None
) -> None:
    node = await start(straight())
    async with node.session.post(
        f"{node.url}/api/v1/jobs/straight", json={}, headers=HEADERS | {"Prefer": said}
    ) as answer:
        assert answer.status == (202 if applied is None else 200)
        assert answer.headers.get("Preference-Applied") == applied
