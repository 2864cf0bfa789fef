"""`avtomatika serve` and `dev` with real processes, and `avtomatika jobs` as their client."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import DEADLINE, Start

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")]

BLUEPRINTS = '''
from avtomatika import ActionFactory, Blueprint

greeting = Blueprint("greeting", api_endpoint="/greet")
asking = Blueprint("asking", api_endpoint="/ask", api_version="v1")
failing = Blueprint("failing", api_endpoint="/fail")


@greeting.handler(is_start=True, is_end=True)
def greet(name: str = "you") -> str:
    return f"Hello, {name}"


@asking.handler(is_start=True)
def ask(actions: ActionFactory) -> None:
    actions.dispatch_task("nobody_can_do_this")


@failing.handler(is_start=True, is_end=True, outcome="failed")
def fail() -> None:
    """The job ends here."""
'''

Jobs = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def served(start: Start, tmp_path: Path) -> str:
    """The address of an orchestrator with the blueprints."""
    (tmp_path / "blueprints.py").write_text(BLUEPRINTS)
    return start("serve", "blueprints.py", "--port", "0").until("Listening on").split()[-1]


@pytest.fixture
def jobs(served: str, tmp_path: Path) -> Jobs:
    """`avtomatika jobs` with the arguments, beside the orchestrator."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "avtomatika", "jobs", "--url", served, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE, check=False
        )

    return run


def test_a_job_runs_to_its_end_and_is_listed_and_shown(jobs: Jobs) -> None:
    done = jobs("run", "greet", "--data", '{"name": "Ada"}', "--wait", "--json")
    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)
    assert (job["status"], job["result"]) == ("finished", "Hello, Ada")
    listed = json.loads(jobs("ls", "--status", "finished", "--json").stdout)
    assert [each["id"] for each in listed["jobs"]] == [job["id"]]
    assert "Hello, Ada" in jobs("show", job["id"]).stdout


def test_a_waiting_job_is_cancelled_once(jobs: Jobs) -> None:
    job_id = jobs("run", "ask").stdout.strip()
    assert jobs("cancel", job_id).returncode == 0
    again = jobs("cancel", job_id)
    assert (again.returncode, again.stderr.split(":")[1]) == (2, " already_over")
    assert jobs("watch", job_id).returncode == 1


def test_waiting_for_a_job_that_fails_exits_with_1(jobs: Jobs) -> None:
    done = jobs("run", "fail", "--wait")
    assert done.returncode == 1
    assert "status:    failed" in done.stdout


def test_the_same_key_makes_one_job(jobs: Jobs) -> None:
    first, second = (jobs("run", "greet", "--idempotency-key", "k") for _ in range(2))
    assert first.stdout == second.stdout != ""


def test_errors_of_the_orchestrator_are_one_line_with_their_code(jobs: Jobs) -> None:
    shown = jobs("show", "nothing")
    assert shown.returncode == 2
    assert shown.stderr.startswith("Error: not_found: ")
    assert shown.stderr.count("\n") == 1
    assert jobs("--token", "not-the-right-token", "ls").stderr.startswith("Error: unauthorized: ")


def test_serve_ends_politely_and_its_jobs_outlive_it(start: Start, tmp_path: Path) -> None:
    (tmp_path / "blueprints.py").write_text(BLUEPRINTS)

    def jobs(url: str, *arguments: str) -> str:
        command = [sys.executable, "-m", "avtomatika", "jobs", "--url", url, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    server = start("serve", "blueprints.py", "--port", "0")
    job_id = jobs(server.until("Listening on").split()[-1], "run", "ask").strip()
    assert server.end(signal.SIGTERM) == 0
    again = start("serve", "blueprints.py", "--port", "0")
    shown = jobs(again.until("Listening on").split()[-1], "show", job_id)
    assert "waiting_for_worker" in shown


def test_dev_serves_the_demo_with_its_worker(start: Start, texts: Path, tmp_path: Path) -> None:
    server = start("dev", "--port", "0")
    url = server.until("Listening on").split()[-1]
    server.until("secrets.toml")
    data = json.dumps({"roots": [str(texts)], "out": str(tmp_path / "report"), "bits": 64})
    command = [sys.executable, "-m", "avtomatika", "jobs", "--url", url, "run", "documents"]
    done = subprocess.run(
        [*command, "--data", data, "--wait", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["workers"] == {"dev-1": 24}
    assert server.end(signal.SIGINT) == 0
