"""Promises of the page on guarantees that need processes to die."""

import json
import time
from pathlib import Path

from tests.docs.pages import Block
from tests.docs.session import DEADLINE, Session

DEADLY = """
import os
from avtomatika import ActionFactory, Blueprint

flow = Blueprint("flow", api_version="v1", api_endpoint="/flow")

@flow.handler(is_start=True)
async def start(deadly: bool, actions: ActionFactory) -> None:
    if deadly:
        os._exit(9)
    actions.go_to("done")

@flow.handler(is_end=True)
async def done() -> str:
    return "alive"
"""

SLOW = """
import asyncio, os
from avtomatika_worker import Worker

worker = Worker()

@worker.skill
async def work() -> dict[str, str]:
    if os.environ["WORKER_ID"] == "doomed":
        await asyncio.sleep(3_600)
    return {"by": os.environ["WORKER_ID"]}
"""

FLOW = """
from avtomatika import ActionFactory, Blueprint

flow = Blueprint("flow", api_version="v1", api_endpoint="/flow")

@flow.handler(is_start=True)
async def start(actions: ActionFactory) -> None:
    actions.dispatch_task("work", {}, {"success": "done"})

@flow.handler(is_end=True)
async def done(by: str) -> str:
    return by
"""

SERVE = "avtomatika serve flow.py"


def do(session: Session, *steps: tuple[str, str]) -> None:
    """The steps of a reader: what to do, and with which text."""
    session.follow(Block("console", text, "run", what, 0) for what, text in steps)


def job_of(session: Session, command: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(session.run(f"{command} --json"))
    return found


def test_a_handler_that_kills_its_process_is_put_aside_and_others_go_on(tmp_path: Path) -> None:
    with Session(tmp_path) as session:
        session.set(MAX_DELIVERIES="2")
        do(session, ("file flow.py", DEADLY), ("start orchestrator", SERVE))
        # The process may be dead before it has answered: the next start finds the job.
        session.run("avtomatika jobs run flow --data '{\"deadly\": true}' || true")
        deaths = 0
        deadline = time.monotonic() + 2 * DEADLINE
        while time.monotonic() < deadline:
            if session.ended("orchestrator", 1.0):
                deaths += 1
                session.launch("orchestrator", SERVE)
            elif session.listening():
                break
        job = job_of(session, "avtomatika jobs ls")["jobs"]
        assert isinstance(job, list)
        assert [(j["status"], j["error"]["code"]) for j in job] == [("quarantined", "HANDLER_ABANDONED")]
        assert deaths == 2
        done = job_of(session, "avtomatika jobs run flow --data '{\"deadly\": false}' --wait")
        assert done["result"] == "alive"


def test_the_task_of_a_worker_that_was_killed_is_done_by_another(tmp_path: Path) -> None:
    with Session(tmp_path) as session:
        session.set(TASK_LEASE_SECONDS="1")
        do(session, ("file flow.py", FLOW), ("file worker.py", SLOW), ("start orchestrator", SERVE))
        session.set(WORKER_TOKEN=session.tokens()["worker"], WORKER_ID="doomed")
        do(session, ("start doomed", "avtomatika-worker run worker:worker"))
        session.run("avtomatika jobs run flow")
        session.wait_for("doomed", "Registered")
        time.sleep(0.5)  # it polls at once; nothing says from outside that it has the task
        do(session, ("kill doomed", ""))
        session.set(WORKER_ID="heir")
        do(session, ("start heir", "avtomatika-worker run worker:worker"))
        (job,) = job_of(session, "avtomatika jobs ls")["jobs"]  # type: ignore[misc]  # a list of one
        assert job_of(session, f"avtomatika jobs watch {job['id']}")["result"] == "heir"
