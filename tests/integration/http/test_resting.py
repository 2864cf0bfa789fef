"""Jobs that rest: for a time, or until somebody sends them an event (feature A10)."""

from datetime import UTC, datetime, timedelta

import pytest

from avtomatika import ActionFactory, Blueprint
from tests.integration.http.conftest import Orchestrator, Start


def resting() -> Blueprint:
    """Rests as its input says, then finishes with what it knows."""
    blueprint = Blueprint("resting", api_version="v1", api_endpoint="/jobs/resting")

    @blueprint.handler(is_start=True)
    async def start(initial_data: dict[str, object], actions: ActionFactory) -> None:
        match initial_data:
            case {"sleep": float(span)}:
                actions.sleep(span, then="end")
            case {"until": float(span)}:
                actions.sleep_until(datetime.now(UTC) + timedelta(seconds=span), then="end")
            case {"timeout": float(span)}:
                actions.wait_for_event("paid", {"success": "end", "timeout": "late"}, timeout_seconds=span)
            case {"fail": str(message)}:
                actions.fail(message, "NO_STOCK")
            case {"finish": result}:
                actions.finish(result)
            case _:
                actions.wait_for_event("paid", "end")

    @blueprint.handler(is_end=True)
    async def end(state_history: dict[str, object]) -> dict[str, object]:
        return {"heard": state_history}

    @blueprint.handler(is_end=True)
    async def late() -> str:
        return "nobody paid"

    return blueprint


async def begin(start: Start, body: object) -> tuple[Orchestrator, str]:
    node = await start(resting())
    return node, await node.create({"initial_data": body}, "/api/v1/jobs/resting")


async def send(node: Orchestrator, job_id: str, name: str, body: object = None) -> tuple[int, object]:
    return await node.post(f"/api/v1/jobs/{job_id}/events/{name}", body)


@pytest.mark.parametrize("kind", ["sleep", "until"])
async def test_a_job_sleeps_for_as_long_as_it_asked(start: Start, kind: str) -> None:
    node, job_id = await begin(start, {kind: 0.3})
    job = await node.ended(job_id)
    assert job["status"] == "finished"
    assert job["updated_at"] - job["created_at"] >= 299


async def test_an_event_moves_the_job_that_waits_for_it_and_its_data_is_kept(start: Start) -> None:
    node, job_id = await begin(start, {})
    assert (await send(node, job_id, "paid", {"by": "card", "sum": 1.0}))[0] == 202
    job = await node.ended(job_id)
    assert job["result"] == {"heard": {"by": "card", "sum": 1.0}}


async def test_an_event_that_nobody_waits_for_yet_is_kept(start: Start) -> None:
    node, job_id = await begin(start, {"sleep": 0.2})
    assert (await send(node, job_id, "paid", {"by": "card"}))[0] == 202
    assert (await node.ended(job_id))["status"] == "finished"


async def test_an_event_of_another_name_does_not_move_the_job(start: Start) -> None:
    node, job_id = await begin(start, {})
    assert (await send(node, job_id, "seen"))[0] == 202
    assert (await node.job(job_id, wait=0.2))["status"] in ("waiting_for_event", "pending")
    assert (await send(node, job_id, "paid"))[0] == 202
    assert (await node.ended(job_id))["status"] == "finished"


async def test_a_job_that_waits_in_vain_follows_the_timeout(start: Start) -> None:
    node, job_id = await begin(start, {"timeout": 0.2})
    job = await node.ended(job_id)
    assert (job["status"], job["result"]) == ("finished", "nobody paid")


async def test_an_event_for_a_job_that_is_over_is_refused(start: Start) -> None:
    node, job_id = await begin(start, {"finish": 1})
    await node.ended(job_id)
    status, body = await send(node, job_id, "paid")
    assert (status, body["error"]["code"]) == (409, "already_over")  # type: ignore[index]


async def test_a_job_keeps_so_many_events_and_no_more(start: Start) -> None:
    node, job_id = await begin(start, {"sleep": 30.0})
    answers = [(await send(node, job_id, "seen"))[0] for _ in range(101)]
    assert answers == [202] * 100 + [409]


@pytest.mark.parametrize("body", [b"[1]", b"{", b'"text"'])
async def test_the_data_of_an_event_is_an_object(start: Start, body: bytes) -> None:
    node, job_id = await begin(start, {})
    status, _ = await send(node, job_id, "paid", body)
    assert status == 400
    assert (await send(node, "unknown", "paid"))[0] == 404


async def test_a_handler_can_end_the_job_from_any_state(start: Start) -> None:
    node, job_id = await begin(start, {"finish": {"n": 1}})
    job = await node.ended(job_id)
    assert (job["status"], job["result"]) == ("finished", {"n": 1})
    failed = await node.create({"initial_data": {"fail": "sold out"}}, "/api/v1/jobs/resting")
    job = await node.ended(failed)
    assert (job["status"], job["error"]["code"], job["error"]["message"]) == (
        "failed",
        "NO_STOCK",
        "sold out",
    )


async def test_a_sleeping_job_can_be_cancelled(start: Start) -> None:
    node, job_id = await begin(start, {"sleep": 30.0})
    assert (await node.post(f"/api/v1/jobs/{job_id}/cancel"))[0] == 200
    assert (await node.job(job_id))["status"] == "cancelled"
