"""What hostile workers cost others: `python -m tests.perf.bench_hostile [ACT ...]` (all of them by default).

A real node, honest workers that wait over HTTP, tasks one after another; rounds with and without hostile
workers in turn. Printed is the time from the request that creates a job until its task has reached a worker,
and the processor time of the node for each job. The hostile workers have a process of their own.
"""

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import msgspec

from avtomatika import ActionFactory, Blueprint, OrchestratorEngine
from tests.perf.hostile import ACTS, BAIT, attack

TOKENS: Final = {"CLIENT_TOKEN": "client-token-of-bench", "GLOBAL_WORKER_TOKEN": "worker-token-of-bench"}
HONEST: Final = 20
JOBS_A_SECOND: Final = 40
SECONDS: Final = 2.0
ROUNDS: Final = 24
BEAT: Final = 30.0
CONNECTIONS: Final = 9

one = Blueprint("one", api_version="v1", api_endpoint="/jobs/one")
bait = Blueprint("bait", api_version="v1", api_endpoint="/jobs/bait")


@one.handler(is_start=True)
async def only(initial_data: dict[str, int], actions: ActionFactory) -> None:
    actions.dispatch_task("noop", params={"n": initial_data["n"]}, transitions={"success": "end"})


@bait.handler(is_start=True)
async def baited(actions: ActionFactory) -> None:
    actions.dispatch_task(BAIT, params={}, transitions={"success": "end"})


@bait.handler("end", is_end=True)
@one.handler("end", is_end=True)
async def end() -> None:
    return None


class Round(msgspec.Struct, frozen=True):
    """Milliseconds until a task has reached a worker, and processor milliseconds of the node for each job."""

    times: tuple[float, ...]
    processor: float

    def __str__(self) -> str:
        cuts = statistics.quantiles(self.times, n=100)
        return f"p50 {cuts[49]:6.2f} ms, p99 {cuts[98]:7.2f} ms, node {self.processor:6.2f} ms a job"


class Bench:
    """The honest side."""

    def __init__(self, url: str, node: int, session: aiohttp.ClientSession) -> None:
        self._url, self._node, self._session = url, node, session
        self._begun: dict[int, float] = {}
        self._times: list[float] = []
        self._number = 0

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {
            "X-Client-Token": TOKENS["CLIENT_TOKEN"],
            "X-Worker-Token": TOKENS["GLOBAL_WORKER_TOKEN"],
        }
        data = None if body is None else json.dumps(body).encode()
        async with self._session.request(method, self._url + path, data=data, headers=headers) as answer:
            raw = await answer.read()
            assert answer.status < 300, (answer.status, raw)
        return json.loads(raw) if raw else None

    async def work(self, name: str) -> None:
        """A worker, for ever."""
        said = {"worker_id": name, "supported_skills": [{"name": "noop"}]}
        await self.call("POST", "/_worker/workers/register", said)
        while True:
            task = await self.call("GET", f"/_worker/workers/{name}/tasks/next?timeout=20")
            if task is None:
                continue
            begun = self._begun.pop(task["params"]["n"], None)
            if begun is not None:
                self._times.append((time.perf_counter() - begun) * 1_000)
            known = {key: task[key] for key in ("job_id", "task_id", "lease_token")}
            await self.call("POST", "/_worker/tasks/result", {**known, "worker_id": name, "data": None})

    async def beat(self, names: Sequence[str]) -> None:
        """The workers stay known, for ever."""
        while True:
            await asyncio.sleep(BEAT)
            for name in names:
                await self.call("PATCH", f"/_worker/workers/{name}", {"worker_id": name})

    async def round(self, seconds: float) -> Round:
        """Jobs at a steady pace, whatever becomes of them."""
        self._times = []
        before, sending = _processor(self._node), []
        first = asyncio.get_running_loop().time()
        jobs = int(seconds * JOBS_A_SECOND)
        for n in range(jobs):
            await asyncio.sleep(max(0.0, first + n / JOBS_A_SECOND - asyncio.get_running_loop().time()))
            self._number += 1
            self._begun[self._number] = time.perf_counter()
            sending.append(asyncio.ensure_future(self.call("POST", "/api/v1/jobs/one", {"n": self._number})))
        await asyncio.gather(*sending)
        while self._begun:
            await asyncio.sleep(0.01)
        return Round(tuple(self._times), (_processor(self._node) - before) * 1_000 / jobs)


def _processor(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def bench() -> AsyncIterator[tuple[Bench, str]]:
    """A node in a process of its own, with honest workers that wait."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"API_PORT": str(port), "STORAGE_URL": "memory://", "LOG_LEVEL": "ERROR", **TOKENS}
    node = subprocess.Popen([sys.executable, "-m", __spec__.name, "--serve"], env={**os.environ, **settings})
    url = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            honest = Bench(url, node.pid, session)
            for _ in range(200):
                try:
                    await honest.call("GET", "/_public/status")
                    break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.1)
            names = [f"honest{n}" for n in range(HONEST)]
            working = [asyncio.ensure_future(honest.work(name)) for name in names]
            working.append(asyncio.ensure_future(honest.beat(names)))
            yield honest, url
            for each in working:
                each.cancel()
            await asyncio.gather(*working, return_exceptions=True)
    finally:
        node.terminate()
        node.wait()


@asynccontextmanager
async def besieged(url: str, acts: list[str]) -> AsyncIterator[list[str]]:
    """Hostile workers are at it meanwhile; afterwards the list holds how often they got which answer."""
    command = [sys.executable, "-m", __spec__.name, "--attack", url, ",".join(acts)]
    hostile = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert hostile.stdout is not None
    answers = list[str]()
    try:
        await asyncio.to_thread(hostile.stdout.readline)
        yield answers
    finally:
        said, _ = await asyncio.to_thread(hostile.communicate, "")
        answers.append(said.strip())


async def compare(acts: list[str]) -> None:
    """The figures with and without these acts are printed."""
    async with bench() as (honest, url):
        await honest.round(1.0)
        for _ in range(CONNECTIONS * ROUNDS):
            await honest.call("POST", "/api/v1/jobs/bait", {})
        alone, beset, said = list[Round](), list[Round](), list[str]()
        for _ in range(ROUNDS):
            alone.append(await honest.round(SECONDS))
            async with besieged(url, acts) as answers:
                beset.append(await honest.round(SECONDS))
            said += answers
        print(f"{' '.join(acts)}\n  alone   {_all(alone)}\n  beset   {_all(beset)}\n  answers {said[-1]}")


def _all(rounds: list[Round]) -> Round:
    times = tuple(each for one_round in rounds for each in one_round.times)
    return Round(times, statistics.median(one_round.processor for one_round in rounds))


async def besiege(url: str, acts: list[str]) -> None:
    """Hostile workers until the standard input ends. What they do themselves is to cost others little."""
    os.nice(15)
    duty = asyncio.ensure_future(attack(url, TOKENS["GLOBAL_WORKER_TOKEN"], acts, CONNECTIONS))
    await asyncio.sleep(0.5)
    print("begun", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    duty.cancel()
    print(json.dumps(await duty))


def serve() -> None:
    """The node."""
    engine = OrchestratorEngine()
    engine.register_blueprint(one)
    engine.register_blueprint(bait)
    engine.run()


def main() -> None:
    """The figures are printed, act by act and of all together."""
    match sys.argv[1:]:
        case ["--serve"]:
            serve()
        case ["--attack", url, acts]:
            asyncio.run(besiege(url, acts.split(",")))
        case []:
            for act in ACTS:
                asyncio.run(compare([act]))
            asyncio.run(compare([*ACTS]))
        case acts:
            asyncio.run(compare(acts))


if __name__ == "__main__":
    main()
