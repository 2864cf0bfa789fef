"""A process killed in the middle of its commits: what it said is true, and nothing is half there."""

import os
import random
import subprocess
import sys
from pathlib import Path

from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Job
from avtomatika.ports.store import JobQuery, MessageId
from avtomatika.stores.sql.sqlite import SqliteStore
from tests.integration.sqlite.conftest import Files

LOAD = Path(__file__).with_name("load.py")
ROUNDS = int(os.environ.get("KILL_ROUNDS", "20"))


def run_until_killed(path: Path, name: str, mode: str, lines: int) -> list[str]:
    """What a process said before it was killed, after about so many lines."""
    with subprocess.Popen(
        [sys.executable, str(LOAD), str(path), name, mode],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        said += process.stdout.readlines()
    assert process.returncode == -9
    return [line.decode() for line in said if line.endswith(b"\n")]


async def check(store: SqliteStore, job: Job) -> None:
    """The job is as one of its commits left it, whole."""
    message = await store.queues(f"q:{job.id}")
    held = await store.next_due(f"q:{job.id}")
    branches = await store.branches(job.id, 2)
    assert message == {}
    assert (held is not None, len(branches)) == {1: (True, 0), 2: (False, 1), 3: (False, 0)}[job.version]
    assert await store.held(MessageId(f"m-{job.id}"), now=job.created) is None
    assert [fact.version for fact in await store.facts(job.id)] == list(range(1, job.version + 1))
    assert store.recovered(job.id) is not job.over


async def test_every_acknowledged_commit_is_there_after_a_kill_and_none_is_half_there(files: Files) -> None:
    draw = random.Random(4711)
    acknowledged: dict[JobId, int] = {}
    counted: dict[str, int] = {}
    for life in range(ROUNDS):
        mode = ("loop", "thread")[life % 2]
        said = run_until_killed(files.path, f"life{life}", mode, draw.randrange(1, 400))
        for line in said:
            name, version = line.split()
            if name.startswith("counter:"):
                counted[name.removeprefix("counter:")] = int(version)
            else:
                acknowledged[JobId(name)] = int(version)
        store = files.open()
        found: set[JobId] = set()
        place: str | None = None
        while True:
            page = await store.find(JobQuery(after=place, limit=1_000))
            for job in page.jobs:
                found.add(job.id)
                assert job.version >= acknowledged.get(job.id, 0)
                assert await store.load(job.id) == job
                if job.id.startswith(f"life{life}x"):
                    await check(store, job)
                    labelled = await store.find(JobQuery(labels=(("name", job.id),)))
                    assert labelled.jobs == (job,)
            place = page.next
            if place is None:
                break
        assert acknowledged.keys() <= found
        counters = await store.shelf.items("counters")
        assert all(int(bytes(counters[name])) >= count for name, count in counted.items())
        # Left as a killed process leaves it, for the next one.
        files.kill(store)
    assert len(acknowledged) > ROUNDS
