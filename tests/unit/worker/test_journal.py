"""Results are in the journal from the moment they are put there until they are done, whatever happens."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from avtomatika_worker.spool import journal as module
from avtomatika_worker.spool.journal import Journal
from avtomatika_worker.spool.spool import Spooled
from rxon.messages import TaskResult

NOW = 1_000_000.0
URL, OTHER = "http://a:8080", "http://b:8080"


def spooled(task_id: str, to: str = URL, data: bytes = b'{"n":1}') -> Spooled:
    result = TaskResult(
        job_id="j", task_id=task_id, data=msgspec.Raw(data), timestamp=int(NOW), lease_token="lease"
    )
    return Spooled(to, result, 30.0)


def left_in(folder: Path, now: float = NOW) -> list[Spooled]:
    journal = Journal(folder, now)
    try:
        return journal.restored
    finally:
        journal.close()


def killed(journal: Journal) -> None:
    """Nothing more is written, and the lock is gone, as after `kill -9`."""
    os.close(journal._file)
    os.close(journal._lock)


def test_what_was_put_and_not_done_is_found_with_its_orchestrator_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path, NOW)
    for task_id in ("t1", "t2", "t3"):
        journal.put(spooled(task_id))
    journal.put(spooled("t2", OTHER))
    journal.done(URL, "t2")
    journal.flush()
    killed(journal)
    assert left_in(tmp_path) == [spooled("t1"), spooled("t3"), spooled("t2", OTHER)]
    assert left_in(tmp_path) == [spooled("t1"), spooled("t3"), spooled("t2", OTHER)]


def test_a_result_is_as_it_was_also_with_line_feeds_in_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path, NOW)
    journal.put(spooled("t1", data=b'{\n"text": "a\\nb"\n}'))
    killed(journal)
    (found,) = left_in(tmp_path)
    assert msgspec.json.decode(found.result.data or b"") == {"text": "a\nb"}


def test_what_is_done_is_gone_with_the_next_result_at_the_latest(tmp_path: Path) -> None:
    journal = Journal(tmp_path, NOW)
    journal.put(spooled("t1"))
    journal.done(URL, "t1")
    journal.put(spooled("t2"))
    killed(journal)
    assert left_in(tmp_path) == [spooled("t2")]


def test_half_a_line_is_set_aside_and_the_next_one_is_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path, NOW)
    journal.put(spooled("t1"))
    journal.put(spooled("t2"))
    killed(journal)
    file = tmp_path / "results"
    file.write_bytes(file.read_bytes()[:-20])
    journal = Journal(tmp_path, NOW)
    assert journal.restored == [spooled("t1")]
    assert "1 results that cannot be read are set aside" in caplog.text
    assert (tmp_path / "set-aside").stat().st_size > 20
    journal.put(spooled("t3"))
    killed(journal)
    assert left_in(tmp_path) == [spooled("t1"), spooled("t3")]


@pytest.mark.parametrize(
    "rubbish", [b"rubbish\n", b"\x00" * 100 + b"\n", b"00000000 {}\n", b"zz {}\n", b"\n\n"]
)
def test_rubbish_between_results_does_no_harm(tmp_path: Path, rubbish: bytes) -> None:
    journal = Journal(tmp_path, NOW)
    journal.put(spooled("t1"))
    os.write(journal._file, rubbish)
    journal._size += len(rubbish)
    journal.put(spooled("t2"))
    killed(journal)
    assert left_in(tmp_path) == [spooled("t1"), spooled("t2")]


def test_only_one_process_has_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path, NOW)
    try_it = f"""
from pathlib import Path
from avtomatika_worker.spool.journal import Journal
try:
    Journal(Path({str(tmp_path)!r}), 0.0)
except BlockingIOError:
    print("taken")
"""
    run = [sys.executable, "-c", try_it]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "taken\n"
    journal.close()
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == ""


def test_a_full_disk_is_said_once_and_work_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, NOW)
    journal.put(spooled("t1"))
    write = os.write

    def full(file: int, data: bytes) -> int:
        return write(file, data[:10])  # what fits

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "write", full)
        journal.put(spooled("t2"))
        journal.put(spooled("t3"))
    assert caplog.text.count("Results cannot be kept") == 1
    journal.done(URL, "t2")
    journal.put(spooled("t4"))
    assert "again" in caplog.text
    killed(journal)
    caplog.clear()
    assert left_in(tmp_path) == [spooled("t1"), spooled("t4")]
    assert caplog.text == ""


def test_the_file_does_not_grow_with_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMPACT_AT", 10_000)
    journal = Journal(tmp_path, NOW)
    journal.put(spooled("first"))
    for number in range(1_000):
        journal.put(spooled(f"t{number}"))
        journal.done(URL, f"t{number}")
        journal.flush()
        assert (tmp_path / "results").stat().st_size < 12_000
    killed(journal)
    assert left_in(tmp_path) == [spooled("first")]


def test_an_orderly_end_leaves_an_empty_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path, NOW)
    journal.put(spooled("t1"))
    journal.done(URL, "t1")
    journal.close()
    assert (tmp_path / "results").stat().st_size == 0


def test_what_comes_after_the_end_is_not_written_anywhere(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "spool", NOW)
    journal.close()
    other = tmp_path / "other"
    with other.open("wb"):  # has the number that the file of the journal had
        journal.put(spooled("t1"))
        journal.close()
    assert other.read_bytes() == b""


def test_what_is_older_than_a_week_is_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal(tmp_path, NOW)
    journal.put(spooled("t1"))
    killed(journal)
    week = 7 * 24 * 3600
    assert left_in(tmp_path, NOW + week) == [spooled("t1")]
    with caplog.at_level(logging.WARNING):
        assert left_in(tmp_path, NOW + week + 1) == []
    assert "older than a week" in caplog.text
    assert left_in(tmp_path) == []


def test_results_are_nobody_elses_business(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "spool" / "w1", NOW)
    journal.put(spooled("t1"))
    assert (tmp_path / "spool" / "w1").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "spool" / "w1" / "results").stat().st_mode & 0o777 == 0o600
    journal.close()
