"""The Containerfile of the page on packaging: what it runs works, laid out as the image would be.

No image is built, which would need a container engine and a network. The worker is installed into an
environment of its own; its dependencies are those of the tests.
"""

import json
import os
import re
import shlex
import signal
import site
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from avtomatika_worker import WorkerConfig
from avtomatika_worker.environment import Variable
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "how-to" / "packaging-a-worker.md"
DEADLINE = 20.0


class Image(NamedTuple):
    """What the instructions of the last stage leave behind, below a folder that stands for `/`."""

    root: Path
    env: Mapping[str, str]
    instructions: list[tuple[str, str]]

    def said(self, word: str) -> list[str]:
        """The rest of every instruction of that word."""
        return [rest for found, rest in self.instructions if found == word]

    def run(self, command: list[str], **env: str) -> "subprocess.CompletedProcess[str]":
        """The command has run in `/app`."""
        settings = {**self.env, **env}
        return subprocess.run(
            command,
            cwd=self.root / "app",
            env=settings,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def files() -> dict[str, str]:
    """The files that the page tells its readers to write."""
    found = (block for block in blocks(PAGE) if block.verb == "run")
    return {block.rest.removeprefix("file "): block.text for block in found if block.rest.startswith("file ")}


def stages(text: str) -> list[list[tuple[str, str]]]:
    """The instructions of each stage, as word and rest."""
    joined = re.sub(r"\\\n\s*", "", text)
    lines = (line.partition(" ") for line in joined.splitlines() if line.strip())
    found: list[list[tuple[str, str]]] = []
    for word, _, rest in lines:
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest.strip()))
    return found


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The last stage, with an environment in which the worker is installed, at `/venv`."""
    root = tmp_path_factory.mktemp("image")
    for folder in ("app", "payloads", "state"):
        (root / folder).mkdir()
    (root / "app" / "worker.py").write_text(files()["worker.py"], "utf-8")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / "venv"], check=True)
    install(root / "venv")
    last = stages(files()["Containerfile"])[-1]
    (given,) = [rest for word, rest in last if word == "ENV"]
    env = dict(part.split("=", 1) for part in shlex.split(given))
    paths = {"/venv/bin": f"{root}/venv/bin", "/payloads": f"{root}/payloads", "/state": f"{root}/state"}
    for name, value in env.items():
        for inside, outside in paths.items():
            value = re.sub(rf"(?<![\w/]){inside}(?![\w])", outside, value)
        env[name] = value
    return Image(root, env, last)


def install(venv: Path) -> None:
    """Our packages are there as pip would leave them; what they depend on is that of the tests."""
    (packages,) = venv.glob("lib/python*/site-packages")
    for name in ("rxon", "avtomatika-worker"):
        folder = name.replace("-", "_")
        source = ROOT / "packages" / name / "src" / folder
        (packages / folder).symlink_to(source, target_is_directory=True)
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n", "utf-8")
    program = venv / "bin" / "avtomatika-worker"
    start = "import sys\nfrom avtomatika_worker.cli import main\nsys.exit(main())\n"
    program.write_text(f"#!{venv}/bin/python\n{start}", "utf-8")
    program.chmod(0o755)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_every_instruction_is_one_and_commands_are_lists() -> None:
    known = {
        *("FROM", "RUN", "COPY", "WORKDIR", "USER", "ENV"),
        *("VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "CMD"),
    }
    build, last = stages(files()["Containerfile"])
    assert {word for word, _ in [*build, *last]} <= known
    assert isinstance(json.loads(dict(last)["CMD"]), list)
    assert isinstance(json.loads(dict(last)["HEALTHCHECK"].partition(" CMD ")[2]), list)
    assert json.loads(dict(last)["VOLUME"]) == ["/payloads", "/state"]


def test_everything_that_is_copied_is_on_the_page_or_built() -> None:
    copied = [
        rest.split() for stage in stages(files()["Containerfile"]) for word, rest in stage if word == "COPY"
    ]
    assert [parts[0] for parts in copied if not parts[0].startswith("--from=build")] == [
        "requirements.txt",
        "worker.py",
    ]
    assert set(files()) == {"Containerfile", "requirements.txt", "worker.py"}


def test_every_extra_of_the_requirements_exists() -> None:
    text = (ROOT / "packages/avtomatika-worker/pyproject.toml").read_text("utf-8")
    for extra in re.findall(r"avtomatika-worker\[([\w,]+)\]", PAGE.read_text("utf-8")):
        assert [name for name in extra.split(",") if f"\n{name} = [" not in text] == []


def test_every_variable_is_a_setting_and_the_port_its_default(image: Image) -> None:
    known = {name for name, found in vars(WorkerConfig).items() if isinstance(found, Variable)}
    assert set(image.env) - known == {"PATH"}
    assert image.said("EXPOSE") == [str(WorkerConfig({}).WORKER_PORT)]
    assert image.said("STOPSIGNAL") == ["SIGTERM"]


def test_a_container_is_given_more_time_than_the_worker_needs() -> None:
    (seconds,) = re.findall(r"--stop-timeout (\d+)", PAGE.read_text("utf-8"))
    (grace,) = re.findall(r"terminationGracePeriodSeconds: (\d+)", PAGE.read_text("utf-8"))
    assert min(int(seconds), int(grace)) >= WorkerConfig({}).WORKER_SHUTDOWN_TIMEOUT + 5


def test_the_check_while_building_passes(image: Image) -> None:
    check = image.said("RUN")[-1]
    assert "avtomatika-worker check" in check
    done = image.run(["bash", "-ec", check])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing is wrong." in done.stdout


def test_the_check_while_building_stops_what_is_broken(image: Image) -> None:
    check = image.said("RUN")[-1].replace("worker:worker", "broken:worker")
    (image.root / "app" / "broken.py").write_text("import nothing_there\n", "utf-8")
    assert image.run(["bash", "-ec", check]).returncode != 0


def test_the_command_serves_health_and_metrics_and_ends_well_on_the_signal(image: Image) -> None:
    port = free_port()
    env = {**image.env, "WORKER_ID": "words-1", "WORKER_TOKEN": "none", "WORKER_PORT": str(port)}
    env["ORCHESTRATOR_URL"] = f"http://127.0.0.1:{free_port()}"  # nobody is there yet
    command = json.loads(dict(image.instructions)["CMD"])
    check = dict(image.instructions)["HEALTHCHECK"].partition(" CMD ")[2].replace(":8083", f":{port}")
    log = image.root / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=image.root / "app", env=env, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + DEADLINE
        while image.run(json.loads(check)).returncode != 0:
            assert process.poll() is None, log.read_text("utf-8")
            assert time.monotonic() < deadline, "the worker never became healthy"
        metrics = f"import urllib.request as r; print(r.urlopen('http://127.0.0.1:{port}/metrics').read())"
        assert "worker_slots 10.0" in image.run(["python", "-c", metrics]).stdout
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(DEADLINE)
    assert code == 0
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert any("Cannot register" in line["message"] for line in lines)
    assert os.listdir(image.root / "state") == ["words-1"]
