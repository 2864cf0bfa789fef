"""How faults are planted in the real code, one at a time, and looked for.

A simulation that does not find them proves nothing.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from avtomatika.testing.simulate import simulate_all
from avtomatika.testing.world import Outcome
from tests.sim.simulate import show

without: Any = msgspec.structs.replace
Plant = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Mutant:
    """A fault. `found_at` is the first seed, from 0, that finds it."""

    name: str
    plant: Plant
    found_at: int
    store: str = "memory"


MUTANTS: dict[str, Mutant] = {}

UNFIT: Final = re.compile(r"\b(TypeError|AttributeError|NameError)\(")
"""What is found when the code around a fault has changed: that proves nothing."""


def mutant(found_at: int, store: str = "memory") -> Callable[[Plant], Plant]:
    """The function plants a fault of its name."""

    def register(plant: Plant) -> Plant:
        name = plant.__name__
        MUTANTS[name] = Mutant(name, plant, found_at, store)
        return plant

    return register


@contextmanager
def both(*patches: AbstractContextManager[Any]) -> Iterator[None]:
    """All of the patches at once."""
    with ExitStack() as stack:
        for one in patches:
            stack.enter_context(one)
        yield


def first_finding(planted: Mutant, seeds: Sequence[int]) -> Outcome | None:
    """The first of the worlds, with the fault planted, in which something is found."""
    with planted.plant():
        for outcome, _ in simulate_all(seeds, show(planted.store)):
            if outcome.violations:
                broken = [each for each in outcome.violations if UNFIT.search(each.detail)]
                assert not broken, f"{planted.name} does not fit what it replaces: {broken[0]}"
                return outcome
    return None


def main(names: Sequence[str], most: int = 1_000) -> int:
    """Each mutant was planted; 1 when one of them was not found."""
    missed = 0
    chosen: Mapping[str, Mutant] = {name: MUTANTS[name] for name in names} if names else MUTANTS
    for planted in chosen.values():
        seeds = range(max(most, planted.found_at + 1))
        outcome = first_finding(planted, seeds)
        if outcome is None:
            missed += 1
            print(f"{planted.name:36} NOT FOUND in {len(seeds)} seeds")
        else:
            seed = outcome.options.seed
            print(f"{planted.name:36} {seed + 1:4} seeds: {outcome.violations[0].rule}", flush=True)
    return 1 if missed else 0
