"""A hostile receiver, an orchestrator that is killed: every event arrives, signed, under one name (G9)."""

import asyncio
import hmac
import json
import random
import sqlite3
import time
from base64 import b64decode, b64encode
from collections import Counter
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from zlib import crc32

import pytest

from tests.e2e.conftest import Api, Launch, Program, free_port
from tests.e2e.kills.test_kills import TOKENS, Client, client_of
from tests.integration.webhooks.sinks import HERE, TAKEN, Received, sink, status, trap

EVENTS = 2_000
KILLS = 20
AT_ONCE = 50
STUCK_AFTER = 60.0
SECRET = "whsec_" + b64encode(b"a key of thirty-two bytes, nearly").decode()
PROGRAM = Path(__file__).with_name("orchestrator.py")


class HostileReceiver:
    """Treats the first attempts at most events badly, each event in a way of its own, then takes it."""

    def __init__(self, trap_port: int) -> None:
        self.attempts: Counter[str] = Counter()
        self.bodies: dict[str, set[bytes]] = {}
        self.taken: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.suffered: Counter[str] = Counter()
        self.all_taken = asyncio.Event()
        self._there = f"http://127.0.0.1:{trap_port}/"

    async def answer(self, received: Received, writer: asyncio.StreamWriter) -> None:
        name = received.headers["webhook-id"]
        if not is_signed(received):
            self.wrong.append(f"{name}: the signature")
        self.bodies.setdefault(name, set()).add(received.body)
        self.attempts[name] += 1
        plan = random.Random(crc32(name.encode()))
        ways = [plan.choice(WAYS) for _ in range(plan.choice((0, 1, 1, 2, 3)))]
        if self.attempts[name] <= len(ways):
            way = ways[self.attempts[name] - 1]
            self.suffered[way] += 1
            await self._mistreat(way, writer)
            return
        writer.write(TAKEN)
        await writer.drain()
        self.taken[name] += 1
        if len(self.taken) == EVENTS:
            self.all_taken.set()

    async def _mistreat(self, way: str, writer: asyncio.StreamWriter) -> None:
        match way:
            case "error":
                writer.write(status(500))
            case "busy":
                writer.write(status(503, "Retry-After: 0"))
            case "redirect":
                writer.write(status(307, f"Location: {self._there}"))
            case "reset":
                writer.transport.abort()
            case "hang":
                await asyncio.sleep(1)
            case "slow body":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
                for _ in range(10):
                    writer.write(b".")
                    await writer.drain()
                    await asyncio.sleep(0.1)
            case _:
                writer.write(b"nonsense\r\n\r\n")


WAYS = ("error", "busy", "redirect", "reset", "hang", "slow body", "nonsense")


def is_signed(received: Received) -> bool:
    """As any receiver checks it."""
    headers = received.headers
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + received.body
    key = b64decode(SECRET.removeprefix("whsec_"))
    expected = "v1," + b64encode(hmac.new(key, text, sha256).digest()).decode()
    fresh = abs(time.time() - int(headers["webhook-timestamp"])) < 60
    return fresh and hmac.compare_digest(expected, headers["webhook-signature"])


async def submit_all(client: Client, url: str) -> None:
    """Every job is accepted, a few at a time, for as long as the kills last and longer."""
    numbers = iter(range(EVENTS))

    async def some() -> None:
        for n in numbers:
            body = {"initial_data": {"n": n}, "webhook_url": url}
            await client.submit("/api/v1/jobs/news", f"event-{n}", body)
            await asyncio.sleep(0.5)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(some())


async def kill_all_the_time(node: Program, api: Api, store: Path) -> list[int]:
    """How many events were committed and not delivered at each of the kills."""
    chance = random.Random(9)
    left: list[int] = []
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.2, 0.8))
        await asyncio.to_thread(node.kill)
        left.append(waiting(store))
        node.run()
        while not await asyncio.to_thread(api.ready):
            await asyncio.sleep(0.02)
    return left


def waiting(store: Path) -> int:
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        (count,) = database.execute("SELECT count(*) FROM message WHERE id LIKE 'webhook:%'").fetchone()
        return int(count)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_every_event_arrives_signed_and_under_one_name_whoever_is_killed(
    launch: Launch, tmp_path: Path
) -> None:
    store, port = tmp_path / "jobs.db", free_port()
    api = Api(port, TOKENS["CLIENT_TOKEN"])
    began = time.monotonic()
    async with trap() as caught, client_of(port) as client:
        receiver = HostileReceiver(caught.port)
        async with sink(receiver.answer, backlog=1_000) as server:
            node = launch(PROGRAM, **environment(port, store))
            await asyncio.to_thread(api.until_ready, node)
            async with asyncio.TaskGroup() as group:
                group.create_task(submit_all(client, f"http://{HERE}:{server.port}/hook"))
                killing = group.create_task(kill_all_the_time(node, api, store))
            last = time.monotonic()
            async with asyncio.timeout(STUCK_AFTER):
                await receiver.all_taken.wait()
            arrived = time.monotonic()
            assert await asyncio.to_thread(node.end) == 0, node.output[-4_000:]

    check(receiver, client, node)
    assert caught.connections == 0, "no redirect was followed"
    left = killing.result()
    assert sum(count > 0 for count in left) >= KILLS / 2, f"too few kills between commit and delivery: {left}"
    assert waiting(store) == 0
    attempts = receiver.attempts.total()
    print(
        f"\n{EVENTS} events, {KILLS} kills in {last - began:.0f} s, with {min(left)} to {max(left)} events "
        f"committed and not delivered; {attempts} attempts, "
        f"mistreated: {dict(receiver.suffered)}; {receiver.taken.total() - EVENTS} taken more than once; "
        f"the last arrived {arrived - last:.1f} s after the last kill or submission."
    )


def environment(port: int, store: Path) -> dict[str, str]:
    return {
        "API_PORT": str(port),
        "STORAGE_URL": f"sqlite:///{store}",
        "CLIENT_TOKEN": TOKENS["CLIENT_TOKEN"],
        "GLOBAL_WORKER_TOKEN": TOKENS["WORKER_TOKEN"],
        "RUN_LEASE_SECONDS": "2",
        "MAX_DELIVERIES": "40",
        "WEBHOOK_SECRET": SECRET,
        "WEBHOOK_ALLOW_HTTP": "true",
        "WEBHOOK_ALLOWED_HOSTS": f"{HERE}/32",
        "WEBHOOK_TIMEOUT_SECONDS": "0.5",
        "WEBHOOK_BACKOFF_SECONDS": "0.1",
        "WEBHOOK_BACKOFF_MAX_SECONDS": "0.5",
        "WEBHOOK_MAX_TRIES": "1000",
    }


def check(receiver: HostileReceiver, client: Client, node: Program) -> None:
    assert receiver.wrong == []
    assert {len(bodies) for bodies in receiver.bodies.values()} == {1}, "an attempt says what the first said"
    told: dict[str, dict[str, object]] = {}
    for name, (body,) in receiver.bodies.items():
        news = json.loads(body)
        assert name == f"{news['job_id']}:{news['sequence']}:{news['event']}"
        assert news["job_id"] not in told, "one end of a job has one name"
        told[news["job_id"]] = news
    assert set(told) == set(client.accepted.values())
    for key, job_id in client.accepted.items():
        n, news = int(key.removeprefix("event-")), told[job_id]
        if n % 3 == 2:
            assert (news["event"], news["status"], news["result"]) == ("job_failed", "failed", None)
        else:
            assert (news["event"], news["status"], news["error"]) == ("job_finished", "finished", None)
            assert news["result"] == {"n": n}
    assert "Traceback" not in node.output, node.output[-8_000:]
