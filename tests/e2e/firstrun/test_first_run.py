"""A folder with nothing in it and no configuration: what starts there is safe, and says how to go on."""

import re
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.conftest import Api, Launch, free_port

PROGRAM = Path(__file__).parent / "program.py"
TOKEN = re.compile(r"avt_(client|worker)_[A-Za-z0-9_-]{40,}")


def own_addresses() -> Iterator[str]:
    """Addresses of this machine that others could reach."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent: this only chooses the way out
        address = probe.getsockname()[0]
        if not address.startswith("127."):
            yield address


def test_the_first_run_makes_tokens_shows_them_once_and_keeps_them_safe(
    launch: Launch, tmp_path: Path
) -> None:
    port = free_port()
    program = launch(PROGRAM, API_PORT=str(port))
    Api(port, "").until_ready(program)
    tokens = {found[1]: found[0] for found in TOKEN.finditer(program.output)}
    assert set(tokens) == {"client", "worker"}
    assert tokens["client"] != tokens["worker"]
    assert f"http://127.0.0.1:{port}" in program.output

    secrets = tmp_path / ".avtomatika" / "secrets.toml"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert stat.S_IMODE(secrets.parent.stat().st_mode) == 0o700
    for token in tokens.values():
        assert token in secrets.read_text()

    client = Api(port, tokens["client"])
    job_id = client.create("/api/v1/jobs/hello", {})
    assert client.ended(job_id)["result"] == "hello"
    assert Api(port, "guessed-token-of-nobody").call("GET", "/api/v1/jobs")[0] == 401
    assert Api(port, tokens["worker"]).call("GET", "/api/v1/jobs")[0] == 401
    assert program.end() == 0

    before = program.output
    program.run()
    client.until_ready(program)
    assert client.ended(job_id)["result"] == "hello", "the job was kept in the folder"
    assert not TOKEN.search(program.output[len(before) :])
    assert "First run" not in program.output[len(before) :]
    assert program.end() == 0


def test_the_first_run_listens_on_this_machine_only(launch: Launch) -> None:
    port = free_port()
    program = launch(PROGRAM, API_PORT=str(port))
    Api(port, "").until_ready(program)
    for address in own_addresses():
        with pytest.raises(OSError, match="refused"), socket.create_connection((address, port), timeout=5):
            pass


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_an_address_that_others_can_reach_is_refused(launch: Launch, tmp_path: Path, host: str) -> None:
    program = launch(PROGRAM, API_PORT=str(free_port()), API_HOST=host)
    assert program.process is not None
    assert program.process.wait(30) != 0
    assert "API_HOST" in program.output
    assert "AVTOMATIKA_INSECURE_HTTP" in program.output
    assert not (tmp_path / ".avtomatika").exists()


def test_a_second_process_cannot_have_the_folder(launch: Launch) -> None:
    ports = free_port(), free_port()
    first = launch(PROGRAM, API_PORT=str(ports[0]))
    Api(ports[0], "").until_ready(first)
    second = launch(PROGRAM, API_PORT=str(ports[1]))
    assert second.process is not None
    assert second.process.wait(30) != 0
    assert "another process" in second.output.lower()
    assert first.process is not None
    assert first.process.poll() is None


def test_tokens_that_others_can_read_are_refused(launch: Launch, tmp_path: Path) -> None:
    port = free_port()
    program = launch(PROGRAM, API_PORT=str(port))
    Api(port, "").until_ready(program)
    assert program.end() == 0
    (tmp_path / ".avtomatika" / "secrets.toml").chmod(0o644)
    program.run()
    assert program.process is not None
    assert program.process.wait(30) != 0
    assert "can be read by others" in program.output


@pytest.mark.parametrize("token", ["changeme", "secure-worker-token", "short", "x" * 15])
def test_a_token_that_others_could_guess_is_refused(launch: Launch, token: str) -> None:
    program = launch(PROGRAM, API_PORT=str(free_port()), GLOBAL_WORKER_TOKEN=token, CLIENT_TOKEN=token)
    assert program.process is not None
    assert program.process.wait(30) != 0
    assert "GLOBAL_WORKER_TOKEN" in program.output
    assert "CLIENT_TOKEN" in program.output
    assert f"'{token}'" not in program.output
