"""Fan-outs of growing width on one orchestrator (SQLite, synchronous=FULL) and one worker process.

    python tests/perf/bench_fanout.py [--widths 100 1000 10000] [--rounds 3] [--slots 50]

Prints for each width the commits of the job, how many met a conflict, and the time per branch.
"""

import argparse
import asyncio
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from avtomatika import ActionFactory, Blueprint, Config, OrchestratorEngine
from avtomatika.app_keys import STORAGE_KEY
from avtomatika.ports.store import Commit, Store, VersionConflict

fan = Blueprint("fan", api_version="v1", api_endpoint="/jobs/fan")


@fan.handler(is_start=True)
async def start(initial_data: dict[str, int], actions: ActionFactory) -> None:
    tasks = [{"type": "noop", "params": {"n": n}} for n in range(initial_data["width"])]
    actions.dispatch_parallel(tasks, aggregate_into="all")


@fan.aggregator("all")
async def together(aggregation_results: dict[str, dict[str, dict[str, int]]], actions: ActionFactory) -> None:
    actions.finish({"sum": sum(result["data"]["n"] for result in aggregation_results.values())})


class Counted:
    """The commits of a store, as they happen."""

    def __init__(self, store: Store) -> None:
        self._commit = store.commit
        self.jobs = self.others = self.conflicts = 0
        store.commit = self.commit  # type: ignore[method-assign]  # to count what the node really does

    async def commit(self, commit: Commit) -> None:
        """As the store's, counted."""
        try:
            await self._commit(commit)
        except VersionConflict:
            self.conflicts += 1
            raise
        if commit.job is None:
            self.others += 1
        else:
            self.jobs += 1


async def run_one(session: aiohttp.ClientSession, base: str, width: int) -> float:
    """Seconds from the request to the result of one fan-out."""
    begun = time.perf_counter()
    async with session.post(f"{base}/fan", json={"width": width}) as answer:
        answer.raise_for_status()
        job = (await answer.json())["job_id"]
    while True:
        async with session.get(f"{base}/{job}", params={"wait": "30"}) as answer:
            view = await answer.json()
        if view["status"] == "finished":
            assert view["result"] == {"sum": width * (width + 1) // 2}, view["result"]
            return time.perf_counter() - begun
        assert view["status"] not in ("failed", "cancelled", "quarantined"), view


async def measure(arguments: argparse.Namespace, folder: Path) -> list[float]:
    """Milliseconds per branch at every width: the medians of the rounds."""
    client, worker = secrets.token_hex(16), secrets.token_hex(16)
    config = Config({})
    config.API_PORT, config.STORAGE_URL = 0, f"sqlite:///{folder / 'fan.db'}"
    config.CLIENT_TOKEN, config.GLOBAL_WORKER_TOKEN = client, worker
    config.AVTOMATIKA_DATA_DIR = folder
    engine = OrchestratorEngine(config=config)
    engine.register_blueprint(fan)
    await engine.start()
    assert engine.address is not None
    url = f"http://127.0.0.1:{engine.address[1]}"
    environment = {
        **os.environ,
        "ORCHESTRATOR_URL": url,
        "WORKER_TOKEN": worker,
        "MAX_CONCURRENT_TASKS": str(arguments.slots),
        "LOG_LEVEL": "WARNING",
    }
    process = subprocess.Popen([sys.executable, Path(__file__).parent / "bench_worker.py"], env=environment)
    counted = Counted(engine.app[STORAGE_KEY])
    middles: list[float] = []
    try:
        async with aiohttp.ClientSession(headers={"X-Client-Token": client}) as session:
            await run_one(session, f"{url}/api/v1/jobs", 10)
            for width in arguments.widths:
                taken: list[float] = []
                for _ in range(arguments.rounds):
                    jobs, others, conflicts = counted.jobs, counted.others, counted.conflicts
                    taken.append(await run_one(session, f"{url}/api/v1/jobs", width) * 1_000 / width)
                    print(
                        f"{width:>6} branches: {taken[-1]:.3f} ms per branch; {counted.jobs - jobs} commits "
                        f"of the job, {counted.others - others} others, "
                        f"{counted.conflicts - conflicts} conflicts",
                        flush=True,
                    )
                middles.append(statistics.median(taken))
    finally:
        process.terminate()
        process.wait(timeout=30)
        await engine.stop()
    return middles


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--widths", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slots", type=int, default=50)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        middles = asyncio.run(measure(arguments, Path(folder)))
    for width, middle in zip(arguments.widths, middles, strict=True):
        print(f"{width:>6}: {middle:.3f} ms per branch, {middle / middles[0]:.2f} x the narrowest")


if __name__ == "__main__":
    main()
