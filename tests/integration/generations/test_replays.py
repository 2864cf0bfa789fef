"""Everything that a worker sent, sent again: at once, later, and after a restart (feature E3).

A repetition that is honest, because an answer was lost, is accepted; none has a second effect.
"""

import json
import time
from typing import Any

import pytest

from tests.integration.generations.processes import single
from tests.integration.generations.speakers import EVERY, G4, SIGNING, Signing, Speaker
from tests.integration.http.conftest import Orchestrator, Start

LATER = [0, 30, 61]
WAYS = [(kind, False) for kind in EVERY] + [(kind, True) for kind in SIGNING]
DURABLE = pytest.mark.parametrize("storage", ["sqlite"], indirect=True)
"""Memory does not survive a restart."""


async def life_of_a_task(node: Orchestrator, speaker: Speaker) -> str:
    """The worker does one job, and tells of it; the id of the job."""
    assert (await speaker.register())[0] == 200
    job = await node.create({"skill": speaker.skill, "params": {}}, "/api/v1/jobs/single")
    task = await speaker.take()
    await speaker.beat(task["task_id"])
    if isinstance(speaker, Signing):
        assert (await speaker.emit(speaker.event(task, "seen", {"n": 1})))[0] == 200
        assert (await speaker.emit(speaker.progress(task, 0.5, "half")))[0] == 200
    assert (await speaker.report(task, data={"n": 1}))[0] == 200
    await node.ended(job)
    return job


async def history(node: Orchestrator, job: str) -> Any:
    status, found = await node.get(f"/api/v1/jobs/{job}/history")
    assert status == 200
    return found


async def again(node: Orchestrator, speaker: Speaker) -> list[int]:
    """Every message once more, byte for byte; the statuses of the answers."""
    return [
        (await node.call(method, path, raw, headers=speaker.headers))[0] for method, path, raw in speaker.sent
    ]


def of(speaker: Speaker, node: Orchestrator) -> Speaker:
    speaker.node = node
    return speaker


@pytest.mark.parametrize("seconds", LATER)
@pytest.mark.parametrize(("kind", "signed"), WAYS)
async def test_a_repetition_has_no_second_effect(
    start: Start, kind: type[Speaker], seconds: int, signed: bool
) -> None:
    """Signed messages that are sent long after they were signed, as seen from the server, are refused."""
    node = await start(single())
    speaker = kind(node, "cam-01", signed=signed)
    job = await life_of_a_task(node, speaker)
    before = await history(node, job)
    if seconds and isinstance(speaker, Signing):  # as if they had been signed so long ago
        speaker.clock = lambda: time.time() - seconds
        speaker.sent = [(m, p, aged(speaker, raw)) for m, p, raw in speaker.sent]
    statuses = await again(node, speaker)
    refused = signed and seconds > 60
    assert statuses == [403 if refused else 200] * len(statuses)
    assert await history(node, job) == before
    second = await node.create({"skill": speaker.skill, "params": {}}, "/api/v1/jobs/single")
    assert await speaker.poll() is not None  # the worker was not harmed
    assert (await history(node, second))["events"][-1]["event_type"] != "task_reported"


def aged(speaker: Signing, raw: bytes) -> bytes:
    body = json.loads(raw)
    body.pop("security", None)
    body.pop("timestamp")
    return json.dumps(speaker.in_shape(body)).encode()


@DURABLE
@pytest.mark.parametrize(("kind", "signed"), WAYS)
async def test_a_repetition_after_a_restart_has_no_second_effect(
    start: Start, kind: type[Speaker], signed: bool
) -> None:
    first = await start(single())
    speaker = kind(first, "cam-01", signed=signed)
    job = await life_of_a_task(first, speaker)
    before = await history(first, job)
    await first.engine.stop()
    node = await start(single())
    assert await again(node, of(speaker, node)) == [200] * len(speaker.sent)
    assert await history(node, job) == before


@pytest.mark.parametrize("kind", SIGNING)
async def test_an_event_is_heard_once_while_its_task_is_open(start: Start, kind: type[Signing]) -> None:
    node = await start(single())
    speaker = kind(node, "cam-01", signed=True)
    await speaker.register()
    job = await node.create({"skill": speaker.skill, "params": {}}, "/api/v1/jobs/single")
    task = await speaker.take()
    one, two = (speaker.event(task, "seen", {"n": n}) for n in (1, 2))
    for event in (one, one, two, one, two):
        assert await speaker.emit(event) == (200, {"status": "event_accepted"})
    told = [f for f in (await history(node, job))["events"] if f["event_type"] == "task_signalled"]
    assert [fact["data"]["payload"] for fact in told] == [{"n": 1}, {"n": 2}]


@DURABLE
async def test_an_event_is_heard_once_also_across_a_restart(start: Start) -> None:
    first = await start(single())
    speaker = G4(first, "cam-01")
    await speaker.register()
    job = await first.create({"skill": speaker.skill, "params": {}}, "/api/v1/jobs/single")
    task = await speaker.take()
    event = speaker.event(task, "seen", {"n": 1})
    await speaker.emit(event)
    await first.engine.stop()
    node = await start(single())
    assert (await of(speaker, node).register())[0] == 200
    assert await speaker.emit(event) == (200, {"status": "event_accepted"})
    told = [f for f in (await history(node, job))["events"] if f["event_type"] == "task_signalled"]
    assert len(told) == 1
    assert (await speaker.report(task, data={"n": 1}))[1]["status"] == "accepted"


async def test_an_event_that_moved_the_job_on_is_accepted_again(start: Start) -> None:
    node = await start(single(event_transitions={"enough": "done"}))
    speaker = G4(node, "cam-01")
    await speaker.register()
    job = await node.create({"skill": speaker.skill, "params": {}}, "/api/v1/jobs/single")
    task = await speaker.take()
    event = speaker.event(task, "enough", {"n": 1})
    for _ in range(2):
        assert await speaker.emit(event) == (200, {"status": "event_accepted"})
    assert (await node.ended(job))["status"] == "finished"
    assert (await speaker.emit(speaker.event(task, "enough", {"n": 2})))[0] == 403
