"""S3 servers in processes of their own: moto, and s3rver where it is installed (`npm install s3rver`)."""

import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rxon.storage import ObjectStorage, StorageSettings

BUCKETS = ("inputs", "results")


class S3Server(NamedTuple):
    name: str
    endpoint: str
    access_key: str
    secret_key: str
    pid: int

    def settings(self) -> StorageSettings:
        return StorageSettings(
            endpoint=self.endpoint, access_key=self.access_key, secret_key=self.secret_key, bucket="results"
        )

    def storage(self) -> ObjectStorage:
        return ObjectStorage.s3(self.settings())

    def environ(self) -> dict[str, str]:
        return {
            "S3_ENDPOINT_URL": self.endpoint,
            "S3_ACCESS_KEY": self.access_key,
            "S3_SECRET_KEY": self.secret_key,
            "S3_DEFAULT_BUCKET": "results",
        }


def second_implementation() -> str | None:
    """The program s3rver, if there is one."""
    return os.environ.get("S3RVER") or shutil.which("s3rver")


@contextmanager
def moto() -> Generator[S3Server]:
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with _running(command, "Running on http://127.0.0.1:") as (port, pid):
        endpoint = f"http://127.0.0.1:{port}"
        for bucket in BUCKETS:
            made = urllib.request.Request(f"{endpoint}/{bucket}", method="PUT")
            urllib.request.urlopen(made).close()
        yield S3Server("moto", endpoint, "key", "secret", pid)


@contextmanager
def s3rver(program: str, folder: Path) -> Generator[S3Server]:
    command = [program, "-d", str(folder), "-a", "127.0.0.1", "-p", "0"]
    for bucket in BUCKETS:
        command += ["--configure-bucket", bucket]
    with _running(command, "S3rver listening on 127.0.0.1:") as (port, pid):
        yield S3Server("s3rver", f"http://127.0.0.1:{port}", "S3RVER", "S3RVER", pid)


@contextmanager
def _running(command: Sequence[str], sign: str) -> Generator[tuple[int, int]]:
    """The port that the process says it listens on after ``sign``, and its id."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said = iter(process.stdout.readline, "")
    found = next((match for line in said if (match := re.search(rf"{re.escape(sign)}(\d+)", line))), None)
    drain = threading.Thread(target=process.stdout.read, daemon=True)
    drain.start()
    try:
        assert found is not None, f"{command[0]} did not start"
        yield int(found[1]), process.pid
    finally:
        process.kill()
        process.wait()
        drain.join()
        process.stdout.close()
