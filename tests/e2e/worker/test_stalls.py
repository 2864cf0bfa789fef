"""Handlers that block the event loop, and workers that stand still.

``WORKER_BLOCKS=60 WORKER_ZOMBIES=100 pytest -s tests/e2e/worker/test_stalls.py`` is the long form.
"""

import os
import signal
import statistics
import time

import pytest

from tests.e2e.conftest import until
from tests.e2e.worker.conftest import Arrange

BLOCKS = float(os.environ.get("WORKER_BLOCKS", "6"))
ZOMBIES = int(os.environ.get("WORKER_ZOMBIES", "6"))
SLOTS = 3  # tasks of each zombie


@pytest.mark.timeout(120 + 2 * BLOCKS)
@pytest.mark.parametrize("transport", ["stream", "poll"])
def test_a_handler_that_blocks_the_loop_for_six_leases_is_not_run_twice(
    arrange: Arrange, transport: str
) -> None:
    scene = arrange(BLOCKS / 6)
    blocked = scene.worker("blocked", WORKER_TRANSPORT=transport, MAX_CONCURRENT_TASKS="3")
    jobs = {"other": scene.create("other", sleep=BLOCKS / 2), "blocks": scene.create("blocks", block=BLOCKS)}
    until(lambda: len(scene.notes()) == 2)
    spare = scene.worker("spare", WORKER_TRANSPORT=transport)
    time.sleep(max(0.0, BLOCKS - 20))  # longer than one request for the end of a job waits
    ended = {key: scene.api.ended(job) for key, job in jobs.items()}
    for job in ended.values():
        assert job["status"] == "finished", job
        assert job["result"] == {"by": "blocked", "applied": 1}
    assert scene.count("begun") == {"other": 1, "blocks": 1}
    assert "The event loop stood still" in blocked.says("The event loop stood still")
    assert spare.end() == 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("transport", ["stream", "poll"])
def test_what_came_while_the_loop_was_blocked_is_not_run_when_it_was_given_to_another(
    arrange: Arrange, transport: str
) -> None:
    scene = arrange(1)
    blocked = scene.worker("blocked", WORKER_TRANSPORT=transport, MAX_CONCURRENT_TASKS="2")
    blocks = scene.create("blocks", block=3.5)
    until(lambda: len(scene.notes()) == 1)
    late = scene.create("late")
    scene.worker("spare", WORKER_TRANSPORT=transport)
    assert scene.api.ended(late)["result"] == {"by": "spare", "applied": 1}
    assert scene.api.ended(blocks)["result"] == {"by": "blocked", "applied": 1}
    assert blocked.end() == 0, blocked.output
    assert scene.count("begun") == {"blocks": 1, "late": 1}


@pytest.mark.timeout(120 + 2 * ZOMBIES)
def test_the_result_of_a_worker_that_stood_still_beyond_its_lease_is_stale(arrange: Arrange) -> None:
    scene = arrange(1)
    zombies = [
        scene.worker(f"zombie{number}", MAX_CONCURRENT_TASKS=str(SLOTS), HEARTBEAT_INTERVAL="15")
        for number in range(-(-ZOMBIES // SLOTS))
    ]
    count = len(zombies) * SLOTS
    sleep = 1.2 + count / 30  # all have begun before the first one ends
    jobs = {f"z{number}": scene.create(f"z{number}", sleep=sleep) for number in range(count)}
    until(lambda: scene.count("begun").total() == count)
    for zombie in zombies:
        assert zombie.process is not None
        zombie.process.send_signal(signal.SIGSTOP)
    assert not scene.count("ended"), "they were stopped too late"
    heir = scene.worker("heir", MAX_CONCURRENT_TASKS="100")
    ended = {key: scene.api.ended(job) for key, job in jobs.items()}
    for zombie in zombies:
        assert zombie.process is not None
        zombie.process.send_signal(signal.SIGCONT)
    refusals = lambda: sum(zombie.output.count("was refused: stale_lease") for zombie in zombies)  # noqa: E731
    until(lambda: refusals() == count, "results were not refused", lambda: zombies[0].output)
    assert scene.count("ended") == dict.fromkeys(jobs, 2)
    for key, job in jobs.items():
        again = scene.api.ended(job)
        assert again["result"] == ended[key]["result"] == {"by": "heir", "applied": 1}
    print(f"\n{count} zombies were told stale_lease, and none of their results was applied")
    assert heir.end() == 0


@pytest.mark.parametrize(("transport", "limit"), [("stream", 0.2), ("poll", 1.5)])
def test_a_cancelled_handler_hears_of_it_at_once_or_with_the_next_heartbeat(
    arrange: Arrange, transport: str, limit: float
) -> None:
    """The middle of several tries, as the machine may be busy with something else."""
    scene = arrange(30)
    scene.worker("w0", WORKER_TRANSPORT=transport)
    taken: list[float] = []
    for number in range(3):
        job = scene.create(f"c{number}", sleep=60)
        until(lambda key=f"c{number}": key in scene.count("begun"))
        before = time.time()
        assert scene.api.call("POST", f"/api/v1/jobs/{job}/cancel")[0] < 300
        until(lambda key=f"c{number}": key in scene.count("cancelled"))
        taken.append(scene.notes()[-1][3] - before)
    print(f"\ncancelled over the {transport} after {', '.join(f'{1000 * s:.0f}' for s in taken)} ms")
    assert statistics.median(taken) < limit
