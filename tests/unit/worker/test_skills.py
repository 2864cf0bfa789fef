"""Handlers are registered under names, in every published spelling."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from avtomatika_worker import SkillBlueprint, SkillInfo, Worker, WorkerConfig
from avtomatika_worker import types as published_types
from avtomatika_worker import typing as published_typing
from avtomatika_worker.errors import SkillError
from avtomatika_worker.machine.profile import Profile
from avtomatika_worker.running.capacity import Openings
from avtomatika_worker.skills.hot_cache import HotCache
from avtomatika_worker.skills.skills import Catalog


def infos(skills: SkillBlueprint) -> list[SkillInfo]:
    return [skill.info for skill in skills]


def test_every_spelling_registers_and_returns_the_function() -> None:
    skills = SkillBlueprint()

    @skills.skill
    async def bare(params: dict[str, Any]) -> None:
        """Does nothing."""

    @skills.skill()
    async def called(params: dict[str, Any]) -> None: ...

    @skills.skill("named", type="kind", version="2")
    async def first(params: dict[str, Any]) -> None: ...

    @skills.skill(SkillInfo("described", output_statuses=("done",)), price=3)
    async def second(params: dict[str, Any]) -> None: ...

    @skills.task("classic", task_type="video")
    async def third(params: dict[str, Any], **kwargs: Any) -> None: ...

    @skills.task("untyped")
    async def fourth(params: dict[str, Any], **kwargs: Any) -> None: ...

    assert infos(skills) == [
        SkillInfo("bare", "bare", "Does nothing."),
        SkillInfo("called", "called"),
        SkillInfo("named", "kind", version="2"),
        SkillInfo("described", "described", output_statuses=("done",), properties={"price": 3}),
        SkillInfo("classic", "video"),
        SkillInfo("untyped", "untyped"),
    ]
    assert third.__name__ == "third"


def test_a_name_can_be_taken_only_once() -> None:
    skills = SkillBlueprint()
    skills.skill("x")(lambda: None)
    with pytest.raises(SkillError, match="'x'"):
        skills.skill("x")(lambda: None)


@pytest.mark.parametrize("name", ["", "a,b"])
def test_a_name_has_to_fit_into_a_list(name: str) -> None:
    with pytest.raises(SkillError):
        SkillBlueprint().skill(name)(lambda: None)


def test_a_blueprint_is_included_whole() -> None:
    part = SkillBlueprint()
    part.skill("x")(lambda: None)
    worker = Worker(config=WorkerConfig({}))
    worker.include_blueprint(part)
    assert [info.name for info in infos(worker)] == ["x"]


def test_commands_are_registered_by_name() -> None:
    worker = Worker(config=WorkerConfig({}))

    @worker.on_command("reboot")
    async def reboot(command: Any) -> None: ...

    assert worker.commands == {"reboot": reboot}


async def test_a_folder_of_skills_is_loaded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "good.py").write_text(
        "from avtomatika_worker import SkillBlueprint\n"
        "part = SkillBlueprint()\n"
        "@part.skill\ndef from_blueprint(): ...\n"
        "def setup(worker):\n    worker.skill('from_setup')(lambda: None)\n"
    )
    (tmp_path / "bad.py").write_text("raise RuntimeError('broken file')")
    (tmp_path / "_private.py").write_text("raise RuntimeError('never imported')")
    worker = Worker(config=WorkerConfig({}), skills_dir=tmp_path)
    worker.load_skills()
    worker.load_skills(tmp_path / "missing")
    assert [info.name for info in infos(worker)] == ["from_blueprint", "from_setup"]
    assert "broken file" in caplog.text
    assert "never imported" not in caplog.text


def test_both_modules_of_constants_hold_the_same() -> None:
    assert published_types.__all__ == published_typing.__all__
    for name in published_types.__all__:
        assert getattr(published_types, name) is getattr(published_typing, name)
    assert published_typing.TRANSIENT_ERROR == "TRANSIENT_ERROR"


def test_the_profile_describes_the_worker() -> None:
    skills = SkillBlueprint()
    skills.skill("blur")(lambda: None)
    environ = {
        "WORKER_ID": "cam-01",
        "GPU_MODEL": "T4",
        "GPU_VRAM_GB": "16",
        "COST_PER_SKILL": '{"blur":0.5}',
        "INSTALLED_MODELS": '[{"name":"yolo","version":"8"}]',
        "WORKER_EXTRA_ZONE": "eu",
    }
    cache = HotCache({"blur": ["yolo"]})
    profile = Profile(WorkerConfig(environ), "vision", Catalog(skills), cache)
    registration = profile.registration(Openings(10))
    assert registration.worker_type == "vision"
    assert registration.supported_skills == (SkillInfo("blur", "blur"),)
    assert registration.resources is not None
    assert registration.resources.devices is not None
    assert registration.resources.devices[0].properties == {"memory_gb": 16.0}
    assert registration.capabilities is not None
    assert registration.capabilities.extra == {"websockets": True, "zone": "eu"}
    assert [artifact.name for artifact in registration.installed_artifacts or ()] == ["yolo"]

    cache.add("yolo")
    beat = profile.heartbeat(Openings(10), ("t1",))
    assert (beat.status, beat.current_tasks, beat.available_skills) == ("idle", ("t1",), ("blur",))
    assert (beat.hot_skills, beat.hot_cache) == (("blur",), ("yolo",))
    assert beat.skill_dependencies == {"blur": ("yolo",)}
    assert beat.skills_hash == registration.skills_hash
    assert beat.supported_skills is None
    assert profile.heartbeat(Openings(0), ()).status == "busy"
    assert profile.heartbeat(Openings(10), (), full=True).supported_skills is not None
    cache.remove("yolo")
    cold = profile.heartbeat(Openings(10), ())
    assert (cold.hot_skills, cold.hot_cache) == ((), ()), "or the server would take it for still hot"


def test_a_worker_that_never_had_anything_hot_does_not_speak_of_it() -> None:
    profile = Profile(WorkerConfig({"WORKER_ID": "w"}), "cpu", Catalog(SkillBlueprint()), HotCache())
    beat = profile.heartbeat(Openings(1), ())
    assert (beat.hot_skills, beat.hot_cache) == (None, None)


def test_a_skill_is_reported_as_hot_after_the_last_of_its_models_only() -> None:
    needs = {"image_generation": ["stable_diffusion_v1.5", "vae-ft-mse"], "upscale": ["realesrgan_x4"]}
    skills = SkillBlueprint()
    for name in needs:
        skills.skill(name)(lambda: None)
    cache = HotCache(needs)
    profile = Profile(WorkerConfig({"WORKER_ID": "w"}), "ai-processor", Catalog(skills), cache)

    def sent() -> dict[str, Any]:
        said: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(profile.heartbeat(Openings(1), ())))
        return said

    assert (sent()["skill_dependencies"], "hot_skills" in sent()) == (needs, False)
    cache.add("stable_diffusion_v1.5")
    assert "hot_skills" not in sent()
    cache.add("vae-ft-mse")
    assert sent()["hot_skills"] == ["image_generation"]


class Camera(SkillInfo, frozen=True):
    """A description with fields of the user's own."""

    name: str = "camera"
    lens: str = "wide"


def test_descriptions_may_be_classes() -> None:
    skills = SkillBlueprint()
    skills.skill(Camera)(lambda: None)
    skills.skill(Camera("tele", lens="long"))(lambda: None)
    skills.skill(type("Plain", (SkillInfo,), {}, frozen=True), version="2")(describe_me)
    given = SkillBlueprint(Camera)
    given.skill("by name")(lambda: None)
    found = {info.name: info for info in (*Catalog(skills).infos, *Catalog(given).infos)}
    assert {name: info.properties for name, info in found.items()} == {
        "camera": {"lens": "wide"},
        "tele": {"lens": "long"},
        "describe_me": None,
        "by name": {"lens": "wide"},
    }
    assert (found["describe_me"].version, found["describe_me"].description) == ("2", "Its description.")
    assert all(type(info) is SkillInfo for info in found.values())


def describe_me() -> None:
    """Its description."""


def test_both_spellings_of_the_hot_cache_are_one() -> None:
    worker = Worker(config=WorkerConfig({}))
    worker.add_to_hot_skills("yolo")
    worker.add_to_hot_cache("sam")
    worker.remove_from_hot_skills("sam")
    assert worker.get_hot_cache() == worker.get_hot_skills_state() == {"yolo"}
