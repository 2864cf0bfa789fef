"""Several orchestrators of one store are restarted one after the other while jobs go through them (H2, G17).

`ROLLS` says how many times all of them are restarted (once, unless it is set), `ROLL_RATE` how many jobs a
second come meanwhile. Half way the new program brings a second version of the blueprint. In the long run

    ROLLS=10 ROLL_RATE=100 python -m pytest -s tests/e2e/rolling

each store is behind a balancer too, and has clients that know all nodes.
"""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.conftest import Launch, Program
from tests.e2e.rolling.balancer import balancer
from tests.e2e.rolling.traffic import Client, Traffic, client_of
from tests.servers.process import free_port

ROLLS = int(os.environ.get("ROLLS", "1"))
RATE = float(os.environ.get("ROLL_RATE", "40"))
NODES, WORKERS = 3, 2
PAUSE = 0.5
BACK_WITHIN = 60.0
ENDED_WITHIN = 60.0
RETRYABLE = 0.001
"""The share of answers that may be a 503."""

TOKENS = {
    "CLIENT_TOKEN": "client-token-of-the-rolls",
    "GLOBAL_WORKER_TOKEN": "worker-token-of-the-rolls",
    "APPROVAL_SECRET": "approval-secret-of-the-rolls",
    "WEBHOOK_SECRET": "whsec_d2ViaG9vay1zZWNyZXQtb2YtYS10ZXN0",
}
HERE = Path(__file__).parent
KNOWN, BETWEEN = "clients that know all nodes", "a balancer"
WAYS = [("valkey", KNOWN), ("postgres", BETWEEN)]
if ROLLS > 1:
    WAYS += [("valkey", BETWEEN), ("postgres", KNOWN)]


class Fleet:
    """The orchestrators and where they are."""

    def __init__(self, launch: Launch, storage: dict[str, str]) -> None:
        self.ports = [free_port() for _ in range(NODES)]
        self.urls = [f"http://127.0.0.1:{port}" for port in self.ports]
        self.nodes: list[Program] = [
            launch(
                HERE / "orchestrator.py",
                API_PORT=str(port),
                INSTANCE_ID=f"n{number}",
                WORKER_ID=f"n{number}",  # names the log
                **TOKENS,
                **storage,
            )
            for number, port in enumerate(self.ports)
        ]
        self.stops: list[float] = []
        self.starts: list[float] = []

    async def ready(self, number: int) -> None:
        """The orchestrator takes requests."""
        deadline = time.monotonic() + BACK_WITHIN
        node = self.nodes[number]
        while not await self._answers(number):
            assert node.process is not None
            assert node.process.poll() is None, node.output[-4_000:]
            assert time.monotonic() < deadline, node.output[-4_000:]
            await asyncio.sleep(0.02)

    async def _answers(self, number: int) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[number])
        except OSError:
            return False
        writer.write(b"GET /_public/ready HTTP/1.0\r\n\r\n")
        line = await reader.readline()
        writer.close()
        return b" 200 " in line

    async def roll(self, program: int) -> None:
        """Every orchestrator in turn was asked to end, has ended, and runs this program."""
        for number, node in enumerate(self.nodes):
            begun = time.monotonic()
            code = await asyncio.to_thread(node.end)
            assert code == 0, node.output[-4_000:]
            gone = time.monotonic()
            node.environment["PROGRAM"] = str(program)
            node.run()
            await self.ready(number)
            self.stops.append(gone - begun)
            self.starts.append(time.monotonic() - gone)
            await asyncio.sleep(PAUSE)


@pytest.fixture
def storage(
    request: pytest.FixtureRequest, store: str, storage_prefix: str, tmp_path: Path
) -> dict[str, str]:
    """What tells an orchestrator which store it shares with the others."""
    url = request.getfixturevalue("valkey_url" if store == "valkey" else "postgres_uri")
    shared = {"STORAGE_URL": url, "STORAGE_PREFIX": storage_prefix, "AVTOMATIKA_DATA_DIR": str(tmp_path)}
    return {**shared, "DRAIN_NOTICE_SECONDS": "1"}


def start_workers(launch: Launch, urls: Sequence[str], effects: Path) -> list[Program]:
    """Workers that take work from all of these addresses."""
    pace = {"POLL_BACKOFF_INITIAL": "0.1", "POLL_BACKOFF_MAX": "0.5", "HEARTBEAT_INTERVAL": "2"}
    pace |= {"REGISTRATION_RETRY_INITIAL_DELAY": "0.1", "REGISTRATION_RETRY_MAX_DELAY": "0.5"}
    pace |= {"RESULT_RETRY_INITIAL_DELAY": "0.1", "RESULT_MAX_RETRIES": "100", "EFFECTS": str(effects)}
    homes = json.dumps([{"url": url} for url in urls])
    return [
        launch(
            HERE / "worker.py",
            WORKER_ID=f"w{n}",
            WORKER_PORT=str(free_port()),
            WORKER_TOKEN=TOKENS["GLOBAL_WORKER_TOKEN"],
            ORCHESTRATORS_CONFIG=homes,
            MULTI_ORCHESTRATOR_MODE="ROUND_ROBIN",
            MAX_CONCURRENT_TASKS="50",
            **pace,
        )
        for n in range(WORKERS)
    ]


async def under_traffic(fleet: Fleet, client: Client, run: str) -> tuple[float, float]:
    """All are rolled while jobs come; when the first and the last ran the second program."""
    traffic = Traffic(client, RATE, run)
    async with asyncio.timeout(ROLLS * NODES * BACK_WITHIN + ENDED_WITHIN):
        async with asyncio.TaskGroup() as group:
            going = group.create_task(traffic.run())
            await asyncio.sleep(PAUSE)
            for _ in range(ROLLS // 2):
                await fleet.roll(1)
            first = time.monotonic()
            for _ in range(ROLLS - ROLLS // 2):
                await fleet.roll(2)
            last = time.monotonic()
            await asyncio.sleep(PAUSE)
            traffic.stop()
            await going
    return first, last


def check_jobs(client: Client, first: float, last: float) -> Counter[str]:
    """Every job that was accepted finished, each of its steps once and on its version; how many on which."""
    assert set(client.ended) == set(client.accepted)
    wrong = {n: job for n, job in client.ended.items() if job["status"] != "finished"}
    assert not wrong, f"{len(wrong)}, such as {next(iter(wrong.values()))}"
    versions: Counter[str] = Counter()
    for n, job in client.ended.items():
        steps, editions = zip(*job["result"]["ran"], strict=True)
        assert job["result"]["n"] == n
        assert steps == ("first", "second", "done"), job
        assert len(set(editions)) == 1, job
        if client.accepted[n] < first:
            assert editions[0] == "1", job
        versions[editions[0]] += 1
    newest = [n for n, at in client.accepted.items() if at > last]
    assert newest
    assert all(client.ended[n]["result"]["ran"][0][1] == "2" for n in newest)
    return versions


def check_answers(client: Client) -> int:
    """No answer was worse than what a good client deals with; how many told it to ask again."""
    total = client.answers.total()
    refused = {status: count for status, count in client.answers.items() if status >= 300}
    assert set(refused) <= {503}, refused
    assert refused.get(503, 0) <= RETRYABLE * total, client.answers
    return refused.get(503, 0)


@pytest.mark.slow
@pytest.mark.timeout(180 + 90 * ROLLS)
@pytest.mark.parametrize(("store", "way"), WAYS)
async def test_nodes_are_restarted_in_turn_and_no_job_notices(
    launch: Launch, storage: dict[str, str], tmp_path: Path, way: str
) -> None:
    fleet, effects = Fleet(launch, storage), tmp_path / "effects"
    for number in range(NODES):
        await fleet.ready(number)
    async with balancer(fleet.ports) as middle:
        urls = fleet.urls if way == KNOWN else [f"http://127.0.0.1:{middle.port}"]
        workers = start_workers(launch, urls, effects)
        async with client_of(urls, TOKENS["CLIENT_TOKEN"]) as client:
            first, last = await under_traffic(fleet, client, storage["STORAGE_PREFIX"])
        for worker in workers:
            assert await asyncio.to_thread(worker.end) == 0, worker.output[-4_000:]
    for node in fleet.nodes:
        assert await asyncio.to_thread(node.end) == 0, node.output[-4_000:]
        assert "Traceback" not in node.output, node.output[-8_000:]

    versions = check_jobs(client, first, last)
    retryable = check_answers(client)
    took = client.seconds()
    starts = Counter(tuple(line.split()[:2]) for line in effects.read_text().splitlines())
    print(
        f"\n{storage['STORAGE_URL'].partition(':')[0]}, {way}: {ROLLS} x {NODES} restarts, "
        f"{len(client.ended)} jobs {dict(versions)}, none lost or failed; {client.answers.total()} answers, "
        f"{retryable} of 503, broken {dict(client.broken)}; longest gap without an end "
        f"{client.longest_gap():.2f} s; a job p50 {took[len(took) // 2]:.2f} s, "
        f"p99 {took[len(took) * 99 // 100]:.2f} s, at most {took[-1]:.2f} s; stop {max(fleet.stops):.2f} s, "
        f"start {max(fleet.starts):.2f} s at most; {starts.total() - len(starts)} tasks run twice"
    )
