"""What only a file can do to a history: be missing, be moved, be locked, be something else."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from avtomatika.app import open_history
from avtomatika.errors import ConfigError, Unavailable
from tests.integration.history.conftest import lines_of
from tests.integration.history.test_tables import a_row, line


def test_a_file_that_is_no_database_is_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Remember the milk. " * 100)
    with pytest.raises(ConfigError, match=r"HISTORY_DATABASE_URI: .*notes\.txt"):
        open_history(f"sqlite:///{tmp_path / 'notes.txt'}")
    assert "milk" in (tmp_path / "notes.txt").read_text()


@pytest.mark.parametrize("place", ["", "file/below/a/file.db"])
def test_a_place_where_no_file_can_be_is_refused_at_start(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="HISTORY_DATABASE_URI"):
        open_history(f"sqlite:///{tmp_path / place}")


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    open_history(f"sqlite:///{tmp_path / 'h.db'}")
    assert (tmp_path / "h.db").stat().st_mode & 0o777 == 0o600


async def test_a_database_of_somebody_else_keeps_its_tables(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'h.db'}"
    with closing(sqlite3.connect(tmp_path / "h.db")) as other, other:
        other.execute("CREATE TABLE job_history (x)")
        other.execute("PRAGMA user_version = 7")
    history = open_history(uri)
    await history.write([a_row()])
    await history.close()
    assert await lines_of(uri) == [line(a_row())]
    with closing(sqlite3.connect(tmp_path / "h.db")) as other:
        assert other.execute("SELECT count(*) FROM job_history").fetchone() == (0,)


async def test_rows_go_to_the_file_that_is_at_the_path(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    history = open_history(f"sqlite:///{path}")
    await history.write([a_row(1)])
    path.unlink()
    await history.write([a_row(2)])
    await history.close()
    assert await lines_of(f"sqlite:///{path}") == [line(a_row(2))]


async def test_a_file_that_somebody_holds_is_written_when_it_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avtomatika.records.sqlite.BUSY_S", 0.05)
    uri = f"sqlite:///{tmp_path / 'h.db'}"
    history = open_history(uri)
    with closing(sqlite3.connect(tmp_path / "h.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked"):
            await history.write([a_row(1)])
        holder.execute("ROLLBACK")
    await history.write([a_row(1)])
    await history.close()
    assert await lines_of(uri) == [line(a_row(1))]


async def test_a_disk_that_is_full_is_no_end(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'h.db'}"
    history = open_history(uri)
    database = history._database  # type: ignore[attr-defined]  # a disk as small as this one cannot be made
    database.execute("PRAGMA max_page_count = 12")
    large = [a_row(n, data=b'"' + b"x" * 4_000 + b'"') for n in range(20)]
    with pytest.raises(Unavailable, match="full"):
        await history.write(large)
    await history.write(large)  # the limit was that of the connection
    await history.close()
    assert len(await lines_of(uri)) == 20
