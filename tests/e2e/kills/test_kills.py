"""Processes are killed at any moment while work goes on; every job that was accepted ends once and right.

What may happen twice is the work of a task that was under way (G5). What may not: a job lost (G1), a move
made twice (G2), a result applied twice (G4), a job that ends twice or never (G13).
"""

import asyncio
import random
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from avtomatika.kernel.events import CancelRequested, Event, Submitted, TaskReported
from avtomatika.kernel.machine import replay
from avtomatika.stores.codec import decode_fact
from tests.e2e.conftest import Api, Launch, Program, free_port

JOBS, FANS, BRANCHES = 500, 50, 10
KILLS = 20
SUBMIT_SECONDS = 35.0
STUCK_AFTER = 60.0
TOKENS = {"CLIENT_TOKEN": "client-token-of-the-kills", "WORKER_TOKEN": "worker-token-of-the-kills"}
HERE = Path(__file__).parent


class Client:
    """Submits with keys and asks again for as long as it takes; what it was promised is in `accepted`."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url, self._session = url, session
        self.accepted: dict[str, str] = {}
        self.repeats = 0

    async def submit(self, path: str, key: str, body: dict[str, Any]) -> None:
        answer = await self._until_answered("POST", path, json=body, headers={"Idempotency-Key": key})
        self.accepted[key] = answer["job_id"]
        if (
            random.Random(key).random() < 0.1
        ):  # an answer that got lost: the same request must be the same job
            again = await self._until_answered("POST", path, json=body, headers={"Idempotency-Key": key})
            assert again["job_id"] == answer["job_id"]

    async def ended(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = {"status": "unknown"}
        while job["status"] not in ("finished", "failed", "cancelled", "quarantined"):
            job = await self._until_answered("GET", f"/api/v1/jobs/{job_id}?wait=10")
        return job

    async def _until_answered(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        while True:
            with suppress(aiohttp.ClientError, OSError, asyncio.TimeoutError):
                async with self._session.request(method, self._url + path, **options) as answer:
                    body: dict[str, Any] = await answer.json()
                    if answer.status < 300:
                        return body
                    assert answer.status == 503, body
            self.repeats += 1
            await asyncio.sleep(0.05)


@asynccontextmanager
async def client_of(port: int) -> AsyncIterator[Client]:
    headers = {"X-Client-Token": TOKENS["CLIENT_TOKEN"]}
    limit = aiohttp.ClientTimeout(total=20)
    connector = aiohttp.TCPConnector(limit=100)
    async with aiohttp.ClientSession(headers=headers, timeout=limit, connector=connector) as session:
        yield Client(f"http://127.0.0.1:{port}", session)


async def submit_all(client: Client) -> None:
    """Every job is accepted, spread over the time in which things are killed."""

    async def later(after: float, path: str, key: str, n: int) -> None:
        await asyncio.sleep(after)
        await client.submit(path, key, {"n": n})

    async with asyncio.TaskGroup() as group:
        for n in range(JOBS):
            group.create_task(later(SUBMIT_SECONDS * n / JOBS, "/api/v1/jobs/steps", f"job-{n}", n))
        for n in range(FANS):
            group.create_task(later(SUBMIT_SECONDS * n / FANS, "/api/v1/jobs/fan", f"fan-{n}", n))


async def kill_all_the_time(node: Program, workers: list[Program], ready: Callable[[], bool]) -> list[float]:
    """Workers and the orchestrator were killed in turns; how long the latter took to be back each time."""
    chance = random.Random(20)
    back: list[float] = []
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.2, 1.0))
        worker = chance.choice(workers)
        await asyncio.to_thread(worker.kill)
        worker.run()
        await asyncio.sleep(chance.uniform(0.2, 1.0))
        killed = time.monotonic()
        await asyncio.to_thread(node.kill)
        node.run()
        while not await asyncio.to_thread(ready):
            await asyncio.sleep(0.01)
        back.append(time.monotonic() - killed)
    return back


def facts_of(store: Path) -> dict[str, list[tuple[Event, int]]]:
    found: dict[str, list[tuple[Event, int]]] = {}
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        for job, body in database.execute("SELECT job, body FROM fact ORDER BY job, version"):
            fact = decode_fact(body)
            events = found.setdefault(job, [])
            assert fact.version == len(events) + 1, "the facts of a job have no gap"
            events.append((fact.event, fact.at))
        assert database.execute("SELECT count(*) FROM message").fetchone() == (0,), "nothing is left to do"
    return found


def check_history(events: list[tuple[Event, int]]) -> None:
    """One beginning, one end, and no task that reported twice."""
    assert isinstance(events[0][0], Submitted)
    assert not any(isinstance(event, Submitted | CancelRequested) for event, _ in events[1:])
    assert replay(events).over
    assert not replay(events[:-1]).over
    reports = Counter(event.task for event, _ in events if isinstance(event, TaskReported))
    assert set(reports.values()) <= {1}, reports


def check_result(key: str, job: dict[str, Any]) -> None:
    assert job["status"] == "finished", job
    if key.startswith("job"):
        assert job["result"] == {"value": 3, "applied": {"1": 1, "2": 1, "3": 1}}
    else:
        assert job["result"] == {"values": list(range(1, BRANCHES + 1)), "applied": {"gather": 1}}


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_every_accepted_job_ends_once_whatever_is_killed(launch: Launch, tmp_path: Path) -> None:
    port = free_port()
    shared = {"ORCHESTRATOR_URL": f"http://127.0.0.1:{port}", "WORKER_TOKEN": TOKENS["WORKER_TOKEN"]}
    store, effects = tmp_path / "jobs.db", tmp_path / "effects"
    node = launch(
        HERE / "orchestrator.py",
        API_PORT=str(port),
        STORAGE_URL=f"sqlite:///{store}",
        CLIENT_TOKEN=TOKENS["CLIENT_TOKEN"],
        GLOBAL_WORKER_TOKEN=TOKENS["WORKER_TOKEN"],
        TASK_LEASE_SECONDS="3",
        RUN_LEASE_SECONDS="3",
        MAX_DELIVERIES="40",
    )
    api = Api(port, TOKENS["CLIENT_TOKEN"])
    api.until_ready(node)
    pace = {"HEARTBEAT_INTERVAL": "1", "POLL_BACKOFF_INITIAL": "0.1", "POLL_BACKOFF_MAX": "0.5"}
    pace |= {"REGISTRATION_RETRY_INITIAL_DELAY": "0.1", "REGISTRATION_RETRY_MAX_DELAY": "0.5"}
    pace |= {"RESULT_RETRY_INITIAL_DELAY": "0.1", "RESULT_MAX_RETRIES": "50", "EFFECTS": str(effects)}
    workers = [
        launch(HERE / "worker.py", WORKER_ID=f"w{n}", WORKER_PORT=str(free_port()), **shared, **pace)
        for n in range(3)
    ]
    began = time.monotonic()
    async with client_of(port) as client:
        async with asyncio.TaskGroup() as group:
            group.create_task(submit_all(client))
            killing = group.create_task(kill_all_the_time(node, workers, api.ready))
        back = killing.result()
        submitted = time.monotonic()
        async with asyncio.timeout(STUCK_AFTER):
            jobs = dict(
                zip(
                    client.accepted,
                    await asyncio.gather(*(client.ended(job) for job in client.accepted.values())),
                    strict=True,
                )
            )
        ended = time.monotonic()
    for worker in workers:
        assert worker.end() == 0, worker.output
    assert node.end() == 0, node.output[-4_000:]

    for key, job in jobs.items():
        check_result(key, job)
    facts = facts_of(store)
    assert set(facts) == set(client.accepted.values())
    for events in facts.values():
        check_history(events)
    assert "Traceback" not in node.output, node.output[-8_000:]
    starts = Counter(tuple(line.split()[:2]) for line in effects.read_text().splitlines())
    tasks = JOBS * 3 + FANS * BRANCHES
    assert len(starts) == tasks
    print(
        f"\n{KILLS} kills of the orchestrator, {KILLS} of workers, in {submitted - began:.0f} s; "
        f"{len(jobs)} jobs, {tasks} tasks, {starts.total() - tasks} runs repeated, "
        f"{client.repeats} requests repeated; the orchestrator was back after "
        f"{sum(back) / len(back):.2f} s (at most {max(back):.2f}); "
        f"the last job ended {ended - submitted:.1f} s after the last kill or submission."
    )
