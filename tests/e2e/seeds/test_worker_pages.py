"""What the pages of the worker show works, with real workers and a real orchestrator.

Which block is shown by which test is listed in docs/reference/seeds.md.
"""

import asyncio
import json
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rxon.attachments import parse_uri
from tests.e2e.conftest import Program, until
from tests.e2e.seeds.conftest import Node, Start
from tests.integration.worker.files.s3_servers import S3Server, moto

ROOT = Path(__file__).parents[3]


def test_the_extras_that_the_pages_install_are_there() -> None:
    project = tomllib.loads((ROOT / "packages/avtomatika-worker/pyproject.toml").read_text("utf-8"))[
        "project"
    ]
    assert {"dev", "pydantic", "s3", "test"} <= set(project["optional-dependencies"])


def health(program: Program, path: str = "/health") -> Any:
    port = program.environment["WORKER_PORT"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        assert answer.status == 200
        return json.loads(answer.read())


def until_gone(folder: Path) -> None:
    until(lambda: not folder.exists(), f"{folder} is still there")


def test_parameters_and_results_are_what_the_pages_say(node: Node, start: Start) -> None:
    program = start("sizes", ORCHESTRATORS_CONFIG="[this is no JSON")  # it goes by ORCHESTRATOR_URL then

    job = node.api.ended(node.begun("resize_dict", {"width": 3, "height": 4}, priority=7))
    given = job["result"]
    assert (given["width"], given["height"], given["job_id"]) == (3, 4, job["id"])
    assert (given["priority"], type(given["priority"])) == (7, int)
    assert given["task_id"].startswith(job["id"])
    assert node.result("nothing") == {}
    assert health(program)["registered"] == [node.api.url]
    assert health(program, "/ready")["status"] == "ok"

    assert node.result("resize_dataclass", {"width": 3, "height": 4}) == {"said": "to 3x4"}
    for params, message in (
        ({"width": 0, "height": 4}, "Width and height must be positive."),
        ({"width": "wide", "height": 4}, "Expected `int`, got `str` - at `$.width`"),
        ({"width": 3}, "Missing required parameter: height"),
    ):
        assert node.error("resize_dataclass", params) == ("failed", "INVALID_INPUT_ERROR", message)
    missing = node.over("resize_dataclass", {"width": 3})["error"]
    assert missing["details"] == {"field": "height"}

    source = {"width": "3", "height": 4, "source_url": "http://a"}
    assert node.result("resize_pydantic", source) == {"said": "http://a to 3x4"}
    for change, field, reason in (
        ({"width": 0}, "width", "Input should be greater than 0"),
        ({"source_url": None}, "source_url", "Input should be a valid string"),
    ):
        error = node.over("resize_pydantic", source | change)["error"]
        assert (error["code"], error["details"]) == ("INVALID_INPUT_ERROR", {"field": field})
        assert error["message"].startswith(f"1 validation error for Source\n{field}\n  {reason}")

    assert node.result("succeed") == {"output": "some_value"}
    doubted = node.over("doubt", ways={"needs_manual_review": "reviewed"})
    assert doubted["result"] == "a person looked at it, because of: Low confidence score"
    for skill, code, message, tries in (
        ("fail_for_now", "TRANSIENT_ERROR", "External API timeout", 3),
        ("fail_for_good", "PERMANENT_ERROR", "Corrupted input file", 1),
    ):
        job = node.over(skill)
        assert (job["status"], job["error"]["code"], job["error"]["message"]) == (
            "quarantined",
            code,
            message,
        )
        assert program.output.count(f"tried {job['id']}") == tries
    assert node.over("fail_for_good", ways={"failure": "given_up"})["result"] == "it went another way"


def test_one_video_and_four_recordings_are_worked_on_at_once_and_ten_tasks_in_all(
    node: Node, start: Start
) -> None:
    program = start("media")

    def begun(kind: str, number: int) -> None:
        until(lambda: program.output.count(f"began {kind}") == number, program.output)

    jobs = [node.begun(skill) for skill in ("upscale_video", "blur_video_faces", *["transcribe_audio"] * 6)]
    begun("video", 1)
    begun("audio", 4)
    jobs += [node.begun("generate_report") for _ in range(8)]
    begun("report", 5)
    assert health(program)["running_tasks"] == 10
    assert node.tell("media", "go_on") == "sent"
    results = [node.api.ended(job)["result"] for job in jobs]
    assert {most["all"] for most in results} == {10}
    assert {most["video"] for most in results} == {1}
    assert {most["audio"] for most in results} == {4}
    begun("video", 2)
    begun("audio", 6)
    begun("report", 8)


def test_a_skill_is_hot_once_the_last_of_its_models_is_loaded(node: Node, start: Start) -> None:
    start("models")

    def until_hot(*skills: str) -> None:
        until(lambda: node.hot("models") == list(skills), "never hot: ", lambda: str(skills))

    assert node.result("image_generation") == {"by": "image_generation"}  # added by middleware
    assert node.hot("models") == []
    node.result("image_generation", {"load": ["stable_diffusion_v1.5"]})
    node.result("upscale")
    until_hot("upscale")  # and the heartbeat that said so knew of one model of the other
    node.result("image_generation", {"load": ["vae-ft-mse"]})
    until_hot("image_generation", "upscale")
    node.result("image_generation", {"drop": ["stable_diffusion_v1.5"]})
    until_hot("upscale")


def test_a_command_of_an_operator_is_heard_over_the_websocket_at_once(node: Node, start: Start) -> None:
    program = start("hello", WORKER_ENABLE_WEBSOCKETS="true", HEARTBEAT_INTERVAL="60")
    assert node.result("hello_world", {"name": "Ann"}) == {"message": "Hello, Ann!"}
    assert node.result("hello_world") == {"message": "Hello, World!"}
    assert node.tell("hello", "reboot") == "sent"
    program.says("rebooting")
    assert program.end() == 0


def test_the_files_of_a_task_are_its_own_and_gone_after_it(node: Node, start: Start, tmp_path: Path) -> None:
    program = start("papers")
    for _ in range(2):
        said = node.result("generate_report")
        assert said["before"] == []
        assert said["content"] == '{"status": "ok"}'
        assert said["found"] == {"data.json": True, "report.pdf": False, "input.jpg": False}
        assert said["listed"] == ["data.json", "notes"]
        folder = Path(said["report"]).parent
        assert (Path(said["report"]).name, folder.parent) == ("report.pdf", tmp_path / "payloads")
        until_gone(folder)
    assert program.end() == 0


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    pytest.importorskip("moto")
    with moto() as server:
        yield server


def test_files_and_folders_come_from_an_s3_and_go_there(
    node: Node, start: Start, s3: S3Server, tmp_path: Path
) -> None:
    storage = s3.storage()

    async def stored(contents: dict[str, bytes]) -> None:
        for uri, content in contents.items():
            (tmp_path / "source").write_bytes(content)
            await storage.upload(tmp_path / "source", parse_uri(uri))

    async def found(uri: str) -> bytes:
        return b"".join([piece async for piece in storage.stream(parse_uri(uri))])

    folder = {"s3://inputs/data/a.txt": b"a", "s3://inputs/data/deep/b.txt": b"b"}
    asyncio.run(stored({"s3://inputs/photo.jpg": b"a photo", **folder}))
    start("papers", **s3.environ())

    job = node.over("process_image", {"input_image": "s3://inputs/photo.jpg"})
    uri = job["result"]["output_image"]
    assert job["result"]["input_name"] == "photo.jpg"
    assert uri.startswith(f"s3://results/jobs/{job['id']}/")
    assert uri.endswith("/processed.png")
    assert asyncio.run(found(uri)) == b"A PHOTO"

    outputs = node.result("process_folder", {"inputs": "s3://inputs/data/"})["outputs"]
    assert outputs.endswith("/processed/")
    assert asyncio.run(found(outputs + "a.txt")) == b"A"
    assert asyncio.run(found(outputs + "deep/b.txt")) == b"B"
    until(lambda: not any((tmp_path / "payloads").iterdir()), "files of tasks are still there")
