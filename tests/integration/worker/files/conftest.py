"""A worker in a process of its own, with an S3 server in another."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from rxon.storage import ObjectStorage
from tests.integration.worker.conftest import Server
from tests.integration.worker.files.s3_servers import S3Server, moto, s3rver, second_implementation

WORKER = """
import asyncio
import shutil
from pathlib import Path
from avtomatika_worker import TaskFiles, Worker

worker = Worker(worker_type="files")

@worker.skill("copy")
async def copy(params, files: TaskFiles):
    target = Path(await files.path_to("copy"))
    source = Path(params["source"])
    await asyncio.to_thread(shutil.copytree if source.is_dir() else shutil.copyfile, source, target)
    return {"copy": str(target), "was": source.name}

@worker.skill("spoil")
async def spoil(params):
    with open(params["source"], "r+b") as file:
        before = file.read(4).decode()
        file.seek(0)
        file.write(b"evil")
    return {"before": before}

@worker.skill("apart", process=True)
def apart(params, files: TaskFiles):
    target = files.path_to_sync("copy")
    shutil.copyfile(params["source"], target)
    return {"copy": target}

if __name__ == "__main__":
    worker.run()
"""


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    pytest.importorskip("moto")
    with moto() as server:
        yield server


@pytest.fixture(scope="session")
def s3rver_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    program = second_implementation()
    if program is None:
        pytest.skip("s3rver is not installed: npm install s3rver")
    with s3rver(program, tmp_path_factory.mktemp("s3rver")) as server:
        yield server


@pytest.fixture(params=["moto_server", "s3rver_server"])
def s3(request: pytest.FixtureRequest) -> S3Server:
    server: S3Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def storage(s3: S3Server) -> ObjectStorage:
    return s3.storage()


Program = Callable[..., AbstractAsyncContextManager[Process]]


@pytest.fixture
def program(server: Server, tmp_path: Path) -> Program:
    """Runs the worker of these tests with what is given in its environment."""

    @asynccontextmanager
    async def run(limit: float = 60, **environ: str) -> AsyncIterator[Process]:
        (tmp_path / "app.py").write_text(WORKER)
        settings = {
            "WORKER_ID": "w1",
            "WORKER_TOKEN": "token",
            "ORCHESTRATOR_URL": server.url,
            "TASK_FILES_DIR": str(tmp_path / "payloads"),
            "WORKER_SPOOL_DIR": str(tmp_path / "spool"),
            "WORKER_BLOB_CACHE_DIR": str(tmp_path / "cache"),
            "WORKER_PORT": "0",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        env = {**os.environ, **settings, **environ}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "app.py", cwd=tmp_path, env=env, stdout=PIPE, stderr=PIPE
        )
        try:
            async with asyncio.timeout(limit):
                yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    return run


def peak_of(pid: int) -> int:
    """The most memory that the process ever had, in MiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) // 1024
