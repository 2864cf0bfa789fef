"""What handlers can tell, from coroutines and from threads, without ever failing for it."""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from avtomatika_worker import SkillBlueprint
from avtomatika_worker.skills.teller import Told, event_of
from tests.unit.worker.calling import Bench, offer

Handler = Callable[..., Any]


async def told_by(handler: Handler) -> list[tuple[str, Any]]:
    """Name and payload of everything that the handler told, which ended well."""
    skills = SkillBlueprint()
    skills.skill("work")(handler)
    bench, told = Bench(skills), list[Told]()
    async with asyncio.timeout(10), bench.group:
        bench.runner.submit(offer(), bench._keep, told.append)
    outcome = bench.outcomes["task-1"]
    assert outcome is not None
    assert outcome.status == "success", outcome.error
    return [(each.name, msgspec.json.decode(each.payload)) for each in told]


def half(message: str = "") -> tuple[str, Any]:
    return ("progress", {"progress": 0.5, "message": message})


async def test_progress_is_told_in_both_spellings() -> None:
    async def handler(task_id: str, job_id: str, send_progress: Any) -> None:
        await send_progress(0.5)
        await send_progress(0.5, "half")
        await send_progress(progress=0.5, message="half")
        await send_progress(task_id, job_id, 0.5)
        await send_progress(task_id, job_id, 0.5, "half")
        await send_progress(task_id, job_id, progress=0.5, message="half")
        await send_progress(task_id=task_id, job_id=job_id, progress=0.5, message="half")
        await send_progress(None, None, 0.5)

    plain, worded = half(), half("half")
    assert await told_by(handler) == [plain, worded, worded, plain, worded, worded, worded, plain]


async def test_a_number_is_told_as_it_is() -> None:
    async def handler(send_progress: Any) -> None:
        await send_progress(50)
        await send_progress(1.0)

    assert [payload["progress"] for _, payload in await told_by(handler)] == [50, 1.0]


@dataclasses.dataclass
class Page:
    number: int


async def test_an_event_has_an_object_of_any_kind() -> None:
    async def handler(send_event: Any) -> None:
        await send_event("found", {"page": 1.0})
        await send_event("found", Page(2), priority=2)
        await send_event("bare")

    assert await told_by(handler) == [("found", {"page": 1.0}), ("found", {"number": 2}), ("bare", {})]


async def test_a_thread_tells_in_its_order_and_before_its_result() -> None:
    def handler(send_event: Any, send_progress: Any) -> None:
        for n in range(100):
            send_event("n", {"n": n})
        send_progress(0.5)

    told = await told_by(handler)
    assert told == [*(("n", {"n": n}) for n in range(100)), half()]


async def test_what_was_told_without_waiting_is_told_and_may_be_awaited_in_any_way() -> None:
    async def handler(send_progress: Any) -> None:
        send_progress(0.5)
        await asyncio.gather(send_progress(0.5), asyncio.create_task(send_progress(0.5)))

    assert await told_by(handler) == [half()] * 3


async def test_the_names_are_in_the_keyword_arguments() -> None:
    async def handler(params: dict[str, Any], **kwargs: Any) -> None:
        await kwargs["send_progress"](kwargs["task_id"], kwargs["job_id"], 0.5)

    assert await told_by(handler) == [half()]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda progress, event: progress(),
        lambda progress, event: progress("t", "j"),
        lambda progress, event: progress(float("nan")),
        lambda progress, event: progress(object()),
        lambda progress, event: progress(1, 2, 3, 4, 5),
        lambda progress, event: event("found", [1]),
        lambda progress, event: event("found", {"a": object()}),
        lambda progress, event: event("", {}),
        lambda progress, event: event(None, {}),
        lambda progress, event: event("found", {}, "high"),
        lambda progress, event: event("found", {}, security="none"),
    ],
)
async def test_what_cannot_be_told_is_logged_and_fails_nothing(
    wrong: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(send_progress: Any, send_event: Any) -> None:
        await wrong(send_progress, send_event)

    assert await told_by(handler) == []
    assert "What task task-1 told cannot be sent" in caplog.text


async def test_nothing_is_told_after_the_end() -> None:
    kept: list[Any] = []

    async def handler(send_progress: Any) -> None:
        kept.append(send_progress)

    skills = SkillBlueprint()
    skills.skill("work")(handler)
    bench, told = Bench(skills), list[Told]()
    async with asyncio.timeout(10), bench.group:
        bench.runner.submit(offer(), bench._keep, told.append)
    kept[0](0.5)
    assert told == []


def test_an_event_names_the_task_and_its_lease() -> None:
    told = Told("found", msgspec.Raw(b'{"a":1}'), 2.0, origin="cam")
    event = event_of(told, offer(lease_token="lease-1", tracing_context={"traceparent": "00"}), "w1")
    assert (event.worker_id, event.origin_worker_id, event.priority) == ("w1", "cam", 2.0)
    assert (event.task_id, event.target_job_id, event.lease_token) == ("task-1", "job-1", "lease-1")
    assert event.trace_context == {"traceparent": "00"}
    assert event.event_id != event_of(told, offer(), "w1").event_id
