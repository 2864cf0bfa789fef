"""What `FILE_OR_MODULE[:attribute]` names."""

from pathlib import Path

import pytest

from avtomatika.cli.target import engine_of, find
from avtomatika.errors import BlueprintError, ConfigError


def names(target: str) -> list[str]:
    return sorted(blueprint.name for blueprint in find(target).blueprints)


def test_a_file_gives_every_blueprint_at_its_top_level_once(project: Path) -> None:
    assert names("blueprints.py") == ["first", "second"]


def test_a_module_gives_every_blueprint_at_its_top_level(project: Path) -> None:
    assert names("blueprints") == ["first", "second"]


def test_an_attribute_gives_that_blueprint_alone(project: Path) -> None:
    assert names("blueprints.py:second") == ["second"]
    assert names(f"{project / 'blueprints.py'}:first") == ["first"]


def test_a_list_gives_the_blueprints_in_it(project: Path) -> None:
    (project / "listed.py").write_text("from blueprints import first\nserved = [first]\n")
    assert names("listed.py:served") == ["first"]


def test_a_file_may_import_its_siblings(project: Path) -> None:
    (project / "inner").mkdir()
    (project / "inner" / "near.py").write_text("NAME = 'near'\n")
    (project / "inner" / "here.py").write_text(
        "from near import NAME\nfrom avtomatika import Blueprint\nonly = Blueprint(NAME)\n"
    )
    assert names("inner/here.py") == ["near"]


def test_an_engine_is_served_with_what_is_registered_and_what_other_files_add(project: Path) -> None:
    (project / "own.py").write_text(
        "from blueprints import first\n"
        "from avtomatika import MemoryStorage, OrchestratorEngine\n"
        "engine = OrchestratorEngine(MemoryStorage())\n"
        "engine.register_blueprint(first)\n"
    )
    engine = engine_of(["own.py", "blueprints.py"], {"API_PORT": "1234"})
    assert sorted(engine.blueprints) == ["first", "second"]
    assert (engine.config.STORAGE_URL, engine.config.API_PORT) == ("memory://", "1234")


def test_options_overrule_a_setting_that_would_be_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_PORT", "none")
    assert engine_of(["blueprints.py"], {"API_PORT": "0"}).config.API_PORT == "0"


def test_two_blueprints_of_one_name_are_refused(project: Path) -> None:
    (project / "other.py").write_text(
        "from avtomatika import Blueprint\nmine = Blueprint('first')\n"
        "@mine.handler(is_start=True)\ndef go(): ...\n"
    )
    with pytest.raises(BlueprintError, match="'first' is already registered"):
        engine_of(["blueprints.py", "other.py"], {})


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("x = 1\n", "no Blueprint and no OrchestratorEngine"),
        ("import nothing_of_that_name\n", r"broken\.py:1: cannot be loaded: ModuleNotFoundError: .*"),
        ("x = 1\nraise ValueError('because')\n", r"broken\.py:2: cannot be loaded: ValueError: because"),
        ("x = 1\ndef (:\n", r"broken\.py:2: cannot be loaded: SyntaxError"),
    ],
)
def test_a_file_that_gives_nothing_is_refused_with_the_reason(project: Path, code: str, problem: str) -> None:
    (project / "broken.py").write_text(code)
    with pytest.raises(ConfigError, match=problem):
        find("broken.py")


def test_a_missing_file_module_or_attribute_is_refused(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no file gone\.py"):
        find("gone.py")
    with pytest.raises(ConfigError, match="No module named 'gone_module'"):
        find("gone_module")
    with pytest.raises(ConfigError, match=r"blueprints\.py has no 'third'"):
        find("blueprints.py:third")


def test_several_engines_are_refused(project: Path) -> None:
    (project / "many.py").write_text(
        "from avtomatika import OrchestratorEngine\n"
        "one = OrchestratorEngine()\n"
        "other = OrchestratorEngine()\n"
    )
    with pytest.raises(ConfigError, match="2 engines"):
        find("many.py")
