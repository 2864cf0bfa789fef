"""A process of many workers that wait for tasks with long polls, each over a connection of its own.

Every worker registers, sends heartbeats, and answers each task at once. Lines on standard output tell what
happens: `ready`; `got WORKER JOB NANOSECONDS` by the clock that all processes share; `error WHAT`.
"""

import asyncio
import os
import sys
import time
from collections.abc import Sequence

import aiohttp
import msgspec
import uvloop

URLS = os.environ["URLS"].split(",")
FIRST, COUNT = int(os.environ["FIRST"]), int(os.environ["COUNT"])
SKILLS, SKILLS_EACH = int(os.environ["SKILLS"]), int(os.environ["SKILLS_EACH"])
POLL, HEARTBEAT = 30.0, 15.0
HEADERS = {"X-Worker-Token": os.environ["TOKEN"], "X-RXON-Version": "2"}
AT_ONCE = 50


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def skills_of(number: int) -> Sequence[str]:
    """Those of the worker: neighbours share some."""
    return [f"skill-{(number + k) % SKILLS}" for k in range(SKILLS_EACH)]


class Worker:
    """One of them."""

    def __init__(self, number: int, session: aiohttp.ClientSession) -> None:
        self.name, self._number, self._session = f"parked-{number}", number, session
        self._root = URLS[number % len(URLS)] + "/_worker"

    async def register(self, gate: asyncio.Semaphore) -> None:
        """The node knows the worker."""
        skills = [{"name": name} for name in skills_of(self._number)]
        body = {"worker_id": self.name, "worker_type": "parked", "supported_skills": skills}
        async with gate, self._session.post(f"{self._root}/workers/register", json=body) as answer:
            if answer.status != 200:
                say("error", "register", answer.status, (await answer.text())[:200].replace("\n", " "))

    async def live(self) -> None:
        """Asks for tasks and answers them until it is cancelled."""
        while True:
            try:
                await self._ask()
            except (aiohttp.ClientError, TimeoutError) as error:
                say("error", "poll", type(error).__name__)
                await asyncio.sleep(1)

    async def _ask(self) -> None:
        url = f"{self._root}/workers/{self.name}/tasks/next"
        async with self._session.get(url, params={"timeout": POLL, "limit": 1}) as answer:
            if answer.status == 204:
                return
            body = await answer.read()
            if answer.status != 200:
                say("error", "poll", answer.status, body[:200].decode(errors="replace").replace("\n", " "))
                await asyncio.sleep(1)
                return
        at = time.monotonic_ns()
        (task,) = msgspec.json.decode(body)["tasks"]
        say("got", self.name, task["job_id"], at)
        result = {
            "job_id": task["job_id"],
            "task_id": task["task_id"],
            "worker_id": self.name,
            "status": "success",
            "data": {},
            "lease_token": task["lease_token"],
        }
        async with self._session.post(f"{self._root}/tasks/result", json=result) as answer:
            if answer.status != 200:
                say("error", "result", answer.status)

    async def beat(self) -> None:
        """Sends signs of life until it is cancelled."""
        await asyncio.sleep(HEARTBEAT * (self._number * 0.618 % 1))
        while True:
            begun = time.monotonic()
            try:
                beat = {"worker_id": self.name, "status": "idle", "current_tasks": []}
                async with self._session.patch(f"{self._root}/workers/{self.name}", json=beat) as answer:
                    if answer.status != 200:
                        say("error", "heartbeat", answer.status)
            except (aiohttp.ClientError, TimeoutError) as error:
                say("error", "heartbeat", type(error).__name__)
            await asyncio.sleep(max(0.0, begun + HEARTBEAT - time.monotonic()))


async def main() -> None:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(headers=HEADERS, connector=connector, timeout=timeout) as session:
        workers = [Worker(FIRST + n, session) for n in range(COUNT)]
        gate = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(worker.register(gate) for worker in workers))
        say("ready")
        await asyncio.gather(*(worker.live() for worker in workers), *(worker.beat() for worker in workers))


if __name__ == "__main__":
    uvloop.run(main())
