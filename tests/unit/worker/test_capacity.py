"""What a worker asks for shrinks with what it holds, and hot skills follow the models in memory."""

from typing import Any

import pytest

from avtomatika_worker import SkillBlueprint
from avtomatika_worker.running.capacity import Capacity, Openings
from avtomatika_worker.skills.hot_cache import HotCache
from avtomatika_worker.skills.skills import Catalog


def catalog() -> Catalog:
    skills = SkillBlueprint()
    for name, kind in (("upscale", "video"), ("blur", "video"), ("transcribe", "audio"), ("report", None)):

        async def handler(params: dict[str, Any]) -> None: ...

        skills.task(name, task_type=kind)(handler)
    return Catalog(skills)


def test_without_limits_every_skill_is_open_while_there_is_room() -> None:
    capacity = Capacity(2)
    assert capacity.openings(catalog()) == Openings(2)
    capacity.take("report")
    assert capacity.openings(catalog()) == Openings(1)
    capacity.take("report")
    assert capacity.openings(catalog()) == Openings(0)


def test_a_type_at_its_limit_closes_all_its_skills() -> None:
    capacity = Capacity(10, {"video": 1, "audio": 4})
    assert capacity.openings(catalog()) == Openings(1)
    capacity.take("video")
    assert capacity.openings(catalog()) == Openings(4, frozenset({"transcribe", "report"}))
    for _ in range(4):
        capacity.take("audio")
    assert capacity.openings(catalog()) == Openings(5, frozenset({"report"}))


def test_a_type_limit_of_zero_closes_its_skills_for_good() -> None:
    assert Capacity(2, {"report": 0}).openings(catalog()) == Openings(
        2, frozenset({"upscale", "blur", "transcribe"})
    )


def test_the_checker_closes_skills() -> None:
    capacity = Capacity(2, checker=lambda skill: skill != "blur")
    assert capacity.openings(catalog()) == Openings(2, frozenset({"upscale", "transcribe", "report"}))
    assert Capacity(2, checker=lambda _: False).openings(catalog()) == Openings(0, frozenset())


def test_a_checker_that_fails_counts_as_no(caplog: pytest.LogCaptureFixture) -> None:
    def checker(skill: str) -> bool:
        raise RuntimeError("broken")

    assert Capacity(2, checker=checker).openings(catalog()) == Openings(0, frozenset())
    assert "broken" in caplog.text


def test_slots_return_when_tasks_end() -> None:
    capacity = Capacity(1, {"video": 1})
    capacity.take("video")
    capacity.take("video")
    assert capacity.may_start("video")
    capacity.start("video")
    assert not capacity.may_start("video")
    capacity.finish("video")
    assert capacity.may_start("video")
    capacity.give_back("video")
    assert capacity.openings(catalog()) == Openings(1)


def test_a_skill_is_hot_when_all_its_models_are_loaded() -> None:
    cache = HotCache({"generate": ["sd", "vae"], "upscale": ["esrgan"]})
    skills = ("generate", "upscale", "plain")
    assert cache.hot_skills(skills) == ()
    cache.add("sd")
    assert cache.hot_skills(skills) == ()
    cache.add("vae")
    assert cache.hot_skills(skills) == ("generate",)
    cache.add("plain")
    assert cache.hot_skills(skills) == ("generate", "plain")
    cache.remove("sd")
    cache.remove("never there")
    assert cache.hot_skills(skills) == ("plain",)
    assert cache.models == {"vae", "plain"}
