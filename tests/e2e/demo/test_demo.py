"""`avtomatika demo` with its real processes."""

import json
import signal
import sys
import time
from pathlib import Path

import pytest

from .conftest import DEADLINE, Start, processes_with

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")]


def test_the_demo_analyses_every_file_with_two_workers_and_writes_a_report(start: Start, texts: Path) -> None:
    demo = start("demo", str(texts), "--out", "report")
    assert demo.code() == 0, demo.output
    report = texts.parent / "report"
    data = json.loads((report / "report.json").read_text("utf-8"))
    page = (report / "report.html").read_text("utf-8")
    names = sorted(path.name for path in texts.glob("*.md"))
    assert [row["name"] for row in data["rows"]] == names
    assert all(name in page for name in names)
    assert data["skipped"] == [{"name": "picture.png", "why": "binary"}]
    assert sum(data["workers"].values()) == len(names)
    assert set(data["workers"]) == {"worker-1", "worker-2"}
    assert str(report / "report.html") in demo.output
    assert "24 (1 left out)" in demo.output


def test_a_crash_in_the_middle_changes_nothing(start: Start, texts: Path) -> None:
    demo = start("demo", str(texts), "--crash", "--out", "report")
    assert demo.code() == 0, demo.output
    assert "killed the orchestrator and worker-1" in demo.output
    assert "same result as without a crash: yes" in demo.output


def test_too_few_files_to_crash_in_the_middle_are_refused(start: Start, tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "one.md").write_text("one")
    demo = start("demo", "few", "--crash")
    assert demo.code() == 2
    assert "takes 5 files or more" in demo.output


def test_a_folder_without_texts_makes_an_empty_report(start: Start, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    demo = start("demo", "empty", "--out", "report")
    assert demo.code() == 0, demo.output
    assert json.loads((tmp_path / "report" / "report.json").read_text())["rows"] == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent died")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_however_the_demo_ends(start: Start, texts: Path, number: int) -> None:
    marker = f"DEMO_TEST_MARKER={texts}-{number}"
    demo = start("demo", str(texts), DEMO_TEST_MARKER=f"{texts}-{number}")
    demo.until("analyse")
    assert len(processes_with(marker)) == 4
    assert demo.end(number) != 0
    # The system ends them after the demo has ended, so there is something to wait for.
    deadline = time.monotonic() + DEADLINE
    while processes_with(marker) and time.monotonic() < deadline:
        pass
    assert processes_with(marker) == []
