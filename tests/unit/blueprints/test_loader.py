"""Blueprints in files and folders (row A16)."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from avtomatika import Blueprint, Config, OrchestratorEngine
from avtomatika.blueprints.loader import LoadFailed, load, load_folder
from avtomatika.errors import BlueprintError, ConfigError

HEAD = "from avtomatika import Blueprint\n"


def source(name: str, variable: str = "flow") -> str:
    return (
        f"{variable} = Blueprint({name!r})\n"
        f"@{variable}.handler(is_start=True, is_end=True)\n"
        "def only() -> None: ...\n"
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of blueprints; what is imported from there is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", sys.path.copy())
    before = set(sys.modules)
    flows = tmp_path / "flows"
    flows.mkdir()
    yield flows
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def names(folder: Path) -> list[tuple[str, str]]:
    return [(file.name, blueprint.name) for file, blueprint in load_folder(folder)]


def test_a_folder_gives_the_blueprints_of_its_files_in_order(folder: Path) -> None:
    (folder / "b_later.py").write_text(HEAD + source("third"))
    (folder / "a_first.py").write_text(HEAD + source("first") + source("second", "other"))
    (folder / "plain.py").write_text("x = 1\n")
    (folder / "_hidden.py").write_text("raise ValueError('never run')\n")
    (folder / "notes.txt").write_text("no Python")
    (folder / "inner.py").mkdir()
    assert names(folder) == [("a_first.py", "first"), ("a_first.py", "second"), ("b_later.py", "third")]


def test_a_blueprint_that_several_files_know_is_there_once(folder: Path) -> None:
    (folder / "_shared.py").write_text(HEAD + source("shared"))
    (folder / "one.py").write_text("from _shared import flow\n")
    (folder / "two.py").write_text("from one import flow\nagain = flow\n")
    assert names(folder) == [("one.py", "shared")]


def test_a_file_is_run_once(folder: Path) -> None:
    (folder / "counted.py").write_text(HEAD + source("counted"))
    assert load_folder(folder) == load_folder(folder)


def test_files_of_one_name_do_not_replace_each_other_or_a_module(folder: Path, tmp_path: Path) -> None:
    for place in (tmp_path, folder):
        (place / "json.py").write_text(HEAD + source(place.name))
    one, other = load(str(tmp_path / "json.py")), load(str(folder / "json.py"))
    assert (one.flow.name, other.flow.name) == (tmp_path.name, "flows")
    assert load(str(tmp_path / "json.py")) is one
    assert sys.modules["json"] not in (one, other)


@pytest.mark.parametrize(
    ("code", "line", "reason"),
    [
        ("x = 1\n\nraise ValueError('because')\n", 3, "ValueError: because"),
        ("x = 1\ndef (:\n", 2, "SyntaxError: "),
        ("import nothing_of_that_name\n", 1, "ModuleNotFoundError: No module named"),
        ("import sys\nsys.exit(3)\n", 2, "SystemExit: 3"),
        (HEAD + "a = Blueprint('')\n", 2, "BlueprintError: A blueprint needs a name. (blueprint.py, line "),
        ("import _late\n", 1, "ZeroDivisionError: division by zero (_late.py, line 2)"),
    ],
)
def test_a_broken_file_is_told_by_name_and_line(folder: Path, code: str, line: int, reason: str) -> None:
    (folder / "_late.py").write_text("x = 1\nx / 0\n")
    (folder / "broken.py").write_text(code)
    with pytest.raises(LoadFailed) as refused:
        load_folder(folder)
    assert refused.value.message.startswith(f"{folder / 'broken.py'}:{line}: cannot be loaded: {reason}")
    assert "broken" not in sys.modules


def test_a_missing_folder_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="There is no folder"):
        load_folder(folder / "none")


def engine(folder: Path, tmp_path: Path) -> OrchestratorEngine:
    config = Config({})
    config.BLUEPRINTS_DIR = folder
    config.API_PORT = 0
    config.STORAGE_URL = "memory://"
    config.AVTOMATIKA_DATA_DIR = tmp_path / "data"
    config.CLIENT_TOKEN = config.GLOBAL_WORKER_TOKEN = "a-token-of-the-tests"
    return OrchestratorEngine(config=config)


async def test_an_engine_serves_its_folder_and_what_is_registered(folder: Path, tmp_path: Path) -> None:
    (folder / "one.py").write_text(HEAD + source("one"))
    node = engine(folder, tmp_path)
    own = Blueprint("own")
    own.handler("only", is_start=True, is_end=True)(lambda: None)
    node.register_blueprint(own)
    await node.start()
    await node.stop()
    assert sorted(node.blueprints) == ["one", "own"]


async def test_a_blueprint_that_is_registered_already_is_no_collision(folder: Path, tmp_path: Path) -> None:
    (folder / "one.py").write_text(HEAD + source("one"))
    node = engine(folder, tmp_path)
    node.register_blueprint(load(str(folder / "one.py")).flow)
    await node.start()
    await node.stop()
    assert list(node.blueprints) == ["one"]


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (HEAD + source("one"), r"two\.py: Blueprint with name 'one' is already registered"),
        (HEAD + "empty = Blueprint('empty')\n", r"two\.py: Blueprint 'empty' must have exactly one start"),
        ("1 / 0\n", r"two\.py:1: cannot be loaded: ZeroDivisionError"),
    ],
)
def test_a_folder_that_cannot_be_served_stops_the_start(
    folder: Path, tmp_path: Path, code: str, problem: str
) -> None:
    (folder / "one.py").write_text(HEAD + source("one"))
    (folder / "two.py").write_text(code)
    node = engine(folder, tmp_path)
    with pytest.raises((BlueprintError, ConfigError), match=problem):
        asyncio.run(node.start())
    assert node.address is None


def test_a_setting_that_names_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="BLUEPRINTS_DIR: there is no folder"):
        engine(tmp_path / "none", tmp_path)
