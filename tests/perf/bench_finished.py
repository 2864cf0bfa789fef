"""`python tests/perf/bench_finished.py`: what a store feels of the jobs that are finished.

Fills a SQLite file with finished jobs and their facts, by the store's own commits, and compares it with an
empty one: start-up, memory, create, lease and result with real fsyncs (in turns), and every list.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.perf.finished_jobs import alternate, fill, opened, page_times, resident, start


async def measure(folder: Path, jobs: int, rounds: int) -> None:
    """Everything is measured and printed."""
    full, empty = folder / "full.db", folder / "empty.db"
    rate = await fill(full, jobs)
    await fill(empty, 0)
    size = full.stat().st_size / 2**20
    print(
        f"{jobs:,} finished jobs stored, {rate:,.0f} jobs/s, {size:,.0f} MiB"
        f" ({size * 1024 / jobs:.1f} KiB a job)"
    )
    for name, path in (("empty", empty), ("full", full)):
        clean = start(path, "killed")
        unclean = start(path)
        print(
            f"start-up, {name:5}: {clean.seconds:6.3f} s; after a kill {unclean.seconds:6.3f} s;"
            f" memory {clean.before:.1f} -> {clean.after:.1f} MiB"
        )
    stores = [opened(empty), opened(full)]
    await alternate(stores, 2, 50)
    before = resident()
    of_empty, of_full = await alternate(stores, rounds, 100)
    print(
        f"{'verb':10}{'empty p50':>12}{'full p50':>12}{'empty p99':>12}{'full p99':>12}{'p99 ratio':>12}  ms"
    )
    for (verb, p50, p99), (_, full50, full99) in zip(of_empty.rows(), of_full.rows(), strict=True):
        print(f"{verb:10}{p50:12.3f}{full50:12.3f}{p99:12.3f}{full99:12.3f}{full99 / p99:12.2f}")
    print(f"memory of the process while {rounds * 200:,} jobs ran: {before:.1f} -> {resident():.1f} MiB")
    for name, (taken, found) in (await page_times(stores[1], jobs)).items():
        print(f"list {name:28}{taken:9.2f} ms {found:5} jobs")
    for client in (None, "acme", "rare"):
        begun = time.perf_counter()
        counts = await stores[1].tally(client)
        taken = (time.perf_counter() - begun) * 1_000
        print(f"tally of {client or 'all':6}{taken:9.2f} ms  {sum(counts.values()):,} jobs")
    for store in stores:
        await store.close()


def main() -> None:
    """Parse the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=20, help="of a hundred jobs in each store")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as folder:
        asyncio.run(measure(Path(folder), arguments.jobs, arguments.rounds))


if __name__ == "__main__":
    main()
