"""Good clients: each job has a key, and what was not answered is asked again, elsewhere."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp

OVER = ("finished", "failed", "cancelled", "quarantined")
PATIENCE = 12.0
"""Longer than a node waits for its store before it says 503."""

AGAIN_AFTER = 0.05
FAN_EVERY, LOOK_EVERY = 10, 3
"""Every so many jobs is a fan-out, and of so many one is read as soon as it was accepted, at another node."""


class Accepted(NamedTuple):
    """A request that was answered with 202, at that moment of our clock."""

    key: str
    path: str
    body: dict[str, Any]
    job: str
    at: float


class Clients:
    """What they were promised is in `accepted`; what of that they could not read at once, in `unseen`."""

    def __init__(self, urls: Sequence[str], run: str, session: aiohttp.ClientSession) -> None:
        self._urls, self._run, self._session = itertools.cycle(urls), run, session
        self._stopped = False
        self.accepted: list[Accepted] = []
        self.unseen: list[Accepted] = []
        self.answers: Counter[int] = Counter()
        self.broken: Counter[str] = Counter()
        self.slowest = 0.0

    async def submit(self, rate: float) -> None:
        """So many jobs a second, in an open loop, until `stop`; every one of them was accepted."""
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for n in itertools.count():
                await asyncio.sleep(max(0.0, begun + n / rate - time.monotonic()))
                if self._stopped:
                    return
                group.create_task(self._one(n))

    def stop(self) -> None:
        """No more jobs are asked for."""
        self._stopped = True

    async def _one(self, n: int) -> None:
        path = "/api/v1/jobs/fan" if n % FAN_EVERY == 0 else "/api/v1/jobs/steps"
        done = await self.create(f"{self._run}-{n}", path, {"n": n})
        self.accepted.append(done)
        if n % LOOK_EVERY == 0 and await self.read(done.job) is None:
            self.unseen.append(done)

    async def create(self, key: str, path: str, body: dict[str, Any]) -> Accepted:
        """The job is accepted."""
        _, answer = await self._until_answered(
            "POST", path, (202,), json=body, headers={"Idempotency-Key": key}
        )
        return Accepted(key, path, body, answer["job_id"], time.monotonic())

    async def read(self, job: str, wait: float = 0.0) -> dict[str, Any] | None:
        """The job as a node shows it; None when no node knows it."""
        path = f"/api/v1/jobs/{job}?wait={wait:g}"
        status, view = await self._until_answered("GET", path, (200, 404))
        return view if status == 200 else None

    async def ended(self, job: str) -> dict[str, Any] | None:
        """The job when it is over; None when no node knows it."""
        view: dict[str, Any] | None = {"status": "unknown"}
        while view is not None and view["status"] not in OVER:
            view = await self.read(job, wait=5.0)
        return view

    def longest_gap(self, since: float, until: float) -> float:
        """The longest time, in seconds, within which nobody's job was accepted."""
        moments = [done.at for done in self.accepted if since <= done.at <= until]
        return max((b - a for a, b in itertools.pairwise(sorted(moments))), default=until - since)

    async def _until_answered(
        self, method: str, path: str, settled: Sequence[int], **options: Any
    ) -> tuple[int, dict[str, Any]]:
        while True:
            begun = time.monotonic()
            try:
                async with self._session.request(method, next(self._urls) + path, **options) as answer:
                    body: dict[str, Any] = await answer.json()
                    self.answers[answer.status] += 1
                    if answer.status in settled:
                        self.slowest = max(self.slowest, time.monotonic() - begun)
                        return answer.status, body
                    assert answer.status == 503, (method, path, answer.status, body)
            except (aiohttp.ClientError, OSError) as error:
                self.broken[type(error).__name__] += 1
            await asyncio.sleep(AGAIN_AFTER * random.uniform(0.5, 1.5))


@asynccontextmanager
async def clients_of(urls: Sequence[str], token: str, run: str) -> AsyncIterator[Clients]:
    """Clients that know these nodes; *run* begins all of their keys."""
    connector, limit = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=PATIENCE)
    headers = {"X-Client-Token": token}
    async with aiohttp.ClientSession(headers=headers, connector=connector, timeout=limit) as session:
        yield Clients(urls, run, session)
