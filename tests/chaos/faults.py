"""What is done to whom, and when: drawn from a seed before anything happens."""

import random
from collections.abc import Sequence
from typing import Final

import msgspec

from tests.chaos.options import SHARED, Options

QUIET_START: Final = 3.0
"""Seconds in which nothing happens: the parties find each other."""

QUIET_END: Final = 3.0


class Plan(msgspec.Struct, frozen=True):
    """A fault: `at` so many seconds after the load began, for `seconds`."""

    at: float
    kind: str
    target: str
    seconds: float
    amount: float = 0.0


class Kind(msgspec.Struct, frozen=True):
    """A kind of fault: how often it is drawn, whom it meets, and for how long."""

    weight: float
    party: str
    low: float
    high: float
    stores: tuple[str, ...] = ("memory", "sqlite", "valkey", "postgres")


EXTERNAL: Final = SHARED

# Ten minutes are to have sixty kills; every kind comes once before these weights count.
KINDS: Final[dict[str, Kind]] = {
    "kill node": Kind(20, "node", 0.2, 2.0, ("sqlite", *EXTERNAL)),
    "kill worker": Kind(20, "worker", 0.2, 3.0),
    "stop node": Kind(2, "node", 2.5, 4.0),
    "stop worker": Kind(2, "worker", 2.5, 5.0),
    "cut off node": Kind(1.5, "node", 1.0, 4.0),
    "cut off worker": Kind(1.5, "worker", 1.0, 5.0),
    "hole": Kind(1, "link", 1.0, 4.0),
    "half": Kind(1, "link", 1.0, 4.0),
    "reset": Kind(1, "link", 0.5, 3.0),
    "cut answers": Kind(1.5, "link", 0.3, 2.0),
    "slow": Kind(1, "link", 1.0, 4.0),
    "kill store": Kind(8, "store", 0.2, 2.0, EXTERNAL),
    "pause store": Kind(1, "store", 0.5, 3.0, EXTERNAL),
    "step clock": Kind(1, "node", 1.0, 5.0),
    "fill disk": Kind(1, "store", 0.5, 2.0, ("sqlite",)),
}


def kinds(options: Options) -> list[str]:
    """The kinds of faults that a run with these options can have."""
    found = [name for name, kind in KINDS.items() if options.store in kind.stores]
    return [name for name in found if not options.only or name in options.only]


def draw(options: Options) -> list[Plan]:
    """The faults of a run. Every kind comes before any comes by chance."""
    rng = random.Random(options.seed)
    possible = kinds(options)
    first = rng.sample(possible, len(possible))
    plans: list[Plan] = []
    at, low, high = QUIET_START, *options.pace
    while at < options.seconds - QUIET_END and possible:
        name = first.pop(0) if first else rng.choices(possible, [KINDS[each].weight for each in possible])[0]
        plans.append(_plan(name, at, options, rng))
        at += rng.uniform(low, high)
    return plans


def _plan(name: str, at: float, options: Options, rng: random.Random) -> Plan:
    kind = KINDS[name]
    node, worker = f"n{rng.randrange(options.nodes)}", f"w{rng.randrange(options.workers)}"
    target = {"node": node, "worker": worker, "store": "store", "link": _link(options, node, worker, rng)}
    seconds = rng.uniform(kind.low, kind.high)
    return Plan(at, name, target[kind.party], seconds, _amount(name, options, rng))


def _link(options: Options, node: str, worker: str, rng: random.Random) -> str:
    ways = [f"clients>{node}", f"{worker}>{node}", f"workers>{node}"]
    if options.store in SHARED:
        ways += [f"{node}>store"] * 2
    return rng.choice(ways)


def _amount(name: str, options: Options, rng: random.Random) -> float:
    """How slow a link is, or how far a clock is set; little, where a node follows its own clock."""
    if name == "slow":
        return rng.uniform(0.02, 0.3)
    if options.store in SHARED:
        return rng.choice((-3_600.0, -7.0, 7.0, 3_600.0))
    return rng.choice((-1.0, 1.0))


def tally(plans: Sequence[Plan]) -> dict[str, int]:
    """How many of each kind there are."""
    counts: dict[str, int] = {}
    for plan in plans:
        counts[plan.kind] = counts.get(plan.kind, 0) + 1
    return counts
