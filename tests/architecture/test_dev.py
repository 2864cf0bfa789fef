"""dev.py runs what it is asked to run, and notices when nothing was run."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import dev


def quits(code: int) -> list[str | Path]:
    return [sys.executable, "-c", f"raise SystemExit({code})"]


def test_arguments_of_a_command_are_passed_on() -> None:
    command, rest = dev.parse(["sim", "--seeds", "3", "--from", "7"])
    assert (command, rest) == (dev.sim, ["--seeds", "3", "--from", "7"])
    command, rest = dev.parse(["demo", "--help"])
    assert (command, rest) == (dev.demo, ["--help"])


def test_check_refuses_arguments() -> None:
    with pytest.raises(SystemExit):
        dev.parse(["check", "--fast"])


def test_the_verdict_is_red_when_one_step_failed(capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = dev.captured("good", quits(0)), dev.captured("bad", quits(3))
    assert dev.verdict([good], 0.0) == 0
    assert dev.verdict([good, bad], 0.0) == 1
    assert "FAILED: bad" in capsys.readouterr().out


def test_an_empty_suite_is_skipped_and_a_failing_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def ends_with(code: int) -> int | None:
        def step(name: str, command: Sequence[str | Path]) -> dev.Outcome:
            return dev.Outcome(name, code, 0.0)

        monkeypatch.setattr(dev, "step", step)
        return dev.run_suite("suite", ["tests/suite"]).code

    assert dev.run_suite("suite", []).code is None
    assert ends_with(dev.NO_TESTS) is None
    assert ends_with(1) == 1


def test_every_folder_of_tests_belongs_to_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("unit", "contract", "perf", "anything", "empty"):
        (tmp_path / folder).mkdir()
        if folder != "empty":
            (tmp_path / folder / "test_it.py").touch()
    monkeypatch.setattr(dev, "TESTS", tmp_path)
    assert dev.suites() == (["tests/contract"], ["tests/anything"])


def test_uv_hears_what_pip_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "one two")
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.delenv("UV_FIND_LINKS", raising=False)
    env = dev.uv_environment()
    assert (env["UV_DEFAULT_INDEX"], env["UV_FIND_LINKS"]) == ("https://index.example/simple", "one,two")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://other.example/simple")
    assert dev.uv_environment()["UV_DEFAULT_INDEX"] == "https://other.example/simple"


def test_simulation_runs_with_a_fixed_hash_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def call(command: Sequence[str | Path], env: dict[str, str]) -> int:
        seen.extend([str(command[2]), env["PYTHONHASHSEED"], str(command[-1])])
        return 0

    monkeypatch.setattr(dev, "call", call)
    assert dev.sim(["--seed=4"]) == 0
    assert seen == ["tests.sim.simulate", "0", "--seed=4"]
