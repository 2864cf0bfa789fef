"""Which faults a run has is decided by its options alone, before it begins."""

import pytest

from tests.chaos.faults import KINDS, QUIET_END, QUIET_START, draw, kinds, tally
from tests.chaos.fire import LEADS_ON, TRACEBACK, complaints
from tests.chaos.options import Kind, Options

STORES: tuple[Kind, ...] = ("memory", "sqlite", "valkey", "postgres")


@pytest.mark.parametrize("store", STORES)
def test_a_minute_has_every_kind_of_fault_that_its_store_can_have(store: Kind) -> None:
    for seed in range(20):
        options = Options(store=store, seconds=60, seed=seed)
        assert set(tally(draw(options))) == set(kinds(options))


def test_the_same_options_give_the_same_faults_and_another_seed_others() -> None:
    assert draw(Options(seed=4)) == draw(Options(seed=4))
    assert draw(Options(seed=4)) != draw(Options(seed=5))


def test_faults_come_while_there_is_load_and_neither_in_its_first_nor_its_last_moments() -> None:
    for seed in range(20):
        moments = [plan.at for plan in draw(Options(seconds=60, seed=seed))]
        assert moments == sorted(moments)
        assert min(moments) >= QUIET_START
        assert max(moments) < 60 - QUIET_END


def test_a_long_run_has_a_fault_every_three_to_ten_seconds() -> None:
    plans = draw(Options(store="valkey", seconds=600))
    assert 600 / 10 <= len(plans) <= 600 / 3


def test_a_store_without_a_process_is_not_killed_and_only_a_file_fills_its_disk() -> None:
    assert {"kill store", "pause store", "fill disk", "kill node"}.isdisjoint(kinds(Options(store="memory")))
    assert "fill disk" in kinds(Options(store="sqlite"))
    assert "fill disk" not in kinds(Options(store="postgres"))


def test_where_a_node_follows_its_own_clock_that_is_nudged_only() -> None:
    def steps(store: Kind) -> set[float]:
        plans = draw(Options(store=store, seconds=600, only=("step clock",)))
        return {abs(plan.amount) for plan in plans}

    assert steps("sqlite") == {1.0}
    assert steps("valkey") == {7.0, 3_600.0}


def test_only_the_kinds_that_were_asked_for_are_drawn() -> None:
    only = ("kill node", "hole")
    assert set(tally(draw(Options(only=only)))) == set(only)
    assert set(KINDS) > set(only)


def test_a_traceback_in_the_log_of_a_node_is_one_with_those_that_led_to_it() -> None:
    first = f"{TRACEBACK}\n  line\nOSError: gone\n\n{LEADS_ON[0]}\n\n{TRACEBACK}\n  line\nUnavailable: no\n"
    log = f"started\n{first}{TRACEBACK}\n  line\nKeyError: 1\n"
    ends = [found.strip().splitlines()[-1] for found in complaints(log)]
    assert ends == ["Unavailable: no", "KeyError: 1"]
    assert "OSError: gone" in complaints(log)[0]
    assert complaints("nothing of that") == []
