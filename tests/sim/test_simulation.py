"""Whole worlds from seeds: nothing that was promised is broken, whatever happens to whom."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from avtomatika.kernel.model import Status, Verdict
from avtomatika.testing.loop import Deadlock, SimLoop
from avtomatika.testing.simulate import main, simulate, simulate_all, told
from avtomatika.testing.world import Outcome
from tests.sim.mutants import MUTANTS, Mutant, first_finding
from tests.sim.sdk_worker import hire
from tests.sim.simulate import PROGRAM, show

SEEDS = 500
SQLITE_SEEDS = 200
CHUNK = 25
TWICE = range(10_000, 10_050)
QUIET = range(250)
REGRESSIONS = Path(__file__).with_name("regression_seeds.txt")


def chunks(seeds: int) -> list[range]:
    return [range(at, min(at + CHUNK, seeds)) for at in range(0, seeds, CHUNK)]


def regressions() -> Iterator[tuple[str, int]]:
    for line in REGRESSIONS.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            store, seed, *_ = line.split()
            yield store, int(seed)


def check(outcome: Outcome) -> None:
    if outcome.violations:
        pytest.fail(told(outcome, PROGRAM), pytrace=False)


@pytest.mark.parametrize("seeds", chunks(SEEDS), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_no_promise_is_broken_by_nodes_that_share_a_store(seeds: range) -> None:
    for outcome, _ in simulate_all(seeds, show()):
        check(outcome)


@pytest.mark.parametrize("seeds", chunks(SQLITE_SEEDS), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_no_promise_is_broken_by_a_node_that_dies_over_its_file(seeds: range) -> None:
    for outcome, _ in simulate_all(seeds, show("sqlite")):
        check(outcome)


@pytest.mark.parametrize(("store", "seed"), list(regressions()))
def test_what_was_found_once_stays_repaired(store: str, seed: int) -> None:
    check(simulate(seed, show(store))[0])


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_the_same_seed_gives_the_same_world(store: str) -> None:
    unsteady = [o.options.seed for o, steady in simulate_all(TWICE, show(store, twice=True)) if not steady]
    assert unsteady == []


def test_a_seed_gives_the_same_world_in_another_process() -> None:
    digests = [outcome.digest for outcome, _ in simulate_all(range(3), show(traced=True))]
    program = (
        "from avtomatika.testing.simulate import simulate_all\n"
        "from tests.sim.simulate import show\n"
        "print(*(outcome.digest for outcome, _ in simulate_all(range(3), show())))"
    )
    for hash_seed in ("0", "1"):  # not even the order of sets matters to the system
        env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == digests


def test_the_worlds_are_eventful() -> None:
    endings: Counter[str] = Counter()
    events: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    verbs: Counter[str] = Counter()
    jobs = 0
    for outcome, _ in simulate_all(QUIET, show(traced=True)):
        jobs += outcome.jobs
        endings.update(outcome.endings)
        faults.update(outcome.counts)
        events.update(word for line in outcome.trace if " move " in line for word in line.split())
        verbs.update(line.split()[2] for line in outcome.trace if " operated " in line)
    assert jobs >= 6 * len(QUIET)
    assert all(
        endings[verdict] for verdict in (Status.FINISHED, Status.FAILED, Status.CANCELLED, Status.QUARANTINED)
    )
    for event in (
        "Submitted",
        "Decided",
        "HandlerCrashed",
        "RunAbandoned",
        "TaskAccepted",
        "TaskReported",
        "TaskSignalled",
        "TaskAbandoned",
        "DeadlinePassed",
        "CancelRequested",
        "SignalReceived",
        "AlarmRang",
        *(f"ChildEnded:{verdict}" for verdict in Verdict),
        "HumanDecided",
        "Requeued",
        "Rewound",
    ):
        assert events[event], event
    for verb in ("requeue", "rewind", "fork", "resend", "cancel"):
        assert verbs[verb], verb
    for fault in (
        "crash",
        "pause",
        "jump",
        "restart",
        "lose_reply",
        "store_fail",
        "duplicate",
        "worker_dies",
        "stall",
        "hook_fail",
        "hook_hang",
        "told",
        "cut",
        "slow_reader",
        "replaced",
        "bye",
        "called_back",
    ):
        assert faults[fault] > 10, fault


@pytest.mark.parametrize("planted", MUTANTS.values(), ids=MUTANTS)
def test_a_planted_fault_is_found(planted: Mutant) -> None:
    seeds = range(max(0, planted.found_at - 2), planted.found_at + 60)
    assert first_finding(planted, seeds) is not None


def test_waiting_costs_no_time_and_waiting_for_nothing_is_found() -> None:
    loop = SimLoop()
    try:
        loop.run_until_complete(asyncio.sleep(86_400))
        assert loop.time() == 86_400
        never: asyncio.Future[None] = loop.create_future()
        with pytest.raises(Deadlock):
            loop.run_until_complete(never)
    finally:
        loop.close()


def test_a_finding_is_printed_with_the_command_that_repeats_it(capsys: pytest.CaptureFixture[str]) -> None:
    with MUTANTS["a_move_without_fact"].plant():
        assert main(["--seeds", "3"], hire=hire, program=PROGRAM) == 1
    printed = capsys.readouterr().out
    assert "VIOLATED facts have no gap" in printed
    assert "again: python3 dev.py sim --store memory --seed " in printed
    assert main(["--seeds", "3"]) == 0
    assert "findings: 0" in capsys.readouterr().out
