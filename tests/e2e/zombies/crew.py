"""The processes of a run, somebody who wakes those that stand still, and clients that ask whoever answers."""

import asyncio
import itertools
import json
import random
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from tests.e2e.conftest import Api, Launch, Program
from tests.servers.process import free_port

NODES, WORKERS = 3, 6
LEASE = 1.5
PAUSE = 1.4, 2.0
"""How long somebody stands still, in leases."""

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[3]
OPERATOR = "operator-token-of-zombies"
TOKENS = {
    "CLIENT_TOKEN": "client-token-of-zombies",
    "GLOBAL_WORKER_TOKEN": "worker-token-of-zombies",
    "OPERATOR_TOKEN": OPERATOR,
}
PACE = {
    "HEARTBEAT_INTERVAL": "0.5",
    "POLL_BACKOFF_INITIAL": "0.1",
    "POLL_BACKOFF_MAX": "0.3",
    "REGISTRATION_RETRY_INITIAL_DELAY": "0.1",
    "REGISTRATION_RETRY_MAX_DELAY": "0.5",
    "RESULT_RETRY_INITIAL_DELAY": "0.1",
    "RESULT_MAX_RETRIES": "1000",
    "MULTI_ORCHESTRATOR_MODE": "ROUND_ROBIN",
    "MAX_CONCURRENT_TASKS": "3",
}
OVER = ("finished", "failed", "cancelled", "quarantined")
LOOK = 0.02


class Crew:
    """Orchestrators of one store and their workers, running."""

    def __init__(self, launch: Launch, folder: Path, storage: dict[str, str]) -> None:
        self._chance = random.Random(10)
        noted = {"NOTES": str(folder), "PYTHONPATH": str(ROOT)}
        ports = [free_port() for _ in range(NODES)]
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        self.nodes = [
            launch(
                HERE / "orchestrator.py",
                WORKER_ID=f"n{number}",  # names the log
                NOTED_BY=f"n{number}",
                INSTANCE_ID=f"n{number}",
                API_PORT=str(port),
                AVTOMATIKA_DATA_DIR=str(folder),
                TASK_LEASE_SECONDS=f"{LEASE:g}",
                RUN_LEASE_SECONDS=f"{LEASE:g}",
                MAX_DELIVERIES="1000",
                **TOKENS,
                **storage,
                **noted,
            )
            for number, port in enumerate(ports)
        ]
        for node, port in zip(self.nodes, ports, strict=True):
            Api(port, TOKENS["CLIENT_TOKEN"]).until_ready(node)
        homes = json.dumps([{"url": url} for url in self.urls])
        self.workers = [
            launch(
                HERE / "worker.py",
                WORKER_ID=f"w{number}",
                NOTED_BY=f"w{number}",
                WORKER_PORT=str(free_port()),
                WORKER_TOKEN=TOKENS["GLOBAL_WORKER_TOKEN"],
                WORKER_TRANSPORT="stream" if number % 2 else "poll",
                ORCHESTRATORS_CONFIG=homes,
                **PACE,
                **noted,
            )
            for number in range(WORKERS)
        ]

    async def wake(self) -> None:
        """Whoever stands still goes on after longer than a lease, until this is cancelled."""
        until: dict[int, float] = {}
        while True:
            for program in (*self.nodes, *self.workers):
                assert program.process is not None
                pid, now = program.process.pid, time.monotonic()
                if psutil.Process(pid).status() != psutil.STATUS_STOPPED:
                    until.pop(pid, None)
                elif now >= until.setdefault(pid, now + LEASE * self._chance.uniform(*PAUSE)):
                    program.process.send_signal(signal.SIGCONT)
            await asyncio.sleep(LOOK)

    async def stop_somebody(self) -> None:
        """A node stood still, wherever it was, and goes on."""
        node: Program = self._chance.choice(self.nodes)
        assert node.process is not None
        node.process.send_signal(signal.SIGSTOP)
        process = psutil.Process(node.process.pid)
        while process.status() == psutil.STATUS_STOPPED:
            await asyncio.sleep(LOOK)

    async def end(self) -> None:
        """All have ended decently, and nobody has said anything that was not foreseen."""
        for program in (*self.workers, *self.nodes):
            code = await asyncio.to_thread(program.end)
            assert code == 0, program.output[-6_000:]
            assert "Traceback" not in program.output, program.output[-12_000:]


class Clients:
    """Ask one node after the other until one answers; some stand still."""

    def __init__(self, urls: Sequence[str], session: aiohttp.ClientSession) -> None:
        self._urls, self._session = itertools.cycle(urls), session

    async def job(self, key: str, stop: str) -> dict[str, Any]:
        """A job that somebody stands still for has ended."""
        body = {"key": key, "stop": stop}
        made = await self._ask("POST", "/api/v1/jobs/zombie", json=body, headers={"Idempotency-Key": key})
        view: dict[str, Any] = {"status": "unknown"}
        while view["status"] not in OVER:
            view = await self._ask("GET", f"/api/v1/jobs/{made['job_id']}?wait=1")
        return view

    async def facts(self, job: str) -> list[dict[str, Any]]:
        """The history of the job."""
        found = await self._ask("GET", f"/api/v1/jobs/{job}/history", headers={"X-Client-Token": OPERATOR})
        facts: list[dict[str, Any]] = found["events"]
        return facts

    async def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        while True:
            with suppress(aiohttp.ClientError, OSError, asyncio.TimeoutError):
                async with self._session.request(method, next(self._urls) + path, **options) as answer:
                    body: dict[str, Any] = await answer.json()
                    if answer.status < 300:
                        return body
                    assert answer.status == 503, (answer.status, body)
            await asyncio.sleep(0.05)
