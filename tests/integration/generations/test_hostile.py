"""A worker that means harm is refused or bounded, and costs others nothing worth mentioning."""

import asyncio
import io
import json
import time
from typing import Any

import pytest

from rxon.generations import Generation
from rxon.messages.wire import MAX_LISTED, MAX_NAME, MAX_PRESENTED
from tests.integration.generations.processes import single
from tests.integration.generations.speakers import EVERY, G1, G4, Speaker
from tests.integration.http.conftest import Start
from tests.perf.bench_hostile import Bench, bench, besieged
from tests.perf.hostile import ACTS, BAIT, Hostile, bombs

pytestmark = pytest.mark.parametrize("storage", ["memory://"])  # none of it comes near a store
REGISTER = "/_worker/workers/register"


def named(speaker: Speaker, names: list[str]) -> dict[str, Any]:
    """The registration of the worker with these skills, as its generation says it."""
    said = speaker.registration()
    if speaker.generation in (Generation.G1, Generation.G2):
        return said | {
            "supported_tasks" if speaker.generation == Generation.G1 else "supported_skills": names
        }
    return said | {"supported_skills": [{"name": name, "type": name} for name in names]}


@pytest.mark.parametrize("kind", EVERY)
async def test_more_skills_than_anybody_has_are_refused_by_their_field(
    start: Start, kind: type[Speaker]
) -> None:
    node = await start(single())
    speaker = kind(node, "cam-01")
    field = "supported_tasks" if kind is G1 else "supported_skills"
    many = [f"s{n}" for n in range(MAX_LISTED)]
    assert (await speaker.call("POST", REGISTER, named(speaker, many)))[0] == 200
    for names in ([*many, "one more"], [f"{n:x}" for n in range(5_000)], ["x" * (MAX_NAME + 1)]):
        status, answer = await speaker.call("POST", REGISTER, named(speaker, names))
        assert (status, answer["code"]) == (400, "invalid_message")
        assert answer["field"].startswith(field)


@pytest.mark.parametrize("kind", EVERY)
async def test_costs_that_are_no_numbers_are_refused_by_their_field(
    start: Start, kind: type[Speaker]
) -> None:
    node = await start(single())
    speaker = kind(node, "cam-01")
    raw = json.dumps(speaker.in_shape(speaker.registration()))
    assert raw.count(": 0.5}") == 1
    for cost, where in (('"cheap"', True), ("[1]", True), ("1e999", False), ("NaN", False)):
        body = raw.replace(": 0.5}", f": {cost}}}").encode()
        status, answer = await node.call("POST", REGISTER, body, headers=speaker.headers)
        assert (status, answer["code"]) == (400, "invalid_message")
        assert not where or "cost_per_skill" in answer["field"]


@pytest.mark.parametrize("size", [MAX_PRESENTED + 1, 1 << 20, 10 << 20])
@pytest.mark.parametrize("call", ["POST /_worker/workers/register", "PATCH /_worker/workers/cam-01"])
async def test_a_schema_that_makes_a_message_too_large_is_refused_before_it_is_read(
    start: Start, call: str, size: int
) -> None:
    node = await start(single())
    speaker = G4(node, "cam-01")
    assert (await speaker.register())[0] == 200
    method, path = call.split()
    for large, expected in ((size, (413, "payload_too_large")), (MAX_PRESENTED - 2_000, (200, None))):
        said = speaker.registration()
        said["supported_skills"][0]["output_schema"] = {"description": "x" * large}
        body = io.BytesIO(json.dumps(said).encode())
        async with node.session.request(method, node.url + path, data=body, headers=speaker.headers) as got:
            answer = await got.json()
        assert (got.status, answer.get("code")) == expected


async def test_a_schema_of_a_worker_makes_nobody_call_anywhere(start: Start) -> None:
    calls = 0

    def called(*_: Any) -> None:
        nonlocal calls
        calls += 1

    trap = await asyncio.start_server(called, "127.0.0.1", 0)
    host, port = trap.sockets[0].getsockname()
    node = await start(single())
    speaker = G4(node, "cam-01")
    said = speaker.registration()
    for key in ("output_schema", "input_schema"):
        said["supported_skills"][0][key] = {"$ref": f"http://{host}:{port}/schema"}
    assert (await speaker.call("POST", REGISTER, said))[0] == 200
    await node.create({"skill": speaker.skill, "params": {}}, "/api/v1/jobs/single")
    task = await speaker.take()
    assert (await speaker.report(task, data={"n": 1}))[1]["transition"] == "success_transition"
    trap.close()
    assert calls == 0


async def test_no_schema_of_a_worker_takes_the_time_of_others(start: Start) -> None:
    node = await start(single())
    worker = Hostile(node.session, node.url, "worker-token-of-the-tests", "bomber")
    await node.create({"skill": BAIT, "params": {}}, "/api/v1/jobs/single")
    began = time.process_time()
    for _ in range(3 * len(bombs())):
        assert (await worker.bombs())[0] == 200
    assert time.process_time() - began < 2.0, "each of them alone would take minutes"


async def test_a_worker_that_flaps_is_told_to_wait_and_others_are_not(start: Start) -> None:
    node = await start(single())
    flapping, honest = Hostile(node.session, node.url, G4(node, "x").token, "flapper"), G4(node, "cam-01")
    assert (await honest.register())[0] == 200
    statuses = [(await flapping.flaps())[0] for _ in range(200)]
    refused = statuses.index(429)
    assert refused > 3
    assert set(statuses[refused:]) <= {200, 429}
    assert statuses[-50:].count(429) > 25, "that it is gone may be said again"
    body = json.dumps(flapping.said({"name": "other"})).encode()
    path = node.url + REGISTER
    async with node.session.post(path, data=body, headers={"X-Worker-Token": honest.token}) as answer:
        said = await answer.json()
        assert (answer.status, said["code"]) == (429, "rate_limited")
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert (await honest.register())[0] == (await honest.beat())[0] == 200
    await node.create({"skill": honest.skill, "params": {}}, "/api/v1/jobs/single")
    assert await honest.poll() is not None


async def test_a_task_that_tells_much_is_heard_later_and_loses_nothing(start: Start) -> None:
    node = await start(single(), WORKER_EVENTS_PER_SECOND=50)
    chatty, quiet = G4(node, "cam-01"), G4(node, "cam-02")
    for speaker in (chatty, quiet):
        await speaker.register()
        await node.create({"skill": speaker.skill, "params": {}}, "/api/v1/jobs/single")
    told, task, other = {"text": "x" * 50 * 1_024}, await chatty.take(), await quiet.take()
    began = time.monotonic()
    for number in range(6):
        event = chatty.event(task, "told", told) | {"event_id": f"e{number}"}
        assert (await chatty.emit(event))[0] == 200
        if number == 4:
            asked = time.monotonic()
            assert (await quiet.emit(quiet.event(other, "told", {})))[0] == 200
            assert time.monotonic() - asked < 0.5, "other tasks do not wait for this one"
    assert time.monotonic() - began > 1.5, "two of the six had to wait for a second each"
    _, history = await node.get(f"/api/v1/jobs/{task['job_id']}/history")
    assert sum("x" * 1_024 in json.dumps(row) for row in history["events"]) == 6


async def test_whoever_does_not_wait_for_the_answers_to_its_events_is_told_to(start: Start) -> None:
    node = await start(single())
    chatty = G4(node, "cam-01")
    await chatty.register()
    await node.create({"skill": chatty.skill, "params": {}}, "/api/v1/jobs/single")
    task = await chatty.take()
    flood = [
        chatty.event(task, "told", {"text": "x" * 50 * 1_024}) | {"event_id": f"e{number}"}
        for number in range(12)
    ]
    answers = await asyncio.gather(*(chatty.emit(event) for event in flood))
    statuses = [status for status, _ in answers]
    assert {200, 429} == set(statuses), statuses


async def test_what_a_hostile_fleet_costs_the_node_is_bounded(storage: str) -> None:
    async with bench() as (honest, url):
        for _ in range(len(ACTS)):
            await honest.call("POST", "/api/v1/jobs/bait", {})
        alone = await _a_job(honest)
        async with besieged(url, [*ACTS]):
            await honest.round(2.0)  # until all is taken that may be had at once
            beset = await _a_job(honest)
    assert beset <= alone * 1.2 + 6.0, "milliseconds of the processor for each job, of 25 there are"


async def _a_job(honest: Bench) -> float:
    return (await honest.round(2.0)).processor
