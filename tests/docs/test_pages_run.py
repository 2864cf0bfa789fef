"""What the pages tell their readers to do works, and prints what they say."""

import shutil
from itertools import chain
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks, documents, name
from tests.docs.session import Session, without_curl

TOGETHER = [["docs/tutorial/first-job.md", "docs/tutorial/first-worker.md"]]
"""Pages that go on where the one before ended."""


SERVERS = {
    "redis://127.0.0.1:6379/0": "valkey_url",
    "postgresql://avtomatika@127.0.0.1/jobs": "postgres_uri",
}
"""The stores that pages name, and what starts them here."""

TOOLS = ("pg_dump", "pg_restore", "sqlite3")
"""What pages use that need not be on every machine."""


def walks() -> list[list[str]]:
    """The pages with something to run, each list one reader."""
    taken = set(chain.from_iterable(TOGETHER))
    alone = [[name(page)] for page in documents() if name(page) not in taken]
    return [*TOGETHER, *(walk for walk in alone if any(b.verb == "run" for b in blocks(ROOT / walk[0])))]


@pytest.mark.skipif(without_curl(), reason="the pages use curl")
@pytest.mark.parametrize("walk", walks(), ids=lambda walk: Path(walk[0]).stem)
def test_a_page_does_what_it_says(
    walk: list[str], tmp_path: Path, storage_prefix: str, request: pytest.FixtureRequest
) -> None:
    commands = "".join(block.text for page in walk for block in blocks(ROOT / page) if block.verb == "run")
    missing = [name for name in TOOLS if f"$ {name} " in commands and shutil.which(name) is None]
    if missing:
        pytest.skip(f"the page uses {', '.join(missing)}")
    servers = {place: fixture for place, fixture in SERVERS.items() if place in commands}
    places = {place: request.getfixturevalue(fixture) for place, fixture in servers.items()}
    with Session(tmp_path, places) as session:
        session.set(STORAGE_PREFIX=storage_prefix)
        for page in walk:
            session.follow(blocks(ROOT / page))


@pytest.mark.parametrize("page", documents(), ids=name)
def test_python_on_a_page_is_python(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            compile(block.text, f"{name(page)}:{block.line}", "exec")
