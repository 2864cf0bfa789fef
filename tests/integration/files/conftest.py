"""Nodes whose files are in a folder, or in a real S3 server in a process of its own."""

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from avtomatika.commands import job_files
from avtomatika.kernel.time import Span
from rxon.storage import ObjectStorage, StorageSettings
from tests.e2e.conftest import free_port, until
from tests.integration.http.conftest import Start, start

__all__ = ["start"]

BUCKET = "avtomatika-payloads"


class S3:
    """A server that speaks S3."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.variables = {"S3_ENDPOINT_URL": self.url, "S3_ACCESS_KEY": "a", "S3_SECRET_KEY": "s"}

    @property
    def objects(self) -> ObjectStorage:
        """The same files, as a worker sees them."""
        return ObjectStorage.s3(StorageSettings(endpoint=self.url, access_key="a", secret_key="s"))

    def listening(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2])), 1):
                return True
        except OSError:
            return False


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """The server, with an empty bucket."""
    pytest.importorskip("moto.server")
    server = S3(free_port())
    port = server.url.rpartition(":")[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port],
        env=os.environ | {"MOTO_S3_CUSTOM_ENDPOINTS": server.url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(server.listening, "the S3 server never listened")
        create(server)
        yield server
    finally:
        process.kill()
        process.wait()


def create(server: S3) -> None:
    request = urllib.request.Request(f"{server.url}/{BUCKET}", method="PUT")
    with urllib.request.urlopen(request, timeout=30):
        pass


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'jobs.db'}"


@pytest.fixture(params=["folder", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStorage:
    """The files of the nodes of this test, as a worker sees them."""
    if request.param == "folder":
        return ObjectStorage.local(tmp_path / "files")
    server: S3 = request.getfixturevalue("s3")
    return server.objects


@pytest.fixture
def keeping(start: Start, objects: ObjectStorage, request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    """Starts nodes that keep files there."""
    of_s3 = "s3" in request.fixturenames and request.getfixturevalue("s3").variables
    return partial(start, TASK_FILES_DIR=tmp_path / "copies", **(of_s3 or {}))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes look soon whether files can go, and only for so long."""
    monkeypatch.setattr(job_files, "LOOK_AGAIN", Span(100))
    monkeypatch.setattr(job_files, "LATE", Span(200))
    monkeypatch.setattr(job_files, "DAY", Span(200))
