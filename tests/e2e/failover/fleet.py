"""Orchestrators that share a store with replicas, and workers that work for all of them."""

import asyncio
import json
import urllib.request
from pathlib import Path
from typing import Any

from tests.e2e.conftest import Api, Launch
from tests.servers.process import free_port

NODES, WORKERS = 2, 3
KILLS = Path(__file__).parents[1] / "kills"
TOKENS = {"CLIENT_TOKEN": "client-token-of-failovers", "GLOBAL_WORKER_TOKEN": "worker-token-of-failovers"}
PACE = {
    "HEARTBEAT_INTERVAL": "1",
    "POLL_BACKOFF_INITIAL": "0.1",
    "POLL_BACKOFF_MAX": "0.5",
    "REGISTRATION_RETRY_INITIAL_DELAY": "0.1",
    "REGISTRATION_RETRY_MAX_DELAY": "0.5",
    "RESULT_RETRY_INITIAL_DELAY": "0.1",
    "RESULT_MAX_RETRIES": "1000",
    "MULTI_ORCHESTRATOR_MODE": "ROUND_ROBIN",
    "MAX_CONCURRENT_TASKS": "50",
}


class Fleet:
    """The processes, running; their program is that of the kills: three steps, or ten branches."""

    def __init__(self, launch: Launch, folder: Path, storage: dict[str, str]) -> None:
        ports = [free_port() for _ in range(NODES)]
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        self.nodes = [
            launch(
                KILLS / "orchestrator.py",
                WORKER_ID=f"n{number}",  # names the log
                INSTANCE_ID=f"n{number}",
                API_PORT=str(port),
                AVTOMATIKA_DATA_DIR=str(folder),
                TASK_LEASE_SECONDS="3",
                RUN_LEASE_SECONDS="3",
                MAX_DELIVERIES="100",
                **TOKENS,
                **storage,
            )
            for number, port in enumerate(ports)
        ]
        for node, port in zip(self.nodes, ports, strict=True):
            Api(port, TOKENS["CLIENT_TOKEN"]).until_ready(node)
        self.workers = [
            launch(
                KILLS / "worker.py",
                WORKER_ID=f"w{number}",
                WORKER_PORT=str(free_port()),
                WORKER_TOKEN=TOKENS["GLOBAL_WORKER_TOKEN"],
                WORKER_TRANSPORT="stream" if number % 2 else "poll",
                ORCHESTRATORS_CONFIG=json.dumps([{"url": url} for url in self.urls]),
                EFFECTS=str(folder / "effects"),
                **PACE,
            )
            for number in range(WORKERS)
        ]

    def durability(self) -> dict[str, Any]:
        """What the first node says that its store promises."""
        with urllib.request.urlopen(f"{self.urls[0]}/_public/status", timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())["durability"]
            return found

    async def end(self) -> None:
        """All have ended decently, and nobody has said anything that was not foreseen."""
        for program in (*self.workers, *self.nodes):
            code = await asyncio.to_thread(program.end)
            assert code == 0, program.output[-6_000:]
            assert "Traceback" not in program.output, program.output[-12_000:]
            assert "exception was never retrieved" not in program.output, program.output[-12_000:]
