"""What a worker declares of its skills holds for what it sends (feature E6)."""

from typing import Any

import pytest

from tests.integration.generations.processes import strict
from tests.integration.generations.speakers import G4, SIGNING, Signing
from tests.integration.http.conftest import Orchestrator, Start

PAGE = {"type": "object", "properties": {"page": {"type": "integer"}}, "required": ["page"]}


async def begun(node: Orchestrator, speaker: Signing, **declared: Any) -> dict[str, Any]:
    """A task that the worker holds, whose skill it declares so."""
    said = speaker.registration()
    said["supported_skills"][0] |= declared
    assert (await speaker.call("POST", "/_worker/workers/register", said))[0] == 200
    await node.create({"skill": speaker.skill}, "/api/v1/jobs/strict")
    return await speaker.take()


@pytest.mark.parametrize("kind", SIGNING)
async def test_an_event_that_breaks_its_schema_is_no_part_of_the_job(
    start: Start, kind: type[Signing]
) -> None:
    node = await start(strict())
    speaker = kind(node, "cam-01")
    task = await begun(node, speaker, events_schema={"found": PAGE})
    status, answer = await speaker.emit(speaker.event(task, "found", {"page": "seven"}))
    assert (status, answer["status"], answer["code"]) == (200, "error", "CONTRACT_VIOLATION_ERROR")
    assert "page" in answer["message"]
    for name, payload in (("found", {"page": 7}), ("of its own", {"page": "seven"})):
        assert (await speaker.emit(speaker.event(task, name, payload)))[1] == {"status": "event_accepted"}
    _, history = await node.get(f"/api/v1/jobs/{task['job_id']}/history")
    told = [e["data"]["payload"] for e in history["events"] if e["event_type"] == "task_signalled"]
    assert told == [{"page": 7}, {"page": "seven"}]


@pytest.mark.parametrize("kind", SIGNING)
async def test_data_that_breaks_the_schema_of_the_skill_is_a_failure(
    start: Start, kind: type[Signing]
) -> None:
    node = await start(strict())
    speaker = kind(node, "cam-01")
    task = await begun(node, speaker, output_schema=PAGE)
    expected = (200, {"status": "accepted", "transition": "failure_handled"})
    assert await speaker.report(task, data={"page": None}) == expected
    ended = await node.ended(task["job_id"])
    assert (ended["status"], ended["error"]["code"]) == ("quarantined", "CONTRACT_VIOLATION_ERROR")
    assert await speaker.report(task, data={"page": None}) == expected  # a repetition
    await node.create({"skill": speaker.skill}, "/api/v1/jobs/strict")
    task = await speaker.take()
    assert (await speaker.report(task, data={"page": 1}))[1]["transition"] == "success_transition"


@pytest.mark.parametrize(
    "declared",
    [
        {"output_schema": {"type": "no such type"}},
        {"output_schema": PAGE, "schema_dialect": "of my own"},
    ],
)
async def test_a_schema_that_nobody_understands_is_as_if_it_were_not_there(
    start: Start, declared: dict[str, Any]
) -> None:
    node = await start(strict())
    speaker = G4(node, "cam-01")
    task = await begun(node, speaker, **declared)
    assert (await speaker.report(task, data={"page": None}))[1]["transition"] == "success_transition"


async def test_schemas_that_come_with_a_heartbeat_hold_from_then_on(start: Start) -> None:
    node = await start(strict())
    speaker = G4(node, "cam-01")
    task = await begun(node, speaker)
    full = speaker.heartbeat(task["task_id"]) | {
        "supported_skills": speaker.registration()["supported_skills"]
    }
    full["supported_skills"][0]["output_schema"] = PAGE
    await speaker.call("PATCH", "/_worker/workers/cam-01", full)
    assert (await speaker.report(task, data={}))[1]["transition"] == "failure_handled"
