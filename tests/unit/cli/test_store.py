"""`avtomatika store`: what it says, and how it ends."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from avtomatika.cli import avtomatika
from avtomatika.clock import SystemClock, SystemNames
from avtomatika.stores.sql.sqlite import SqliteStore
from avtomatika.testing.contract.values import a_job, a_message, create, send


def run(*arguments: str, **env: str) -> Result:
    return CliRunner().invoke(avtomatika, ["store", *arguments], env={"STORAGE_URL": None, **env})


@pytest.fixture
def old(tmp_path: Path) -> str:
    """A store with a job and a message, whose process has ended."""

    async def fill() -> None:
        now = SystemClock().now
        store = SqliteStore(tmp_path / "old.db", now=now, tokens=SystemNames().token, broken=print)
        await create(store, a_job("j"))
        await send(store, a_message("m"))
        await store.close()

    asyncio.run(fill())
    return f"sqlite:///{tmp_path / 'old.db'}"


@pytest.fixture
def new(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'new.db'}"


def test_a_copy_says_what_was_moved_and_what_is_next(old: str, new: str) -> None:
    first = run("copy", "--from", old, "--to", new)
    assert first.exit_code == 0
    assert first.output == (
        "Copied: 1 job that had changed, 1 message, 0 keys, 0 values.\n"
        "Not finished: stop the node, then the same command with --finish.\n"
    )
    last = run("copy", "--from", old, "--finish", STORAGE_URL=new)
    assert last.exit_code == 0
    assert last.output.startswith("Copied: 0 jobs that had changed, 1 message,")
    assert "None starts on the old one" in last.output


def test_what_was_moved_can_be_opened_again_and_nothing_else(old: str, new: str) -> None:
    refused = run("reopen", old)
    assert refused.exit_code == 2
    assert "was not moved" in refused.output
    run("copy", "--from", old, "--to", new, "--finish")
    assert run("reopen", old).output == "Nodes can start on it.\n"
    assert run("reopen", old).exit_code == 2


def test_a_copy_into_a_used_store_is_refused_in_one_line(old: str, new: str) -> None:
    run("copy", "--from", old, "--to", new, "--finish")
    run("reopen", old)
    refused = run("copy", "--from", old, "--to", new)
    assert refused.exit_code == 2
    assert refused.output == (
        "Error: config_invalid: That store is not empty. Copy into a new one, or under another prefix.\n"
    )


def test_a_store_has_to_be_named(old: str) -> None:
    refused = run("copy", "--from", old)
    assert refused.exit_code == 2
    assert "Name the store" in refused.output


def test_only_sqlite_stores_are_copied(new: str) -> None:
    refused = run("copy", "--from", "redis://127.0.0.1/0", "--to", new)
    assert refused.exit_code == 2
    assert "is not sqlite:///PATH" in refused.output
    assert "127.0.0.1" not in refused.output.replace("redis://127.0.0.1/0", "")


def test_a_clock_that_is_behind_is_told(old: str, new: str, tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "old.db") as database:
        database.execute("INSERT OR REPLACE INTO meta VALUES ('clock_floor', ?)", (2**42,))
    told = run("copy", "--from", old, "--to", new)
    assert "The clock of the new store is" in told.output
    assert "s behind" in told.output
