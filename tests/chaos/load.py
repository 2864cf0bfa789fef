"""The clients, and their webhook server: jobs at a steady rate, asked for as good clients do.

`python -m tests.chaos.load` reads what it is to do as JSON from its standard input, and ends when every job
has been accepted and every follow-up has been answered, or when standard input ends.
"""

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import uvloop

from tests.chaos.lines import Journal, Mark, Request, now
from tests.chaos.sink import Sink
from tests.chaos.sums import kind_of, wants_webhook

PATIENCE: Final = 8.0
"""Seconds in which an answer has to come."""

OPEN_AT_ONCE: Final = 400


class Wanted(msgspec.Struct, frozen=True):
    """What the clients are to do."""

    nodes: dict[str, str]
    token: str
    rate: float
    seconds: float
    seed: int
    folder: str
    sink: int


class Answer(msgspec.Struct, frozen=True):
    """What came back; `status` is 0 when nothing did."""

    status: int = 0
    body: Mapping[str, Any] = {}


class Client:
    """Asks one node after the other until there is an answer that settles the matter."""

    def __init__(self, wanted: Wanted, session: aiohttp.ClientSession, journal: Journal) -> None:
        self._wanted, self._session, self._journal = wanted, session, journal
        self._nodes: Sequence[str] = tuple(wanted.nodes)
        self._turn = count()
        self._hook = f"http://127.0.0.1:{wanted.sink}/hook"
        self.left = 0

    async def job(self, n: int) -> None:
        """Job number *n* was accepted, and what a client of its kind does about it is done."""
        self.left += 1
        kind, key, chance = kind_of(n), f"job-{self._wanted.seed}-{n}", random.Random(n)
        body: dict[str, Any] = {"initial_data": {"n": n}, "labels": {"n": str(n), "kind": kind}}
        if wants_webhook(n):
            body["webhook_url"] = self._hook
        create = self._asks("create", key, n, "POST", f"/api/v1/jobs/{kind}", body)
        answer = await self._until(create, lambda got: got.status == 202)
        job: str = answer.body["job_id"]
        if chance.random() < 0.05:
            read = self._asks("read", key, n, "GET", f"/api/v1/jobs/{job}")
            await self._until(read, lambda got: got.status in (200, 404))
        await self._follow_up(kind, key, n, job, chance)
        if chance.random() < 0.1:
            await asyncio.sleep(chance.uniform(0, 5))
            repeat = self._asks("repeat", key, n, "POST", f"/api/v1/jobs/{kind}", body)
            await self._until(repeat, lambda got: got.status == 202)
        self.left -= 1

    async def _follow_up(self, kind: str, key: str, n: int, job: str, chance: random.Random) -> None:
        match kind:
            case "approval":
                await asyncio.sleep(chance.uniform(0.1, 1.5))
                decision = {"decision": "yes", "data": {"word": n}}
                decide = self._asks("approve", key, n, "POST", f"/api/v1/jobs/{job}/approval", decision)
                await self._until(decide, _decided)
            case "event":
                await asyncio.sleep(chance.uniform(0, 1.5))
                tell = self._asks("signal", key, n, "POST", f"/api/v1/jobs/{job}/events/go", {"word": n})
                await self._until(tell, lambda got: got.status in (202, 409))
            case "race":
                await asyncio.sleep(chance.uniform(0, 0.3))
                cancel = self._asks("cancel", key, n, "POST", f"/api/v1/jobs/{job}/cancel")
                if (await self._until(cancel, lambda got: got.status in (200, 409))).status == 200:
                    read = self._asks("read cancelled", key, n, "GET", f"/api/v1/jobs/{job}")
                    await self._until(read, lambda got: got.status in (200, 404))
            case _:
                pass

    def _asks(
        self, verb: str, key: str, n: int, method: str, path: str, body: Any = None
    ) -> Callable[[], Awaitable[Answer]]:
        headers = {"Idempotency-Key": key} if verb in ("create", "repeat") else {}

        async def ask() -> Answer:
            node = self._nodes[next(self._turn) % len(self._nodes)]
            began, answer = now(), Answer()
            with suppress(aiohttp.ClientError, OSError, asyncio.TimeoutError, msgspec.DecodeError):
                url = self._wanted.nodes[node] + path
                async with self._session.request(method, url, json=body, headers=headers) as got:
                    answer = Answer(got.status, msgspec.json.decode(await got.read()))
            self._journal.add(
                Request(
                    t=now(),
                    began=began,
                    verb=verb,
                    key=key,
                    kind=kind_of(n),
                    n=n,
                    node=node,
                    status=answer.status,
                    job=answer.body.get("job_id") or ("" if headers else path.split("/")[4]),
                    code=_code(answer.body),
                    shown=_shown(answer.body),
                    version=answer.body.get("version", 0),
                )
            )
            return answer

        return ask

    async def _until(self, ask: Callable[[], Awaitable[Answer]], settled: Callable[[Answer], bool]) -> Answer:
        pause = 0.1
        while not settled(answer := await ask()):
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(3.0, pause * 2)
        return answer


def _decided(got: Answer) -> bool:
    asked = "not in a state" not in str(got.body)
    return got.status == 200 or (got.status == 409 and asked)


def _code(body: Mapping[str, Any]) -> str:
    error = body.get("error")
    return str(error.get("code", "")) if isinstance(error, dict) else str(body.get("code", ""))


def _shown(body: Mapping[str, Any]) -> str:
    return str(body["status"]) if "version" in body else ""


async def submit(client: Client, wanted: Wanted, group: asyncio.TaskGroup) -> int:
    """Jobs were asked for at the rate that is wanted, in an open loop; how many."""
    start, total = time.monotonic(), int(wanted.rate * wanted.seconds)
    for n in range(total):
        group.create_task(client.job(n))
        ahead = start + (n + 1) / wanted.rate - time.monotonic()
        if ahead > 0.005:
            await asyncio.sleep(ahead)
    return total


async def main() -> None:
    """The load was put on the nodes, and everything was answered."""
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    wanted = msgspec.json.decode(await orders.readline(), type=Wanted)
    folder = Path(wanted.folder)
    journal = Journal(folder / "clients.jsonl")
    await loop.create_server(lambda: Sink(Journal(folder / "sink.jsonl")), "127.0.0.1", wanted.sink)
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    headers = {"X-Client-Token": wanted.token}
    connector = aiohttp.TCPConnector(limit=OPEN_AT_ONCE)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as session:
        client = Client(wanted, session, journal)
        working = asyncio.ensure_future(_work(client, wanted, journal))
        told = asyncio.ensure_future(orders.read())
        await told  # the sink goes on until it is told that nothing comes any more
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


async def _work(client: Client, wanted: Wanted, journal: Journal) -> None:
    async with asyncio.TaskGroup() as group:
        total = await submit(client, wanted, group)
        journal.add(Mark(t=now(), name="submitted", detail=str(total)))
    journal.add(Mark(t=now(), name="answered"))
    print("answered", flush=True)


if __name__ == "__main__":
    uvloop.run(main())
