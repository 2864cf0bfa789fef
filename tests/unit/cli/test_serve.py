"""What `serve` and `dev` refuse, in one line and with the right exit code."""

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from avtomatika.cli import avtomatika


def serve(*arguments: str) -> Result:
    return CliRunner().invoke(avtomatika, ["serve", "blueprints.py", *arguments])


def line_of(shown: Result) -> str:
    """The one line that the command said; it said no more."""
    lines = [line for line in shown.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1
    assert "Traceback" not in shown.stderr
    return lines[0]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--host", "0.0.0.0"], "API_HOST"),
        (["--storage-url", "mongo://somewhere"], "STORAGE_URL"),
        (["gone.py"], "There is no file gone.py"),
    ],
)
def test_a_problem_of_the_configuration_exits_with_2(arguments: list[str], problem: str) -> None:
    shown = serve(*arguments)
    assert shown.exit_code == 2
    assert problem in line_of(shown)


def test_a_taken_port_exits_with_2_and_names_it(project: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        shown = serve("--port", port, "--storage-url", "memory://")
    assert shown.exit_code == 2
    assert f"127.0.0.1:{port}" in line_of(shown)


def test_a_broken_storage_exits_with_70(project: Path) -> None:
    (project / "broken.db").write_text("This is no database at all, whatever its name may say. " * 100)
    shown = serve("--port", "0", "--storage-url", "sqlite:///broken.db")
    assert shown.exit_code == 70
    assert "storage_broken" in line_of(shown)


def test_a_folder_that_cannot_be_made_exits_with_2(project: Path) -> None:
    (project / "file").touch()
    shown = serve("--port", "0", "--data-dir", "file/inner")
    assert shown.exit_code == 2
    assert "file" in line_of(shown)


def test_serve_needs_something_to_serve() -> None:
    assert CliRunner().invoke(avtomatika, ["serve"]).exit_code == 2


def test_dev_refuses_a_worker_that_is_not_there_before_it_starts(project: Path) -> None:
    shown = CliRunner().invoke(
        avtomatika, ["dev", "blueprints.py", "--with-worker", "gone.py", "--port", "0"]
    )
    assert shown.exit_code == 2
    assert line_of(shown) == "Error: There is no file gone.py."
    assert "Listening" not in shown.stdout
