"""Orchestrators of the benchmarks of scale: processes on one storage, and what they have done so far."""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import msgspec

from tests.perf.storages import Storage, cpu_of
from tests.servers.process import free_port

HERE = Path(__file__).parent
START_WITHIN = 120.0


class Processes:
    """Programs that run until `stop`, which asks them to end in order."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, program: Path, environment: Mapping[str, str]) -> None:
        """One more runs."""
        self._running.append(
            subprocess.Popen(
                [sys.executable, program], env={**os.environ, "LOG_LEVEL": "WARNING", **environment}
            )
        )

    @property
    def pids(self) -> Sequence[int]:
        """The processes, in the order of their start."""
        return [process.pid for process in self._running]

    def cpu(self) -> Sequence[float]:
        """The processor seconds that each of them has used."""
        return [cpu_of(pid) for pid in self.pids]

    def ended(self) -> bool:
        """True when one of them does not run any more."""
        return any(process.poll() is not None for process in self._running)

    def stop(self) -> None:
        """All have ended."""
        for process in self._running:
            process.send_signal(signal.SIGTERM)
        for process in self._running:
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Nodes:
    """So many orchestrators on one storage."""

    def __init__(self, storage: Storage, count: int, folder: Path, **settings: str) -> None:
        self.ports = [free_port() for _ in range(count)]
        self.urls = [f"http://127.0.0.1:{port}" for port in self.ports]
        self.client_token, self.worker_token = secrets.token_hex(16), secrets.token_hex(16)
        self.processes = Processes()
        for number, port in enumerate(self.ports):
            self.processes.start(
                HERE / "scale_orchestrator.py",
                {
                    **storage.environment,
                    "API_PORT": str(port),
                    "INSTANCE_ID": f"node-{number}",
                    "CLIENT_TOKEN": self.client_token,
                    "GLOBAL_WORKER_TOKEN": self.worker_token,
                    "AVTOMATIKA_DATA_DIR": str(folder),
                    "APPROVAL_SECRET": "approval-secret-of-the-benchmark",
                    "WEBHOOK_SECRET": "whsec_d2ViaG9vay1zZWNyZXQtb2YtYS10ZXN0",
                    **settings,
                },
            )

    @property
    def client_headers(self) -> Mapping[str, str]:
        """What a client shows."""
        return {"X-Client-Token": self.client_token}

    async def ready(self) -> float:
        """All take requests; the seconds that passed until then."""
        begun = time.monotonic()
        async with aiohttp.ClientSession() as session:
            for url in self.urls:
                while not await _is_ready(session, url):
                    if self.processes.ended():
                        raise SystemExit(f"{url} has ended before it was ready")
                    if time.monotonic() - begun > START_WITHIN:
                        raise SystemExit(f"{url} was not ready within {START_WITHIN:.0f} s")
                    await asyncio.sleep(0.01)
        return time.monotonic() - begun

    async def calls(self) -> Counter[str]:
        """How often each verb of the store was called by all of them so far."""
        found: Counter[str] = Counter()
        async with aiohttp.ClientSession() as session:
            for url in self.urls:
                async with session.get(f"{url}/calls") as answer:
                    found.update(msgspec.json.decode(await answer.read(), type=dict[str, int]))
        return found


@contextmanager
def nodes(storage: Storage, count: int, folder: Path, **settings: str) -> Iterator[Nodes]:
    """Orchestrators, stopped at the end."""
    running = Nodes(storage, count, folder, **settings)
    try:
        yield running
    finally:
        running.processes.stop()


@contextmanager
def processes() -> Iterator[Processes]:
    """None at first; all that were started are stopped at the end."""
    running = Processes()
    try:
        yield running
    finally:
        running.stop()


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/_public/ready") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
