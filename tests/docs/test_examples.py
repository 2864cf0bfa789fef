"""Each example does what its `expected.txt` says."""

import shutil
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks
from tests.docs.session import Session

EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/expected.txt"))


def commands(example: Path) -> list[str]:
    """The commands of its README, without the prompt."""
    return [block.text.strip().removeprefix("$ ") for block in blocks(example / "README.md")]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_prints_what_it_promises(example: Path, tmp_path: Path) -> None:
    shutil.copytree(example, tmp_path, dirs_exist_ok=True)
    serve, client = commands(example)
    with Session(tmp_path) as session:
        session.follow([Block("console", serve, "run", "start orchestrator", 0)])
        assert session.run(client) == (example / "expected.txt").read_text("utf-8").strip()


def test_every_folder_of_examples_is_one() -> None:
    folders = {path for path in (ROOT / "examples").iterdir() if path.is_dir() and path.name[:2].isdigit()}
    assert folders == set(EXAMPLES) != set()


def test_the_list_of_examples_names_each() -> None:
    listed = (ROOT / "examples" / "README.md").read_text("utf-8")
    assert [example.name for example in EXAMPLES if f"]({example.name})" not in listed] == []
