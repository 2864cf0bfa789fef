"""A client asks for jobs and gets each exactly once."""

import asyncio
from typing import Any

import pytest

from tests.integration.http.blueprints import flow, straight
from tests.integration.http.conftest import OTHER_TOKEN, Start, on_every_store


@pytest.mark.parametrize(
    ("body", "initial_data"),
    [
        ({"src": "a.png"}, {"src": "a.png"}),
        ({"initial_data": {"src": "a.png"}}, {"src": "a.png"}),
        ({"initial_data": {"initial_data": {}}}, {"initial_data": {}}),
        ({"initial_data": {"n": 1}, "webhook_url": "https://app.example/hook"}, {"n": 1}),
        ({"initial_data": {}, "webhook_url": None, "dispatch_timeout": None, "result_timeout": 1.5}, {}),
        ({"dispatch_timeout": 30}, {}),
        ({"data": {"webhook_url": "nested"}}, {"data": {"webhook_url": "nested"}}),
        ({}, {}),
        (b"", {}),
        (b" \n", {}),
        (b'{"a": 1, "b": [] }', {"a": 1, "b": []}),
    ],
)
async def test_a_body_is_an_envelope_or_the_input_itself(start: Start, body: Any, initial_data: Any) -> None:
    node = await start(flow())
    job = await node.job(await node.create(body))
    assert job["initial_data"] == initial_data
    assert job["status"] in ("pending", "running", "waiting_for_worker")


@on_every_store
async def test_a_new_job_is_on_its_way_at_once(start: Start) -> None:
    node = await start(straight())
    job_id = await node.create({"n": 1}, "/api/v1/jobs/straight")
    job = await node.ended(job_id)
    assert (job["status"], job["result"], job["blueprint_name"]) == ("finished", {"n": 1}, "straight")


@on_every_store
async def test_an_equal_request_with_an_equal_key_is_the_same_job(start: Start) -> None:
    node = await start(straight())
    path = "/api/v1/jobs/straight"
    first = await node.create({"a": 1, "b": 2}, path, Idempotency_Key="k")
    await node.ended(first)
    assert await node.create(b'{ "b":2,\n"a":1 }', path, Idempotency_Key="k") == first
    assert await node.create({"a": 1, "b": 2}, path, Idempotency_Key="K") != first
    assert await node.create({"a": 1, "b": 2}, path) != first


@pytest.mark.parametrize(
    "body", [{"a": 2}, {"a": 1.0}, {"a": "1"}, {"a": [1]}, {}, {"initial_data": {"a": 1}}]
)
async def test_another_request_with_an_equal_key_is_refused(start: Start, body: Any) -> None:
    node = await start(flow())
    job_id = await node.create({"a": 1}, Idempotency_Key="k")
    status, answer = await node.post("/api/v1/jobs/flow", body, Idempotency_Key="k")
    assert (status, answer["error"]["code"]) == (422, "idempotency_key_reused")
    _, page = await node.get("/api/v1/jobs")
    assert [job["id"] for job in page["jobs"]] == [job_id]


@on_every_store
async def test_clients_do_not_share_keys(start: Start) -> None:
    node = await start(flow())
    mine = await node.create({}, Idempotency_Key="k")
    status, theirs = await node.post("/api/v1/jobs/flow", {}, token=OTHER_TOKEN, Idempotency_Key="k")
    assert status == 202
    assert theirs["job_id"] != mine


@on_every_store
async def test_fifty_equal_requests_at_once_are_one_job(start: Start) -> None:
    node = await start(flow())
    answers = await asyncio.gather(
        *(node.post("/api/v1/jobs/flow", {"n": 1}, Idempotency_Key="once") for _ in range(50))
    )
    assert {status for status, _ in answers} == {202}
    assert len({body["job_id"] for _, body in answers}) == 1
    _, page = await node.get("/api/v1/jobs")
    assert len(page["jobs"]) == 1


@on_every_store
async def test_fifty_different_requests_with_one_key_are_one_job_and_refusals(start: Start) -> None:
    node = await start(flow())
    answers = await asyncio.gather(
        *(node.post("/api/v1/jobs/flow", {"n": n}, Idempotency_Key="once") for n in range(50))
    )
    assert sorted(status for status, _ in answers) == [202] + [422] * 49


async def test_a_refused_request_leaves_its_key_free(start: Start) -> None:
    node = await start(flow())
    status, _ = await node.post("/api/v1/jobs/flow", b"{", Idempotency_Key="k")
    assert status == 400
    await node.create({"n": 1}, Idempotency_Key="k")


async def test_a_time_limit_below_a_millisecond_is_a_limit(start: Start) -> None:
    node = await start(flow())
    job = await node.ended(await node.create({"initial_data": {}, "dispatch_timeout": 1e-9}))
    assert (job["status"], job["error"]["code"]) == ("failed", "TIMEOUT_ERROR")


async def test_the_trace_of_a_request_goes_to_the_worker(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await node.create({}, traceparent=trace, tracestate="a=1")
    task = await worker.take()
    assert task["tracing_context"] == {"traceparent": trace, "tracestate": "a=1"}


@pytest.mark.parametrize("value", ["\u00e9", "x" * 513])
async def test_a_trace_that_is_none_is_left_out(start: Start, value: str) -> None:
    node = await start(flow())
    worker = await node.worker()
    await node.create({}, traceparent=value)
    task = await worker.take()
    assert task["tracing_context"] == {}
