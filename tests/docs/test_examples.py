"""Each example does what its `expected.txt` says, in memory and in a file."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks

FOLDER = ROOT / "examples"
EXAMPLES = sorted(path for path in FOLDER.iterdir() if path.is_dir() and path.name[:2].isdigit())
STORES = {"memory": "memory://", "sqlite": "sqlite:///jobs.db"}


def program(example: Path) -> str:
    """The one program of the example, as `python -m` takes it."""
    (file,) = example.glob("*.py")
    return f"{example.name}.{file.stem}"


def expected(example: Path) -> str:
    return (example / "expected.txt").read_text("utf-8")


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_prints_what_it_promises(
    example: Path,
    store: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STORAGE_URL", STORES[store])
    monkeypatch.syspath_prepend(FOLDER)
    runpy.run_module(program(example), run_name="__main__", alter_sys=True)
    assert capsys.readouterr().out == expected(example)
    assert (tmp_path / "jobs.db").exists() == (store == "sqlite")


def test_an_example_is_a_program(tmp_path: Path) -> None:
    command = [sys.executable, "-m", program(EXAMPLES[0])]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == (expected(EXAMPLES[0]), "")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_the_page_of_an_example_tells_how_to_run_it(example: Path) -> None:
    console = [block.text for block in blocks(example / "README.md") if block.language == "console"]
    assert console == [f"$ python -m {program(example)}\n"]


@pytest.mark.parametrize("index", ["examples/README.md", "README.md"])
def test_an_index_of_examples_names_each_in_order(index: str) -> None:
    text = (ROOT / index).read_text("utf-8")
    places = [text.find(f"{example.name})") for example in EXAMPLES]
    assert -1 not in places
    assert places == sorted(places)
