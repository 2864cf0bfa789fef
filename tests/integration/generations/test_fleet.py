"""Workers of all five published generations at work for one node, at once (feature E2)."""

import asyncio
import json
from typing import Any

import pytest

from tests.integration.generations.processes import parallel, single, strict
from tests.integration.generations.speakers import EVERY, G1, G3, Signing, Speaker
from tests.integration.http.conftest import Orchestrator, Start

SIGNED = (False, True)
ACCEPTED = "accepted"


def fleet(node: Orchestrator, signed: bool) -> list[Speaker]:
    """One of each, which signs if it can and is asked to."""
    return [kind(node, f"cam-{kind.generation}", signed=signed and kind.signs) for kind in EVERY]


async def at_work(node: Orchestrator, signed: bool = False) -> list[Speaker]:
    """All of them, registered."""
    speakers = fleet(node, signed)
    answers = await asyncio.gather(*(speaker.register() for speaker in speakers))
    assert [status for status, _ in answers] == [200] * len(EVERY)
    return speakers


async def one_job(node: Orchestrator, speaker: Speaker, path: str = "single", **params: Any) -> str:
    body = {"skill": speaker.skill, "params": params}
    return await node.create(body, f"/api/v1/jobs/{path}")


@pytest.mark.parametrize("signed", SIGNED)
async def test_every_generation_hears_what_it_expects_when_it_registers(start: Start, signed: bool) -> None:
    node = await start(single())
    answers = {s.generation: (await s.register())[1] for s in fleet(node, signed)}
    assert answers == {
        "g1": {"status": "registered"},
        "g2": {"status": "registered", "version": "2.0.0", "warning": None},
        "g3": {"status": "registered", "version": "2.0.0", "warning": None},
        "g4": {"status": "registered", "version": "2.0.0"},
        "g5": {"status": "registered", "version": "2.0.0"},
    }


@pytest.mark.parametrize("signed", SIGNED)
async def test_every_generation_does_single_and_parallel_tasks_at_once(start: Start, signed: bool) -> None:
    node = await start(single(), parallel())
    speakers = await at_work(node, signed)
    singles = [await one_job(node, speaker, n=n) for n, speaker in enumerate(speakers)]
    skills = [speaker.skill for speaker in speakers] * 2
    together = await node.create({"skills": skills}, "/api/v1/jobs/parallel")

    async def work(speaker: Speaker) -> list[Any]:
        answers = []
        for _ in range(3):
            task = await speaker.take()
            status, answer = await speaker.report(task, data={"by": speaker.id, **task["params"]})
            assert status == 200
            answers.append(answer)
        return answers

    answers = await asyncio.gather(*map(work, speakers))
    for job, speaker, n in zip(singles, speakers, range(5), strict=True):
        assert (await node.ended(job))["result"] == {"by": speaker.id, "n": n}
    results = (await node.ended(together))["result"]
    assert results == [{"by": s.id, "n": n} for n, s in enumerate(speakers * 2)]
    plain = [{"status": ACCEPTED, "transition": "success_transition"}]
    branch = [{"status": ACCEPTED, "transition": "parallel_branch_accepted"}] * 2
    for speaker, heard in zip(speakers, answers, strict=True):
        if isinstance(speaker, G1):
            old = [{"status": "parallel_branch_result_accepted"}] * 2
            assert sorted(heard, key=str) == sorted([{"status": "result_accepted_success"}, *old], key=str)
        else:
            assert sorted(heard, key=str) == sorted(plain + branch, key=str)


async def test_a_task_has_exactly_the_members_that_a_generation_knows(start: Start) -> None:
    node = await start(single(result_timeout_seconds=100), parallel())
    basic = {"job_id", "task_id", "type", "params", "tracing_context"}
    second = basic | {"params_metadata"}
    third = second | {"priority", "deadline", "security", "metadata"}
    later = basic | {"deadline", "timestamp"}
    known = {"g1": basic, "g2": second, "g3": third, "g4": later, "g5": later}
    for speaker in await at_work(node):
        params: dict[str, Any] = {"float": 1.0, "null": None, "list": [None, 2.0]}
        await one_job(node, speaker, **params)
        task = await speaker.take()
        assert task.keys() == known[speaker.generation]
        assert json.dumps(task["params"], sort_keys=True) == json.dumps(params, sort_keys=True)
        assert task["tracing_context"] == {}
        for moment in ("deadline", "timestamp"):
            assert isinstance(task.get(moment, 0), int)


@pytest.mark.parametrize("signed", SIGNED)
async def test_custom_statuses_failures_and_cancellations_take_their_transitions(
    start: Start, signed: bool
) -> None:
    node = await start(single(), strict(retry=0))
    ends = {
        ("review", None): ("reviewed", "result_accepted_success", "success_transition"),
        ("failure", "PERMANENT_ERROR"): ("rescued", "result_accepted_failure", "failure_handled"),
        ("cancelled", None): ("gone", "result_accepted_cancelled", "cancelled_handled"),
    }
    for speaker in await at_work(node, signed):
        for (status, code), (result, old, new) in ends.items():
            job = await one_job(node, speaker)
            error = {} if code is None else {"error": {"code": code, "message": "no"}}
            _, answer = await speaker.report(await speaker.take(), status=status, **error)
            expected = {"status": old} if isinstance(speaker, G1) else {"status": ACCEPTED, "transition": new}
            assert answer == expected
            assert (await node.ended(job))["result"] == result
        job = await one_job(node, speaker, "strict")
        _, answer = await speaker.report(await speaker.take(), status="nobody listed this")
        assert answer.get("transition") in (None, "unhandled_status_failure")
        assert (await node.ended(job))["status"] == "failed"


CODES = {
    "TRANSIENT_ERROR": "quarantined",
    "PERMANENT_ERROR": "quarantined",
    "INVALID_INPUT_ERROR": "failed",
    "INTEGRITY_MISMATCH_ERROR": "failed",
    "SECURITY_ERROR": "quarantined",
    "DEPENDENCY_ERROR": "quarantined",
    "CONTRACT_VIOLATION_ERROR": "quarantined",
    "A_CODE_OF_ITS_OWN": "quarantined",
}


async def test_every_code_of_failure_ends_a_job_alike_whoever_reports_it(start: Start) -> None:
    node = await start(strict(retry=0))
    for speaker in await at_work(node):
        for code, status in CODES.items():
            job = await one_job(node, speaker, "strict")
            failure = {"code": code, "message": "no luck", "details": {"n": 1}}
            await speaker.report(await speaker.take(), status="failure", error=failure)
            ended = await node.ended(job)
            assert (ended["status"], ended["error"]["code"]) == (status, code), speaker.generation


async def test_an_error_that_is_only_text_is_transient(start: Start) -> None:
    node = await start(single())
    for speaker in await at_work(node):
        job = await one_job(node, speaker)
        assert (await speaker.report(await speaker.take(), status="failure", error="busy"))[0] == 200
        await speaker.report(await speaker.take(), data={"second": True})  # tried again
        assert (await node.ended(job))["result"] == {"second": True}


@pytest.mark.parametrize("signed", SIGNED)
async def test_every_generation_is_told_to_stop_by_the_answer_to_its_heartbeat(
    start: Start, signed: bool
) -> None:
    node = await start(single())
    for speaker in await at_work(node, signed):
        job = await one_job(node, speaker)
        task = await speaker.take()
        assert "cancel_task_ids" not in (await speaker.beat(task["task_id"]))[1]
        await node.post(f"/api/v1/jobs/{job}/cancel")
        _, answer = await speaker.beat(task["task_id"])
        assert answer["cancel_task_ids"] == [task["task_id"]]
        status, late = await speaker.report(task, data={"late": True})
        assert (status, late["status"], late["reason"]) == (200, "ignored", "job_cancelled")
        assert (await node.job(job))["status"] == "cancelled"


@pytest.mark.parametrize("signed", SIGNED)
async def test_progress_reaches_the_job_in_the_words_of_every_generation(start: Start, signed: bool) -> None:
    node = await start(single())
    for speaker in await at_work(node, signed):
        job = await one_job(node, speaker)
        task = await speaker.take()
        await speaker.tell(task, 0.25, "a quarter")
        async with asyncio.timeout(10):
            while (await node.job(job)).get("progress") is None:
                await asyncio.sleep(0.01)
        assert (await node.job(job))["progress"] == {"value": 0.25, "message": "a quarter"}
        if isinstance(speaker, Signing):
            event = speaker.event(task, "progress", {"progress": 0.5})
            assert await speaker.emit(event) == (200, {"status": "event_accepted"})
            assert (await node.job(job))["progress"] == {"value": 0.5}
        await speaker.report(task, data={})


async def test_heartbeats_are_answered_as_each_generation_knows_it(start: Start) -> None:
    node = await start(single())
    for speaker in await at_work(node):
        _, answer = await speaker.beat()
        match speaker.generation:
            case "g1":
                assert answer == {"worker_id": speaker.id, **speaker.heartbeat()}
            case "g3":
                jitter = answer.pop("next_heartbeat_jitter_ms")
                assert -2_000 <= jitter <= 2_000
                assert answer == {"status": "ok"}
            case _:
                assert answer == {"status": "ok"}
        empty = await speaker.call("PATCH", f"/_worker/workers/{speaker.id}")
        assert empty == (200, {"status": "ttl_refreshed"})


async def test_a_worker_that_does_not_list_its_tasks_keeps_them_by_its_heartbeats(start: Start) -> None:
    node = await start(single(), TASK_LEASE_SECONDS=0.5)
    speaker = G1(node, "cam-g1")
    await speaker.register()
    job = await one_job(node, speaker)
    task = await speaker.take()
    for _ in range(5):
        await asyncio.sleep(0.2)
        assert "cancel_task_ids" not in (await speaker.beat(task["task_id"]))[1]
    assert (await speaker.report(task, data={"kept": True}))[1] == {"status": "result_accepted_success"}
    assert (await node.ended(job))["result"] == {"kept": True}


@pytest.mark.parametrize("signed", SIGNED)
async def test_every_generation_is_back_at_work_after_the_node_has_forgotten_it(
    start: Start, signed: bool
) -> None:
    node = await start(single())
    for speaker in fleet(node, signed):  # known to an earlier life of the node, not to this one
        status, answer = await speaker.beat()
        if speaker.generation in ("g4", "g5"):
            assert status == 404
            assert "not found" in answer["error"]
            assert (await speaker.register())[0] == 200
        elif isinstance(speaker, G3):
            assert answer["require_full_sync"] is True
            full = speaker.heartbeat() | {"supported_skills": [speaker.described]}
            status, answer = await speaker.call("PATCH", f"/_worker/workers/{speaker.id}", full)
            assert "require_full_sync" not in answer
        assert (await speaker.beat())[0] == 200
        job = await one_job(node, speaker)
        await speaker.report(await speaker.take(), data={"by": speaker.id})
        assert (await node.ended(job))["result"] == {"by": speaker.id}


async def test_a_heartbeat_with_another_hash_is_asked_for_all_the_skills(start: Start) -> None:
    node = await start(single())
    for speaker in await at_work(node):
        if not isinstance(speaker, Signing):
            continue
        speaker.skills_hash = "0100"
        assert (await speaker.beat())[1]["require_full_sync"] is True
        full = speaker.heartbeat() | {"supported_skills": speaker.registration()["supported_skills"]}
        _, answer = await speaker.call("PATCH", f"/_worker/workers/{speaker.id}", full)
        assert "require_full_sync" not in answer
        assert "require_full_sync" not in (await speaker.beat())[1]


async def test_the_demands_of_old_and_new_are_met_by_machines_of_every_generation(start: Start) -> None:
    demands = {"gpu_info": {"model": "t4", "vram_gb": 12}, "installed_models": ["yolo"]}
    node = await start(single(resource_requirements=demands, max_cost=0.6))
    for speaker in await at_work(node):
        job = await one_job(node, speaker)
        await speaker.report(await speaker.take(), data={"by": speaker.id})
        assert (await node.ended(job))["result"] == {"by": speaker.id}


async def test_an_unknown_job_is_told_as_each_generation_knows_it(start: Start) -> None:
    node = await start(single())
    for speaker in await at_work(node):
        task = {"job_id": "nobody", "task_id": "task-of-another-server"}
        answer = await speaker.report(task, data={})
        if isinstance(speaker, G1):
            assert answer == (404, {"error": "Job not found"})
        else:
            assert (answer[0], answer[1]["status"], answer[1]["reason"]) == (200, "ignored", "job_not_found")
