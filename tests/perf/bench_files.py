"""How much memory and time a worker needs for a file of some GiB, from an S3 server and back to it.

    python -m tests.perf.bench_files [--mebibytes 2048] [--server s3rver|moto]

The worker is a process of its own; its peak is VmHWM, the whole process. s3rver keeps files on the disk
(`npm install s3rver`, then on PATH or in $S3RVER); moto needs about five times the size in memory.
"""

import argparse
import asyncio
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from pathlib import Path

from rxon.attachments import parse_uri
from rxon.testing.gateway import MemoryGateway
from tests.integration.worker.conftest import Server
from tests.integration.worker.files.conftest import WORKER, peak_of
from tests.integration.worker.files.s3_servers import S3Server, moto, s3rver, second_implementation

MEBIBYTE = 1 << 20


async def measure(s3: S3Server, mebibytes: int, folder: Path) -> None:
    piece = random.Random(1).randbytes(MEBIBYTE)

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(mebibytes):
            yield number.to_bytes(8) + piece[8:]

    began = time.monotonic()
    said = await s3.storage().upload_stream(pieces(), parse_uri("s3://inputs/big"))
    print(f"{s3.name}: {mebibytes} MiB are in the storage after {time.monotonic() - began:.1f} s")
    gateway = MemoryGateway(lease_seconds=None)
    server = Server(gateway)
    await server.start()
    (folder / "app.py").write_text(WORKER)
    environ = {
        "WORKER_ID": "w1",
        "WORKER_TOKEN": "token",
        "ORCHESTRATOR_URL": server.url,
        "TASK_FILES_DIR": str(folder / "payloads"),
        "WORKER_SPOOL_DIR": str(folder / "spool"),
        "WORKER_BLOB_CACHE_DIR": str(folder / "cache"),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "app.py", cwd=folder, env={**os.environ, **environ, **s3.environ()}
    )
    try:
        await gateway.seen(lambda: bool(gateway.polls))
        print(f"the worker waits with {peak_of(process.pid)} MiB")
        for how in ("fetched", "from the cache"):
            began = time.monotonic()
            task = await gateway.offer("copy", {"source": said.uri}, params_metadata={"source": said})
            result = await gateway.result_of(task)
            assert result.error is None, result.error
            assert result.data_metadata is not None
            assert result.data_metadata["copy"].metadata == said.metadata
            took = time.monotonic() - began
            print(f"{how}, copied by the handler, stored: {took:.1f} s, peak {peak_of(process.pid)} MiB")
            used = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{s3.pid}/status").read_text())
            print(f"the S3 server has {int(used[1]) // 1024 if used else 0} MiB")
        progress = [event for event in gateway.events if event.event_type == "progress"]
        print(f"{len(progress)} events told the progress")
    finally:
        process.terminate()
        await process.wait()
        await server.stop()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--mebibytes", type=int, default=2048)
    arguments.add_argument("--server", choices=("s3rver", "moto"), default=None)
    chosen = arguments.parse_args()
    program = second_implementation()
    with tempfile.TemporaryDirectory() as name:
        (folder := Path(name, "worker")).mkdir()
        running: AbstractContextManager[S3Server]
        if chosen.server == "moto" or program is None:
            running = moto()
        else:
            running = s3rver(program, Path(name, "s3rver"))
        with running as s3:
            asyncio.run(measure(s3, chosen.mebibytes, folder))


if __name__ == "__main__":
    main()
