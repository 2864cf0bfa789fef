"""Run simulated worlds: `python -m avtomatika.testing.simulate --seeds 1000`. Exit code 1 on a finding.

A seed is a whole world: nodes, workers and clients over one store, with the faults that the seed turns on.
The same seed gives the same world, so a finding is repeated by the command that is printed with it.
"""

import argparse
import gc
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from avtomatika.testing.crew import Hire, anybody
from avtomatika.testing.options import draw
from avtomatika.testing.world import Outcome, run_world

PROGRAM: Final = "PYTHONHASHSEED=0 python -m avtomatika.testing.simulate"
CHUNK: Final = 10
COLLECT_EVERY: Final = 20
SHOWN: Final = 40
WIDTH: Final = 220
IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it


class Tally:
    """What many worlds amount to."""

    def __init__(self) -> None:
        self.seeds = 0
        self.sums: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.endings: Counter[str] = Counter()
        self.findings: list[Outcome] = []
        self.unsteady: list[int] = []

    def add(self, outcome: Outcome, *, steady: bool) -> None:
        """One more world."""
        self.seeds += 1
        self.sums.update(jobs=outcome.jobs, commits=outcome.commits, moves=outcome.moves, turns=outcome.turns)
        self.faults.update(outcome.counts)
        self.endings.update(outcome.endings)
        if outcome.violations:
            self.findings.append(outcome)
        if not steady:
            self.unsteady.append(outcome.options.seed)

    @property
    def sound(self) -> bool:
        """True when nothing was found and every world that was run twice was the same twice."""
        return not self.findings and not self.unsteady


class Show(msgspec.Struct, frozen=True):
    """How worlds are run: over which store, with whom, each once or `twice`, keeping every trace or not.

    `program` is what repeats a world.
    """

    store: str = "memory"
    hire: Hire = anybody
    program: str = PROGRAM
    twice: bool = False
    traced: bool = False


def simulate(seed: int, show: Show) -> tuple[Outcome, bool]:
    """What becomes of the seed's world, and whether a second run was the same."""
    options = draw(seed, show.store)
    with _folder() as folder:
        first = run_world(options, folder, show.hire, traced=show.traced)
    if not show.twice:
        return first, True
    with _folder() as folder:
        second = run_world(options, folder, show.hire)
    return first, first.digest == second.digest


def simulate_all(seeds: Iterable[int], show: Show) -> Iterator[tuple[Outcome, bool]]:
    """What becomes of the worlds, one after the other. Garbage is collected between them, not within."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for number, seed in enumerate(seeds, 1):
            yield simulate(seed, show)
            if number % COLLECT_EVERY == 0:
                gc.collect()
    finally:
        if was_enabled:
            gc.enable()


def told(outcome: Outcome, program: str = PROGRAM) -> str:
    """A finding in words: the options, the rule, the last lines of the trace, and how to see it again."""
    options = outcome.options
    command = f"{program} --store {options.store} --seed {options.seed} --trace"
    lines = [f"seed {options.seed} ({options.told()})", "trace:"]
    lines += [f"  {line[:WIDTH]}" for line in outcome.trace[-SHOWN:]]
    lines += [f"VIOLATED {violation}"[: 4 * WIDTH] for violation in outcome.violations]
    return "\n".join([*lines, f"again: {command}"])


@contextmanager
def _folder() -> Generator[Path]:
    place = IN_MEMORY if IN_MEMORY.is_dir() and os.access(IN_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="avtomatika-sim-", dir=place, ignore_cleanup_errors=True) as name:
        yield Path(name)


def _chunk(work: tuple[range, Show]) -> list[tuple[Outcome, bool]]:
    return list(simulate_all(*work))


def _outcomes(seeds: range, show: Show, jobs: int) -> Iterator[tuple[Outcome, bool]]:
    if jobs == 1:
        yield from simulate_all(seeds, show)
        return
    chunks = [(seeds[at : at + CHUNK], show) for at in range(0, len(seeds), CHUNK)]
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for outcomes in pool.imap(_chunk, chunks):
            yield from outcomes


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="simulate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="S", help="the first seed")
    parser.add_argument("--seed", type=int, help="this seed only")
    parser.add_argument("--store", choices=("memory", "sqlite"), default="memory")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--twice", action="store_true", help="run each world twice and compare")
    parser.add_argument("--trace", action="store_true", help="print the whole trace")
    return parser.parse_args(argv)


def _print_summary(tally: Tally, seconds: float, store: str) -> None:
    sums = tally.sums
    print(
        f"{tally.seeds} seeds over {store} in {seconds:.1f} s: {tally.seeds / seconds:.1f} seeds/s, "
        f"{sums['jobs']} jobs, {sums['moves']} moves, {sums['commits']} commits, {sums['turns']} turns"
    )
    print("endings:", ", ".join(f"{name} {count}" for name, count in sorted(tally.endings.items())))
    print("faults:", ", ".join(f"{name} {count}" for name, count in sorted(tally.faults.items())) or "none")
    if tally.unsteady:
        print("NOT THE SAME TWICE:", *tally.unsteady)
    print(f"findings: {len(tally.findings)}", *(finding.options.seed for finding in tally.findings))


def main(argv: Sequence[str] | None = None, *, hire: Hire = anybody, program: str = PROGRAM) -> int:
    """The worlds have run and the summary is printed; 1 when something was found, else 0.

    *hire* makes the workers, and *program* is the command that does the same again.
    """
    args = _parse(argv)
    seeds = range(args.first, args.first + args.seeds)
    if args.seed is not None:
        seeds = range(args.seed, args.seed + 1)
    show = Show(store=args.store, hire=hire, program=program, twice=args.twice, traced=args.trace)
    tally, began = Tally(), time.perf_counter()
    for outcome, steady in _outcomes(seeds, show, args.jobs):
        tally.add(outcome, steady=steady)
        if args.trace:
            print("\n".join(outcome.trace))
        if outcome.violations:
            print(told(outcome, program), flush=True)
    _print_summary(tally, time.perf_counter() - began, args.store)
    return 0 if tally.sound else 1


def fix_order_of_sets(module: str) -> None:
    """The order of sets is part of what a seed decides: *module* is run again if it is not fixed."""
    if sys.flags.hash_randomization:
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]])  # noqa: S606


if __name__ == "__main__":
    fix_order_of_sets("avtomatika.testing.simulate")
    sys.exit(main())
