"""The command line as a whole: what it is made of, and what it costs to start."""

import subprocess
import sys

from click.testing import CliRunner

from avtomatika import __version__
from avtomatika.cli import avtomatika


def test_help_names_every_command() -> None:
    shown = CliRunner().invoke(avtomatika, ["--help"])
    assert shown.exit_code == 0
    assert all(name in shown.output for name in ("check", "demo", "dev", "graph", "jobs", "serve"))


def test_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(avtomatika, ["--version"]).output == f"avtomatika {__version__}\n"


def test_starting_imports_neither_the_server_nor_an_http_library() -> None:
    code = "import sys, avtomatika.cli; print(*sorted({'aiohttp', 'sqlite3', 'uvloop'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_an_unknown_command_is_refused_with_2() -> None:
    assert CliRunner().invoke(avtomatika, ["fly"]).exit_code == 2
