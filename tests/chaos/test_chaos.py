"""A minute of fire on each store. `python3 dev.py chaos --seconds 600` is the long form."""

from pathlib import Path

import pytest

from tests.chaos.__main__ import run
from tests.chaos.options import Kind, Options
from tests.chaos.planted import PLANTED
from tests.chaos.planted.planting import found
from tests.chaos.planted.planting import run as run_planted
from tests.chaos.stores import NotPossible

RATES: dict[Kind, float] = {"sqlite": 60.0, "valkey": 40.0, "postgres": 30.0}
QUICK = ("cancel_that_only_marks", "repeats_refused")


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("store", RATES)
def test_a_minute_under_fire_breaks_no_promise(store: Kind, tmp_path: Path) -> None:
    options = Options(store=store, seconds=60, rate=RATES[store], workers=8, seed=1)
    try:
        verdict = run(options, tmp_path)
    except NotPossible as why:
        pytest.skip(str(why))
    print(f"\n{verdict}")
    assert verdict.word == "green", str(verdict)


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.parametrize("name", QUICK)
def test_a_fault_that_is_planted_is_found(name: str, tmp_path: Path) -> None:
    planted = PLANTED[name]
    verdict = run_planted(planted, tmp_path)
    assert found(planted, verdict), str(verdict)


def test_at_least_fifteen_faults_can_be_planted_on_three_stores() -> None:
    assert len(PLANTED) >= 15
    assert {planted.options.store for planted in PLANTED.values()} >= {"sqlite", "postgres"}
