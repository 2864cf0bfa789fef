"""Workers are killed when a handler has finished and its result is not acknowledged; nothing is done twice.

``WORKER_KILLS=200 pytest -s tests/e2e/worker/test_kills.py`` kills more often.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.conftest import DEADLINE, until
from tests.e2e.worker.conftest import Arrange, Scene

KILLS = int(os.environ.get("WORKER_KILLS", "4"))
WORKERS = 4


def die_again_and_again(scene: Scene, name: str, kills: int, away: float, transport: str) -> list[Any]:
    """The jobs of a worker that nobody else can work on, each of which kills it, and how they ended."""
    worker = scene.worker(name, SKILL=name, WORKER_TRANSPORT=transport)
    ended: list[Any] = []
    for number in range(kills):
        when = ("before", "after")[number % 2]
        job = scene.create(f"{name}-{number}", skill=name, die=when)
        assert worker.process is not None
        worker.process.wait(DEADLINE)
        time.sleep(away)
        worker.run()
        ended.append(scene.api.ended(job))
        until(lambda lives=number + 2: worker.output.count("Registered with") == lives)
    assert worker.end() == 0, worker.output
    return ended


@pytest.mark.timeout(120 + 3 * KILLS)
@pytest.mark.parametrize("transport", ["stream", "poll"])
def test_a_result_that_was_not_acknowledged_outlives_its_worker(arrange: Arrange, transport: str) -> None:
    scene, each = arrange(30), -(-KILLS // WORKERS)
    with ThreadPoolExecutor() as pool:
        lives = [
            pool.submit(die_again_and_again, scene, f"w{number}", each, 0.0, transport)
            for number in range(WORKERS)
        ]
        jobs = [job for life in lives for job in life.result()]
    begun = scene.count("begun")
    print(
        f"\n{len(jobs)} times killed over the {transport}, after the handler and before the acknowledgement:"
        f" {sum(job['result']['applied'] for job in jobs)} results applied,"
        f" {begun.total() - len(jobs)} handlers run again"
    )
    assert [job["result"]["applied"] for job in jobs] == [1] * (each * WORKERS)
    assert set(begun.values()) == {1}


@pytest.mark.timeout(180)
def test_the_result_counts_also_when_the_lease_was_over_before_the_worker_was_back(arrange: Arrange) -> None:
    """The orchestrator hands out the task again, to the same worker, which has the result already."""
    scene, kills = arrange(1), 2
    jobs = die_again_and_again(scene, "w0", kills, 2.0, "stream")
    begun = scene.count("begun")
    print(f"\n{kills} times killed for longer than a lease: {begun.total() - kills} handlers run again")
    assert [job["result"]["applied"] for job in jobs] == [1] * kills
    assert set(begun.values()) == {1}
