"""A file of an earlier release becomes one of this release, whole or not at all."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from avtomatika.errors import StorageBroken
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Status
from avtomatika.ports.store import Commit, JobQuery, KeyTaken, MessageId
from avtomatika.stores.sql import file
from avtomatika.testing.contract.values import T0, a_branch, a_claim, a_job, at, grab_one, over
from tests.integration.sqlite.conftest import Files

OLD = Path(__file__).with_name("data") / "schema_1.sql"


def write_old(path: Path, alter: Callable[[sqlite3.Connection], object] = lambda database: None) -> None:
    """A file as the release with schema 1 left it, altered."""
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = WAL").fetchall()
    database.executescript(OLD.read_text())
    alter(database)
    database.commit()
    database.close()


def labelled(database: sqlite3.Connection) -> None:
    """The jobs have labels in their heads, which schema 1 knew no index of."""
    for name, head in database.execute("SELECT id, head FROM job").fetchall():
        job = {**json.loads(head), "labels": {"name": name, "n": "\x00é"}}
        database.execute("UPDATE job SET head = ? WHERE id = ?", (json.dumps(job).encode(), name))


def schema(path: Path) -> tuple[int, set[tuple[str, str]]]:
    """The version of the file and everything in its schema."""
    database = sqlite3.connect(path)
    (version,) = database.execute("PRAGMA user_version").fetchone()
    found = set(database.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"))
    database.close()
    return version, found


async def test_everything_in_a_file_of_schema_1_is_there(files: Files) -> None:
    write_old(files.path)
    store = files.open()
    live = await store.load(JobId("live"))
    assert live is not None
    assert (live.version, live.client, bytes(live.input["a"])) == (2, "x", b"1.0")
    assert await store.load(JobId("done")) == over("done", ended=at(5))
    assert [fact.version for fact in await store.facts(JobId("live"))] == [1, 2]
    assert await store.branches(JobId("live"), 2) == [a_branch("live", 2), a_branch("live", 2, 1)]
    assert (await grab_one(store)).message.id == "free"
    assert await store.held(MessageId("held"), now=T0) is not None
    with pytest.raises(KeyTaken):
        await store.commit(Commit(now=T0, claim=a_claim("k", expires_at=at(9))))
    assert store.clock_floor == T0
    assert await store.tally() == {Status.RUNNING: 1, Status.PENDING: 1, Status.FINISHED: 1}


async def test_its_jobs_are_listed_by_every_filter_and_it_opens_again(files: Files) -> None:
    write_old(files.path, labelled)
    for _ in range(2):
        store = files.open()
        for query, wanted in (
            (JobQuery(), ["plain", "live", "done"]),
            (JobQuery(client="x"), ["live"]),
            (JobQuery(blueprint="b", status=Status.FINISHED), ["done"]),
            (JobQuery(labels=(("n", "\x00é"),)), ["plain", "live", "done"]),
            (JobQuery(client="x", labels=(("name", "live"), ("n", "\x00é"))), ["live"]),
            (JobQuery(since=at(1)), ["plain"]),
        ):
            assert [job.id for job in (await store.find(query)).jobs] == wanted
        await store.close()


async def test_labels_that_were_listed_go_with_their_jobs(files: Files) -> None:
    write_old(files.path, labelled)
    store = files.open()
    assert await store.sweep(now=at(9), finished_before=at(9), limit=9) == 1
    await store.commit(Commit(now=at(9), job=a_job("done")))
    (rows,) = store._database.execute("SELECT count(*) FROM label WHERE job = 'done'").fetchone()
    assert rows == 0


def test_a_file_that_became_one_of_this_release_has_the_schema_of_a_new_one(
    files: Files, tmp_path: Path
) -> None:
    write_old(files.path)
    files.open()
    files.open(tmp_path / "new.db")
    assert schema(files.path) == schema(tmp_path / "new.db")
    assert schema(files.path)[0] == file.SCHEMA


def test_a_file_of_schema_1_has_the_schema_that_this_release_begins_with(tmp_path: Path) -> None:
    write_old(tmp_path / "old.db")
    script = Path(file.__file__).with_name("schema_1.sql").read_text()
    database = sqlite3.connect(tmp_path / "new.db")
    database.executescript(f"{script} PRAGMA user_version = 1;")
    database.close()
    assert schema(tmp_path / "new.db") == schema(tmp_path / "old.db")


async def test_a_change_that_is_interrupted_has_not_begun(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_old(files.path, labelled)
    before = schema(files.path)

    def interrupt(database: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("interrupted")

    with monkeypatch.context() as patch:
        patch.setattr(file, "_list_labels", interrupt)
        with pytest.raises(StorageBroken):
            files.open()
    assert schema(files.path) == before
    assert len((await files.open().find(JobQuery(labels=(("n", "\x00é"),)))).jobs) == 3


def test_a_head_that_cannot_be_read_is_named_and_the_file_left_alone(files: Files) -> None:
    write_old(files.path, lambda database: database.execute("UPDATE job SET head = x'00' WHERE id = 'done'"))
    before = schema(files.path)
    with pytest.raises(StorageBroken):
        files.open()
    assert schema(files.path) == before
