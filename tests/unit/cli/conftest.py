"""A server that answers as an orchestrator would, and blueprints in files."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from avtomatika.cli import avtomatika

TOKEN = "a-token-of-the-tests"

BLUEPRINTS = """
from avtomatika import Blueprint

first = Blueprint("first", api_endpoint="/first")
second = Blueprint("second")
again = first

for blueprint in (first, second):
    @blueprint.handler(is_start=True, is_end=True)
    def only() -> None: ...
"""


class Orchestrator:
    """Canned answers by method and path, and the requests that came."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self._answers: dict[str, list[tuple[int, Any]]] = {}

    def answers(self, request: str, *bodies: Any, status: int = 200) -> None:
        """`request` ("GET /path") is answered with the bodies in turn, the last one for ever."""
        self._answers[request] = [body if isinstance(body, tuple) else (status, body) for body in bodies]

    def refuses(self, request: str, status: int, code: str) -> None:
        """`request` is answered with an error."""
        body = {"error": {"code": code, "message": "No.", "request_id": "r"}}
        self.answers(request, body, status=status)

    def answer(self, request: str) -> tuple[int, Any]:
        """What `request` is answered with."""
        found = self._answers.get(request)
        if not found:
            return 404, {"error": {"code": "not_found", "message": "Not Found", "request_id": "r"}}
        return found.pop(0) if len(found) > 1 else found[0]


@pytest.fixture
def orchestrator() -> Iterator[Orchestrator]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path, _, query = self.path.partition("?")
            known.requests.append((f"{self.command} {path}", query, dict(self.headers), body))
            status, value = known.answer(f"{self.command} {path}")
            content = json.dumps(value).encode() if not isinstance(value, bytes) else value
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known = Orchestrator(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield known
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def jobs(orchestrator: Orchestrator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """`avtomatika jobs` with the arguments, against the orchestrator, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLIENT_TOKEN", raising=False)

    def call(*arguments: str, token: str | None = TOKEN) -> Result:
        given = ["jobs", "--url", orchestrator.url, *(["--token", token] if token else []), *arguments]
        return CliRunner().invoke(avtomatika, given)

    return call


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with `blueprints.py`; what is imported from there is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    before = set(sys.modules)
    (tmp_path / "blueprints.py").write_text(BLUEPRINTS)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def job(status: str, **more: Any) -> dict[str, Any]:
    """A job as the API shows it."""
    return {
        "id": "j1",
        "job_id": "j1",
        "status": status,
        "blueprint_name": "hello",
        "current_state": "greet",
        "created_at": 1_000,
        "updated_at": 4_500,
        "version": 2,
        **more,
    }
