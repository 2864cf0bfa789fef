"""`avtomatika jobs`: what it asks the orchestrator, what it prints, what it exits with."""

import json
from pathlib import Path
from typing import Any

import pytest

from avtomatika.credentials import load_or_make

from .conftest import TOKEN, Orchestrator, job

ACCEPTED = {"status": "accepted", "job_id": "j1"}


def test_run_submits_the_data_as_written_with_token_and_key(jobs: Any, orchestrator: Orchestrator) -> None:
    orchestrator.answers("POST /api/hello", ACCEPTED, status=202)
    shown = jobs("run", "/hello", "--data", '{"n": 1.0}', "--idempotency-key", "k1")
    assert (shown.exit_code, shown.output) == (0, "j1\n")
    [(_, _, headers, body)] = orchestrator.requests
    assert body == b'{"n": 1.0}'
    assert (headers["X-Client-Token"], headers["Idempotency-Key"]) == (TOKEN, "k1")


def test_run_finds_an_endpoint_of_the_first_version(jobs: Any, orchestrator: Orchestrator) -> None:
    orchestrator.answers("POST /api/v1/hello", ACCEPTED, status=202)
    assert jobs("run", "hello", "--json").output == json.dumps(ACCEPTED) + "\n"


def test_run_says_that_no_blueprint_has_the_endpoint(jobs: Any) -> None:
    shown = jobs("run", "hello")
    assert shown.exit_code == 2
    assert shown.stderr == "Error: not_found: No blueprint has the endpoint /hello. (HTTP 404)\n"


def test_run_reads_data_from_a_file(jobs: Any, orchestrator: Orchestrator, tmp_path: Path) -> None:
    orchestrator.answers("POST /api/hello", ACCEPTED, status=202)
    (tmp_path / "input.json").write_text('{"from": "file"}')
    assert jobs("run", "hello", "--data", "@input.json").exit_code == 0
    assert orchestrator.requests[0][3] == b'{"from": "file"}'


@pytest.mark.parametrize("data", ["{", "[1]", "@gone.json"])
def test_run_refuses_data_that_is_no_object_without_asking(
    jobs: Any, orchestrator: Orchestrator, data: str
) -> None:
    shown = jobs("run", "hello", "--data", data)
    assert shown.exit_code == 2
    assert shown.stderr.startswith("Error: --data")
    assert orchestrator.requests == []


@pytest.mark.parametrize(
    ("status", "code"), [("finished", 0), ("failed", 1), ("cancelled", 1), ("quarantined", 1)]
)
def test_waiting_exits_with_what_the_end_means(
    jobs: Any, orchestrator: Orchestrator, status: str, code: int
) -> None:
    orchestrator.answers("POST /api/hello", ACCEPTED, status=202)
    gathering = job("waiting_for_parallel_tasks", progress={"done": 1, "total": 4})
    orchestrator.answers("GET /api/v1/jobs/j1", job("pending"), gathering, job(status, result={"n": 1}))
    shown = jobs("run", "hello", "--wait")
    assert shown.exit_code == code
    assert f"status:    {status}" in shown.stdout
    assert '"n": 1' in shown.stdout
    assert "1 of 4" in shown.stderr


def test_waiting_with_json_prints_the_job_alone(jobs: Any, orchestrator: Orchestrator) -> None:
    over = job("failed", error={"code": "X", "message": "because"})
    orchestrator.answers("GET /api/v1/jobs/j1", job("pending"), over)
    shown = jobs("watch", "j1", "--json")
    assert shown.exit_code == 1
    assert json.loads(shown.stdout) == over


def test_watching_outlasts_a_restart(jobs: Any, orchestrator: Orchestrator) -> None:
    away = {"error": {"code": "unavailable", "message": "Later.", "request_id": "r"}}
    orchestrator.answers("GET /api/v1/jobs/j1", job("pending"), (503, away), job("finished"))
    shown = jobs("watch", "j1")
    assert shown.exit_code == 0
    assert "is away" in shown.stderr


def test_ls_shows_a_line_for_each_job_and_where_to_go_on(jobs: Any, orchestrator: Orchestrator) -> None:
    page = {"jobs": [job("finished"), job("waiting_for_worker")], "next": "cursor"}
    orchestrator.answers("GET /api/v1/jobs", page)
    shown = jobs("ls", "--status", "finished", "--blueprint", "hello", "--limit", "2")
    assert shown.exit_code == 0
    head, *lines = shown.stdout.splitlines()
    assert head.split() == ["JOB", "STATUS", "BLUEPRINT", "STATE", "PROGRESS", "AGE", "TOOK"]
    assert [line.split()[1] for line in lines] == ["finished", "waiting_for_worker"]
    assert "--after cursor" in shown.stderr
    assert orchestrator.requests[0][1] == "status=finished&blueprint=hello&limit=2"
    assert json.loads(jobs("ls", "--json").stdout) == page


def test_ls_says_when_there_is_nothing(jobs: Any, orchestrator: Orchestrator) -> None:
    orchestrator.answers("GET /api/v1/jobs", {"jobs": [], "next": None})
    assert jobs("ls").stdout == ""


def test_show_prints_the_error_of_a_job(jobs: Any, orchestrator: Orchestrator) -> None:
    orchestrator.answers("GET /api/v1/jobs/j1", job("failed", error={"code": "X", "message": "because"}))
    assert "error:     X: because" in jobs("show", "j1").stdout


def test_cancel_of_a_job_that_is_over_exits_with_2(jobs: Any, orchestrator: Orchestrator) -> None:
    orchestrator.refuses("POST /api/v1/jobs/j1/cancel", 409, "already_over")
    shown = jobs("cancel", "j1")
    assert (shown.exit_code, shown.stderr) == (2, "Error: already_over: No. (HTTP 409)\n")


def test_the_token_is_found_beside_the_orchestrator(
    jobs: Any, orchestrator: Orchestrator, tmp_path: Path
) -> None:
    orchestrator.answers("GET /api/v1/jobs", {"jobs": [], "next": None})
    tokens, _ = load_or_make(tmp_path / ".avtomatika", lambda: "made-by-the-test")
    assert jobs("ls", token=None).exit_code == 0
    assert orchestrator.requests[0][2]["X-Client-Token"] == tokens["client"]


def test_without_a_token_nothing_is_asked(jobs: Any, orchestrator: Orchestrator) -> None:
    shown = jobs("ls", token=None)
    assert shown.exit_code == 2
    assert "There is no token" in shown.stderr
    assert orchestrator.requests == []


def test_a_server_that_is_no_orchestrator_is_refused(jobs: Any, orchestrator: Orchestrator) -> None:
    orchestrator.answers("GET /api/v1/jobs", b"<html>")
    assert "does not answer like an orchestrator" in jobs("ls").stderr
    orchestrator.answers("GET /api/v1/jobs", b"<html>", status=502)
    assert jobs("ls").stderr == "Error: http_error: the server gave no reason (HTTP 502)\n"


def test_an_address_where_nobody_answers_exits_with_2(jobs: Any) -> None:
    shown = jobs("--url", "http://127.0.0.1:1", "ls")
    assert shown.exit_code == 2
    assert shown.stderr.startswith("Error: No orchestrator answers at http://127.0.0.1:1")


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://host", "http://"])
def test_an_address_that_is_no_url_is_refused(jobs: Any, url: str) -> None:
    assert "is not the http(s) URL" in jobs("--url", url, "ls").stderr


def test_the_address_may_name_the_prefix_of_the_api(jobs: Any, orchestrator: Orchestrator) -> None:
    orchestrator.answers("GET /other/v1/jobs", {"jobs": [], "next": None})
    assert jobs("--url", f"{orchestrator.url}/other", "ls").exit_code == 0
