"""`avtomatika check`, `avtomatika graph`, and the folder that is served (rows A12, A13 and A16)."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from avtomatika.cli import avtomatika
from avtomatika.cli.blueprints import FORMATS
from avtomatika.cli.target import engine_of

WRONG = """
from avtomatika import Blueprint

wrong = Blueprint("wrong")


@wrong.handler(is_start=True)
def start(actions, where):
    actions.go_to("gone")
    actions.go_to(where)


@wrong.handler(is_end=True)
def lonely(): ...
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(avtomatika, arguments)


# ------------------------------------------------------------------ check


def test_check_has_nothing_to_say_of_blueprints_in_order(project: Path) -> None:
    shown = run("check", "blueprints.py")
    assert (shown.exit_code, shown.stdout, shown.stderr) == (0, "", "2 blueprints, 0 errors.\n")


def test_check_says_each_finding_on_a_line_with_file_and_state(project: Path) -> None:
    (project / "wrong.py").write_text(WRONG)
    shown = run("check", "blueprints.py", "wrong.py")
    assert shown.exit_code == 1
    first, second = shown.stdout.splitlines()
    assert first.startswith("wrong.py:start: error: Blueprint 'wrong' has a dangling transition")
    assert second.startswith("wrong.py:lonely: warning: ")
    assert shown.stderr == "3 blueprints, 1 error.\n"


def test_warnings_alone_are_no_failure(project: Path) -> None:
    (project / "mild.py").write_text(WRONG.replace('    actions.go_to("gone")\n', ""))
    shown = run("check", "mild.py")
    assert shown.exit_code == 0
    assert "warning" in shown.stdout


def test_a_finding_about_no_state_names_the_file_alone(project: Path) -> None:
    (project / "empty.py").write_text("from avtomatika import Blueprint\nempty = Blueprint('empty')\n")
    assert run("check", "empty.py").stdout.startswith("empty.py: error: Blueprint 'empty' must have")


def test_check_goes_on_after_a_file_that_is_broken(project: Path) -> None:
    (project / "broken.py").write_text("x = 1\n1 / 0\n")
    (project / "wrong.py").write_text(WRONG)
    shown = run("check", "broken.py", "wrong.py")
    assert shown.exit_code == 1
    assert shown.stdout.splitlines()[0] == "broken.py:2: error: ZeroDivisionError: division by zero"
    assert "wrong.py:start: error: " in shown.stdout


def test_check_takes_a_folder_for_its_files(project: Path) -> None:
    (project / "flows").mkdir()
    (project / "flows" / "wrong.py").write_text(WRONG)
    (project / "flows" / "_part.py").write_text("1 / 0\n")
    shown = run("check", "flows")
    assert f"{Path('flows') / 'wrong.py'}:start: error: " in shown.stdout
    assert shown.stderr == "1 blueprint, 1 error.\n"


def test_check_looks_into_an_engine(project: Path) -> None:
    (project / "own.py").write_text(
        "from blueprints import first\n"
        "from avtomatika import MemoryStorage, OrchestratorEngine\n"
        "engine = OrchestratorEngine(MemoryStorage())\n"
        "engine.register_blueprint(first)\n"
    )
    assert run("check", "own.py").stderr == "1 blueprint, 0 errors.\n"


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("arguments", [["check", "gone.py"], ["check"], ["graph", "gone.py"], ["graph"]])
def test_nothing_to_look_at_is_refused_with_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


# ------------------------------------------------------------------ graph


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("target", ["blueprints.py:second", "blueprints:second"])
def test_graph_prints_dot(target: str) -> None:
    shown = run("graph", target)
    assert shown.exit_code == 0
    assert shown.stdout.startswith('digraph "second" {')


def test_graph_finds_a_blueprint_by_its_variable_or_its_name(project: Path) -> None:
    (project / "named.py").write_text(
        "from blueprints import *\nfrom avtomatika import Blueprint\nthird = Blueprint('no variable')\n"
    )
    assert run("graph", "named.py:third").stdout == run("graph", "named.py:no variable").stdout
    assert run("graph", "named.py:again").stdout.startswith('digraph "first" {')


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("blueprints.py", "has several blueprints: name one of first, second."),
        ("blueprints.py:none", "blueprints.py has no 'none'."),
        ("blueprints.py:no name", "has no blueprint 'no name'; it has first, second."),
    ],
)
def test_graph_needs_one_blueprint(target: str, problem: str) -> None:
    shown = run("graph", target)
    assert shown.exit_code == 2
    assert problem in shown.stderr


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("options", "begin"),
    [
        (["-o", "g.svg"], "<svg "),
        (["-o", "g.json"], "{"),
        (["-o", "g.mmd"], "flowchart"),
        (["-o", "g.gv"], "digraph"),
        (["-o", "g"], "digraph"),
        (["-o", "g.txt", "--format", "svg"], "<svg "),
    ],
)
def test_graph_writes_a_file_in_the_form_of_its_ending(options: list[str], begin: str) -> None:
    shown = run("graph", "blueprints.py:first", *options)
    assert (shown.exit_code, shown.output) == (0, "")
    assert Path(options[1]).read_text("utf-8").startswith(begin)


@pytest.mark.usefixtures("project")
def test_graph_prints_every_format() -> None:
    assert json.loads(run("graph", "blueprints.py:first", "--format", "json").stdout)["blueprint"] == "first"
    assert run("graph", "blueprints.py:first", "--format", "png").exit_code == 2


@pytest.mark.usefixtures("project")
def test_graph_says_when_it_cannot_write() -> None:
    shown = run("graph", "blueprints.py:first", "-o", "no/such/folder.svg")
    assert shown.exit_code == 2
    assert "No such file" in shown.stderr


def test_the_command_knows_the_formats_that_there_are() -> None:
    from avtomatika.blueprints import graph
    from avtomatika.http.blueprint_api import CONTENT_TYPES

    assert set(FORMATS) == set(graph.FORMATS) == set(CONTENT_TYPES)


# ------------------------------------------------------------------ a folder


def test_serve_needs_a_file_or_the_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BLUEPRINTS_DIR", raising=False)
    shown = run("serve")
    assert shown.exit_code == 2
    assert "set BLUEPRINTS_DIR" in shown.stderr


def test_serve_with_the_folder_needs_no_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "flows").mkdir()
    (project / "flows" / "broken.py").write_text("x = 1\n1 / 0\n")
    monkeypatch.setenv("BLUEPRINTS_DIR", "flows")
    for command in ("serve", "dev"):
        shown = run(command, "--port", "0", "--storage-url", "memory://")
        assert shown.exit_code == 2
        assert f"{Path('flows') / 'broken.py'}:2: cannot be loaded: ZeroDivisionError" in shown.stderr


@pytest.mark.usefixtures("project")
def test_an_engine_without_files_has_nothing_until_it_starts() -> None:
    assert engine_of([], {}).blueprints == {}
