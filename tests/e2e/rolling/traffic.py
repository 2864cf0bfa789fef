"""A good client: it has a key for every job, and asks the next node when one is away."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

OVER = ("finished", "failed", "cancelled", "quarantined")
AGAIN_AFTER = 0.02
LONG_EVERY, LONG_SECONDS = 10, 2.0
"""Every tenth job has a task that takes longer than a node needs to be back."""


class Client:
    """What it was promised is in `accepted`, with the moment; what came of it in `ended`."""

    def __init__(self, urls: Sequence[str], session: aiohttp.ClientSession) -> None:
        self._urls, self._session = itertools.cycle(urls), session
        self.accepted: dict[int, float] = {}
        self.ended: dict[int, dict[str, Any]] = {}
        self.ends: dict[int, float] = {}
        self.answers: Counter[int] = Counter()
        self.broken: Counter[str] = Counter()

    async def job(self, n: int, run: str) -> None:
        """One job from the request to its end, however often that has to be asked for."""
        body = {"n": n, "seconds": LONG_SECONDS if n % LONG_EVERY == 0 else 0.0}
        headers = {"Idempotency-Key": f"{run}-{n}"}
        job = (await self._ask("POST", "/api/v1/jobs/rolled", json=body, headers=headers))["job_id"]
        self.accepted[n] = time.monotonic()
        view: dict[str, Any] = {"status": "unknown"}
        while view["status"] not in OVER:
            view = await self._ask("GET", f"/api/v1/jobs/{job}", params={"wait": "10"})
        self.ends[n] = time.monotonic()
        self.ended[n] = view

    async def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        while True:
            try:
                async with self._session.request(method, next(self._urls) + path, **options) as answer:
                    body: dict[str, Any] = await answer.json()
                    self.answers[answer.status] += 1
                    if answer.status < 300:
                        return body
                    assert answer.status == 503, (answer.status, body)
            except (aiohttp.ClientError, OSError) as error:
                self.broken[type(error).__name__] += 1
            await asyncio.sleep(AGAIN_AFTER)

    def longest_gap(self) -> float:
        """The longest time, in seconds, in which no job ended."""
        return max(b - a for a, b in itertools.pairwise(sorted(self.ends.values())))

    def seconds(self) -> list[float]:
        """How long every job took, in ascending order, less what its own task rested."""
        rests = {n: LONG_SECONDS if n % LONG_EVERY == 0 else 0.0 for n in self.ends}
        return sorted(end - self.accepted[n] - rests[n] for n, end in self.ends.items())


class Traffic:
    """So many jobs a second, until it is told to stop."""

    def __init__(self, client: Client, rate: float, run: str) -> None:
        self._client, self._rate, self._run = client, rate, run
        self._stopped = False

    async def run(self) -> None:
        """Jobs are submitted in time; returns when all have ended after `stop`."""
        begun, sent = time.monotonic(), 0
        async with asyncio.TaskGroup() as group:
            while not self._stopped:
                await asyncio.sleep(0.005)
                while sent < (time.monotonic() - begun) * self._rate:
                    group.create_task(self._client.job(sent, self._run))
                    sent += 1

    def stop(self) -> None:
        """No more jobs are submitted."""
        self._stopped = True


@asynccontextmanager
async def client_of(urls: Sequence[str], token: str) -> AsyncIterator[Client]:
    """A client that knows these addresses."""
    connector = aiohttp.TCPConnector(limit=0)
    limit = aiohttp.ClientTimeout(total=30)
    headers = {"X-Client-Token": token}
    async with aiohttp.ClientSession(headers=headers, connector=connector, timeout=limit) as session:
        yield Client(urls, session)
