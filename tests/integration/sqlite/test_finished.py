"""What is finished costs nothing: neither time nor memory grows with it.

The bounds are wide, for busy machines; whatever grew with the number of jobs would miss them by far.
`tests/perf/bench_finished.py` measures the same with ten times as many jobs.
"""

import statistics
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.perf.finished_jobs import alternate, fill, opened, page_times, start

JOBS = 20_000
MIB_MORE = 8  # a fifth of what 20,000 jobs with nothing in them would take
TIMES_SLOWER = 2.0
LIST_MS = 10.0


@pytest.fixture
async def paths(tmp_path: Path) -> AsyncIterator[tuple[Path, Path]]:
    empty, full = tmp_path / "empty.db", tmp_path / "full.db"
    await fill(empty, 0)
    await fill(full, JOBS)
    yield empty, full
    full.unlink()


@pytest.mark.slow
async def test_a_store_does_not_feel_the_jobs_that_are_finished(paths: tuple[Path, Path]) -> None:
    empty, full = (start(path) for path in paths)
    assert full.seconds < 1.0
    assert full.after - full.before < empty.after - empty.before + MIB_MORE

    stores = [opened(path) for path in paths]
    try:
        of_empty, of_full = await alternate(stores, rounds=4, each=30)
        for verb in ("create", "lease", "result"):
            alone, among = (statistics.median(getattr(times, verb)) for times in (of_empty, of_full))
            assert among < alone * TIMES_SLOWER, verb
        for name, (taken, found) in (await page_times(stores[1], JOBS)).items():
            assert taken < LIST_MS, f"{name}: {found} jobs"
        assert sum((await stores[1].tally()).values()) == JOBS + 4 * 30
    finally:
        for store in stores:
            await store.close()
