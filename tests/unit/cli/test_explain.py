"""`avtomatika explain`: what it asks, and what it says to a person."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from avtomatika.cli import avtomatika

from .conftest import TOKEN, Orchestrator

FOUND: dict[str, Any] = {
    "task_id": "j-2-0",
    "job_id": "j",
    "skill": "render",
    "strategy": "cheapest",
    "state": "queued",
    "workers": 3,
    "fit": 1,
    "saturated": 1,
    "parked": 0,
    "reasons": {"too_expensive": 1, "skill_not_offered": 2},
}
DETAIL = {
    "worker_id": "w1",
    "reasons": [],
    "load": 2,
    "reputation": 0.95,
    "cost": 0.5,
    "hot": True,
    "parked": False,
}


def explain(orchestrator: Orchestrator, *arguments: str) -> Result:
    given = ["explain", "--url", orchestrator.url, "--token", TOKEN, *arguments]
    return CliRunner().invoke(avtomatika, given)


def test_a_client_hears_how_many_lack_what(orchestrator: Orchestrator) -> None:
    orchestrator.answers("GET /api/v1/tasks/j-2-0/explain", FOUND)
    shown = explain(orchestrator, "j-2-0")
    assert (shown.exit_code, shown.output.splitlines()) == (
        0,
        [
            "j-2-0: render, cheapest, queued",
            "1 of 3 workers may have it: 1 saturated, 0 waiting for a task.",
            "  2 x skill_not_offered",
            "  1 x too_expensive",
        ],
    )


def test_an_operator_sees_who_is_meant(orchestrator: Orchestrator) -> None:
    named = FOUND | {"state": "taken", "taken_by": "w1", "details": [DETAIL]}
    orchestrator.answers("GET /api/v1/tasks/j-2-0/explain", named)
    lines = explain(orchestrator, "j-2-0").output.splitlines()
    assert lines[0] == "j-2-0: render, cheapest, taken by w1"
    assert lines[-1].split() == ["w1", "nothing", "2", "0.950", "0.5", "yes"]


def test_nobody_there_is_said_plainly(orchestrator: Orchestrator) -> None:
    orchestrator.answers("GET /api/v1/tasks/j-2-0/explain", FOUND | {"workers": 0, "fit": 0, "reasons": {}})
    assert explain(orchestrator, "j-2-0").output.splitlines()[1:] == ["No worker is present."]


@pytest.mark.parametrize("task", ["j-2-0", "a/b"])
def test_programs_get_what_the_server_said(orchestrator: Orchestrator, task: str) -> None:
    orchestrator.answers(f"GET /api/v1/tasks/{task.replace('/', '%2F')}/explain", FOUND)
    shown = explain(orchestrator, task, "--json")
    assert json.loads(shown.output) == FOUND


def test_a_task_that_is_not_there_is_one_line_and_a_code(orchestrator: Orchestrator) -> None:
    shown = explain(orchestrator, "none")
    assert (shown.exit_code, shown.stderr[:16]) == (2, "Error: not_found")
