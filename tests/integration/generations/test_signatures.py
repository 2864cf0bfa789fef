"""What workers sign is verified, and nothing else is believed of it (feature E3)."""

import time
from pathlib import Path
from typing import Any

import pytest

from rxon.signing.shared_key import verify_task
from tests.integration.generations.processes import single
from tests.integration.generations.speakers import G1, G2, G4, G5, SIGNING, Signing
from tests.integration.http.conftest import Orchestrator, Start

OWN = "the-own-token-of-cam-01"
TASK_KEY = "the-key-of-the-orchestrator"


async def begun(node: Orchestrator, speaker: Signing) -> dict[str, Any]:
    """A task that the worker holds."""
    assert (await speaker.register())[0] == 200
    await node.create({"skill": speaker.skill, "params": {}}, "/api/v1/jobs/single")
    return await speaker.take()


async def each_message(speaker: Signing, task: dict[str, Any]) -> dict[str, tuple[int, Any]]:
    """One of each message that can be signed, the one that ends the task last."""
    return {
        "register": await speaker.register(),
        "heartbeat": await speaker.beat(task["task_id"]),
        "event": await speaker.emit(speaker.event(task, "seen", {"n": 1.0, "none": None})),
        "result": await speaker.report(task, data={"f": 1.0, "list": [1, None, 2.0], "text": "é"}),
    }


@pytest.mark.parametrize("kind", SIGNING)
@pytest.mark.parametrize("key", ["own", "common"])
async def test_a_right_signature_is_accepted_with_the_key_of_the_worker(
    start: Start, tmp_path: Path, kind: type[Signing], key: str
) -> None:
    path = tmp_path / "workers.toml"
    path.write_text(f'[cam-01]\ntoken = "{OWN}"\n')
    node = await start(single(), WORKERS_CONFIG_PATH=path, WORKER_SIGNATURES="required")
    speaker = kind(node, "cam-01", OWN, signed=True) if key == "own" else kind(node, "w", signed=True)
    answers = await each_message(speaker, await begun(node, speaker))
    assert {name: status for name, (status, _) in answers.items()} == dict.fromkeys(answers, 200)


@pytest.mark.parametrize("kind", SIGNING)
async def test_a_wrong_signature_is_refused_also_where_none_is_required(
    start: Start, kind: type[Signing]
) -> None:
    node = await start(single())
    speaker = kind(node, "cam-01", signed=True)
    task = await begun(node, speaker)
    speaker.key = "another key"
    answers = await each_message(speaker, task)
    assert {(status, body["error"]) for status, body in answers.values()} == {
        (403, "Invalid cryptographic signature")
    }
    for _, body in answers.values():
        assert abs(body["server_time"] - time.time()) < 60


async def test_a_message_that_was_changed_on_its_way_is_refused(start: Start) -> None:
    node = await start(single())
    speaker = G4(node, "cam-01", signed=True)
    task = await begun(node, speaker)
    honest = speaker.in_shape(speaker.result(task, data={"price": 1}))
    changed = honest | {"data": {"price": 2}}
    assert (await node.call("POST", "/_worker/tasks/result", changed, headers=speaker.headers))[0] == 403
    assert (await node.call("POST", "/_worker/tasks/result", honest, headers=speaker.headers))[0] == 200


@pytest.mark.parametrize("kind", SIGNING)
async def test_where_signatures_are_required_nothing_goes_without(start: Start, kind: type[Signing]) -> None:
    node = await start(single(), WORKER_SIGNATURES="required")
    speaker = kind(node, "cam-01", signed=True)
    task = await begun(node, speaker)
    speaker.signed = False
    answers = await each_message(speaker, task)
    errors = {"Missing required security context", "Missing required cryptographic signature"}
    assert {status for status, _ in answers.values()} == {403}
    assert {body["error"] for _, body in answers.values()} <= errors
    for old in (G1(node, "cam-02"), G2(node, "cam-03")):
        assert (await old.register())[0] == 403


@pytest.mark.parametrize("kind", SIGNING)
@pytest.mark.parametrize(("seconds", "status"), [(-58, 200), (-63, 403), (63, 403)])
async def test_a_signed_message_is_of_today(
    start: Start, kind: type[Signing], seconds: int, status: int
) -> None:
    node = await start(single())
    speaker = kind(node, "cam-01", signed=True)
    speaker.clock = lambda: time.time() + seconds
    found, body = await speaker.register()
    assert found == status
    if status == 403:
        assert body["error"] == "Message timestamp expired (replay protection)"
        assert abs(body["server_time"] - time.time()) < 60


async def test_a_signature_of_another_worker_is_refused(start: Start) -> None:
    node = await start(single())
    speaker = G4(node, "cam-01", signed=True)
    forged = speaker.in_shape(speaker.registration())
    forged["security"]["signer_id"] = "cam-02"
    status, body = await node.call("POST", "/_worker/workers/register", forged, headers=speaker.headers)
    assert (status, body["error"]) == (
        403,
        "Message signer ID 'cam-02' does not match worker ID 'cam-01'",
    )


async def test_chains_lend_nobody_an_identity(start: Start) -> None:
    node = await start(single())
    holder, stranger = G4(node, "cam-01"), G4(node, "cam-02")
    task = await begun(node, holder)
    await stranger.register()
    event = stranger.event(task, "progress", {"progress": 1})
    event |= {"origin_worker_id": "cam-01", "bubbling_chain": ["cam-01"]}
    event |= {"security": {"identity_chain": ["cam-01"]}}
    assert (await stranger.emit(event))[0] == 403
    as_holder = event | {"worker_id": "cam-01"}
    assert (await stranger.emit(as_holder))[0] == 403
    assert "progress" not in await node.job(task["job_id"])


async def test_a_chain_may_grow_after_the_event_was_signed(start: Start) -> None:
    node = await start(single())
    speaker = G4(node, "cam-01", signed=True)
    task = await begun(node, speaker)
    event = speaker.in_shape(speaker.event(task, "progress", {"progress": 1}))
    grown = event | {"bubbling_chain": ["gw-1", "gw-2"]}
    assert (await node.call("POST", "/_worker/events", grown, headers=speaker.headers))[0] == 200


async def test_tasks_are_signed_for_those_who_verify(start: Start) -> None:
    node = await start(single(), ORCHESTRATOR_SECRET_KEY=TASK_KEY)
    for speaker, verifies in ((G4(node, "cam-04"), False), (G5(node, "cam-05"), True)):
        await speaker.register()
        await node.create({"skill": speaker.skill, "params": {"f": 1.0, "none": None}}, "/api/v1/jobs/single")
        path = f"/_worker/workers/{speaker.id}/tasks/next?timeout=5"
        async with node.session.get(node.url + path, headers=speaker.headers) as response:
            raw, task = await response.read(), await response.json()
        assert ("sig" in task) is verifies
        if verifies:
            assert verify_task(raw, task["sig"], TASK_KEY)
            assert not verify_task(raw.replace(b"1.0", b"2.0"), task["sig"], TASK_KEY)
