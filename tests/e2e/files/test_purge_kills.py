"""The node is killed again and again while it removes files: in the end those of jobs that are over are gone.

Those of jobs that are not over are all there.
"""

import asyncio
import os
import random
import time
from pathlib import Path

import pytest

from rxon.attachments import parse_uri
from rxon.storage import ObjectStorage
from tests.e2e.conftest import Api, Launch, free_port, until
from tests.integration.files.conftest import BUCKET, S3, s3

__all__ = ["s3"]

OVER = 8
KILLS = int(os.environ.get("PURGE_KILLS", "5"))
"""Once: 40."""
NAMES = {"a.json", "deep/b.json", "deep/er/c.json", "d.json"}
TOKENS = {"CLIENT_TOKEN": "client-token-of-the-purges", "GLOBAL_WORKER_TOKEN": "worker-token-of-the-purges"}
HERE = Path(__file__).parent


async def stored(objects: ObjectStorage) -> dict[str, set[str]]:
    """The files of each job that has some."""
    found: dict[str, set[str]] = {}
    async for entry in objects.entries(parse_uri(f"s3://{BUCKET}/jobs/")):
        job, _, name = entry.uri.removeprefix(f"s3://{BUCKET}/jobs/").partition("/")
        found.setdefault(job, set()).add(name)
    return found


def names_below(folder: Path) -> dict[str, set[str]]:
    """The copies of each job that has some."""
    return {
        job.name: {path.relative_to(job).as_posix() for path in job.rglob("*.json")}
        for job in folder.iterdir()
        if not job.name.startswith(".")
    }


@pytest.mark.parametrize("backend", ["folder", "s3"])
def test_no_file_is_forgotten_and_none_is_removed_too_early(
    backend: str, request: pytest.FixtureRequest, launch: Launch, tmp_path: Path
) -> None:
    port, chance = free_port(), random.Random(backend)
    objects, variables = ObjectStorage.local(tmp_path / "files"), dict[str, str]()
    if backend == "s3":
        server: S3 = request.getfixturevalue("s3")
        objects, variables = server.objects, server.variables
    variables |= {
        **TOKENS,
        "API_PORT": str(port),
        "STORAGE_URL": f"sqlite:///{tmp_path / 'jobs.db'}",
        "TASK_FILES_DIR": str(tmp_path / "copies"),
        "FILES_RETENTION_SECONDS": "0.3",
    }

    def left_of(jobs: set[str]) -> int:
        time.sleep(0.3)  # a list takes the server a while
        return len(jobs & set(asyncio.run(stored(objects))))

    node = launch(HERE / "orchestrator.py", **variables)
    api = Api(port, TOKENS["CLIENT_TOKEN"])
    over, waiting, left, began = set[str](), set[str](), list[int](), time.monotonic()
    for _ in range(KILLS):
        api.until_ready(node)
        waiting.add(api.create("/api/v1/jobs/files", {"waits": True}))
        over.update(api.create("/api/v1/jobs/files", {"waits": False}) for _ in range(OVER))
        time.sleep(chance.uniform(0.1, 0.7))
        node.kill()
        left.append(left_of(over))
        node.run()
    until(lambda: left_of(over) == 0, "files were forgotten: ", lambda: f"{left_of(over)} of {len(over)}")
    assert set(asyncio.run(stored(objects))) == waiting
    until(lambda: set(names_below(tmp_path / "copies")) == waiting, "copies were forgotten")
    assert set(map(frozenset, asyncio.run(stored(objects)).values())) == {frozenset(NAMES)}
    assert set(map(frozenset, names_below(tmp_path / "copies").values())) == {frozenset(NAMES)}
    api.until_ready(node)
    assert node.end() == 0
    assert len(over) > max(left), "every kill came before the first removal"
    seconds = time.monotonic() - began
    print(f"{backend}: of {len(over)} jobs had files at each kill: {left}; {seconds:.1f} s")
