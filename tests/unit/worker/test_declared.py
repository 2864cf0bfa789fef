"""Parameters and events are held against what a skill declares of them."""

import asyncio
from typing import Any

import msgspec
import pytest

from avtomatika_worker import SkillBlueprint
from avtomatika_worker.skills import declared
from avtomatika_worker.skills.skills import Catalog
from avtomatika_worker.skills.teller import Told
from rxon.messages import SkillInfo
from tests.unit.worker.calling import Bench, offer

SIZE = {"type": "object", "required": ["width"], "properties": {"width": {"type": "integer", "minimum": 1}}}
PAGE = {"type": "object", "properties": {"n": {"type": "integer"}}}


async def told(strict: bool = True, **fields: Any) -> list[str]:
    """Which of its events a skill that declares ``fields`` gets through."""
    skills, heard = SkillBlueprint(), list[Told]()

    @skills.skill("work", **fields)
    async def work(send_progress: Any, send_event: Any) -> None:
        await send_progress(0.5)
        await send_event("page", {"n": 1})
        await send_event("page", {"n": "one"})
        await send_event("other", {})

    bench = Bench(skills)
    bench.runner._catalog = Catalog(skills, strict_events=strict)
    async with asyncio.timeout(10), bench.group:
        bench.runner.submit(offer(), bench._keep, heard.append)
    return [event.name for event in heard]


async def test_events_that_break_their_schema_or_have_none_are_not_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await told(events_schema={"page": PAGE}) == ["progress", "page"]
    assert "Event 'page' of skill 'work' is not sent: n: Expected integer" in caplog.text
    assert "declares no event 'other'" in caplog.text


async def test_without_strict_validation_only_what_is_declared_is_checked() -> None:
    assert await told(strict=False, events_schema={"page": PAGE}) == ["progress", "page", "other"]


async def test_a_skill_that_declares_nothing_tells_what_it_likes() -> None:
    assert await told() == ["progress", "page", "page", "other"]


async def test_a_schema_that_cannot_be_used_allows_everything(caplog: pytest.LogCaptureFixture) -> None:
    assert await told(events_schema={"page": {"type": 7}, "other": PAGE}) == [
        "progress",
        "page",
        "page",
        "other",
    ]
    assert "is not applied" in caplog.text
    assert len(await told(events_schema={"page": PAGE}, schema_dialect="another")) == 4


async def test_declared_parameters_are_checked_before_the_handler_is_called() -> None:
    skills = SkillBlueprint()

    @skills.skill("work", input_schema=SIZE)
    async def work(params: dict[str, Any]) -> Any:
        return params

    right, wrong, none = await Bench(skills).run(
        offer({"width": 1}), offer({"width": 0}, task_id="wrong"), offer(task_id="none")
    )
    assert right is not None
    assert right.data == msgspec.Raw(b'{"width":1}')
    for outcome in (wrong, none):
        assert outcome is not None
        assert outcome.error is not None
        assert (outcome.error.code, outcome.error.details) == ("INVALID_INPUT_ERROR", {"field": "width"})


def test_without_the_library_nothing_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rxon.schema.validation", None)
    rules = declared.Declared(SkillInfo("work", input_schema=SIZE, events_schema={"page": PAGE}))
    rules.check_input({})
    assert rules.allows(Told("page", msgspec.Raw(b'{"n":"one"}')))
