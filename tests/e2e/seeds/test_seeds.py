"""What the published pages show works with ours, under the names and headers that they give."""

import signal
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.conftest import Api, Launch, Program, free_port, until

HERE = Path(__file__).parent
CLIENT_TOKEN = "a-client-token-of-the-seeds"
WORKER_TOKEN = "a-worker-token-of-the-seeds"
GENERATIONS = {"orchestrator_1_0b4": "X-Avtomatika-Token", "orchestrator_1_0b21": "X-Client-Token"}


@pytest.fixture(params=GENERATIONS)
def node(request: pytest.FixtureRequest, launch: Launch) -> tuple[Program, Api]:
    """A running orchestrator of either page, and a client that uses the header which that page names."""
    port = free_port()
    program = launch(HERE / f"{request.param}.py", API_PORT=str(port))
    api = Api(port, CLIENT_TOKEN, GENERATIONS[request.param])
    api.until_ready(program)
    return program, api


def worker(launch: Launch, file: str, api: Api, port: int) -> Program:
    environment = {"ORCHESTRATOR_URL": api.url, "WHERE_IT_IS": api.url, "WORKER_TOKEN": WORKER_TOKEN}
    return launch(HERE / file, WORKER_ID=f"{file[:-3]}-1", WORKER_PORT=str(port), **environment)


def test_the_quick_start_runs_a_job_to_its_end(node: tuple[Program, Api]) -> None:
    program, api = node
    job_id = api.create("/api/v1/jobs/first", {"video": "a.mp4"})
    job = api.ended(job_id)
    assert (job["status"], job["current_state"]) == ("finished", "end")
    program.says(f"{job_id} begins with {{'video': 'a.mp4'}}")
    program.says(f"{job_id} is over")


def test_the_quick_start_is_stopped_by_ctrl_c(node: tuple[Program, Api]) -> None:
    program, _ = node
    assert program.end(signal.SIGINT) == 0
    program.says("stopping")
    assert "Traceback" not in program.output


def test_a_token_under_the_wrong_name_of_a_header_is_none(node: tuple[Program, Api]) -> None:
    _, api = node
    stranger = Api(int(api.url.rpartition(":")[2]), CLIENT_TOKEN, "X-Worker-Token")
    assert stranger.call("POST", "/api/v1/jobs/first", {})[0] == 401


@pytest.mark.parametrize("file", ["resize_by_environment.py", "resize_by_code.py"])
def test_a_picture_is_resized_by_the_worker_of_the_page(
    node: tuple[Program, Api], launch: Launch, file: str
) -> None:
    _, api = node
    port = free_port()
    program = worker(launch, file, api, port)
    job = api.ended(api.create("/api/v1/jobs/pictures", {"filename": "cat.png"}))
    assert (job["status"], job["result"]) == ("finished", {"published": "small/cat.png"})
    assert job["state_history"]["resized_path"] == "small/cat.png"
    assert f"of {job['id']}: {{'filename': 'cat.png'}}" in program.says(job["id"])
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
        assert answer.status == 200
    assert program.end() == 0


def test_a_greeting_is_said_by_the_worker_of_the_page(node: tuple[Program, Api], launch: Launch) -> None:
    _, api = node
    program = worker(launch, "hello.py", api, free_port())
    job = api.ended(api.create("/api/v1/jobs/greetings", {"names": ["Ann", "Bob"]}))
    assert (job["status"], job["result"]) == (
        "finished",
        [{"message": "Hello, Ann!"}, {"message": "Hello, Bob!"}],
    )
    assert program.end() == 0


def test_a_worker_may_start_before_its_orchestrator(launch: Launch, tmp_path: Path) -> None:
    port = free_port()
    api = Api(port, CLIENT_TOKEN)
    program = worker(launch, "hello.py", api, free_port())
    until(lambda: "Cannot register" in program.output, "it never tried:\n", lambda: program.output)
    node = launch(HERE / "orchestrator_1_0b21.py", API_PORT=str(port))
    api.until_ready(node)
    job = api.ended(api.create("/api/v1/jobs/greetings", {"names": ["World"]}))
    assert job["result"] == [{"message": "Hello, World!"}]
