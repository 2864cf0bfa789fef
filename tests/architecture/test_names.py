"""A module is named for what it holds."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAY_NOTHING = {"base", "common", "core", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}


def says_nothing(path: Path) -> bool:
    """True if a folder or the module of the path, or a word of its name, could hold anything at all."""
    return any(
        word in SAY_NOTHING
        for part in path.with_suffix("").parts
        for word in part.strip("_").lower().split("_")
    )


def test_modules_are_named_for_what_they_hold() -> None:
    modules = [
        path.relative_to(source) for source in ROOT.glob("packages/*/src") for path in source.rglob("*.py")
    ]
    assert modules, "there is no module to look at"
    assert [str(path) for path in modules if says_nothing(path)] == []


@pytest.mark.parametrize("path", ["a/utils.py", "a/core/job.py", "job_manager.py", "a/_base.py"])
def test_a_name_that_says_nothing_is_noticed(path: str) -> None:
    assert says_nothing(Path(path))


@pytest.mark.parametrize("path", ["a/database.py", "a/score.py", "kernel/model.py", "__init__.py"])
def test_a_name_that_contains_such_a_word_by_chance_is_fine(path: str) -> None:
    assert not says_nothing(Path(path))
