"""Which of the workers that may have a task should have it: the strategies of a dispatch (feature D1).

A *tier* is what is worth waiting for: the workers of the lowest one are preferred for a while (late binding,
architecture 5.8.2). A *rank* puts those in order who ask at the same moment; the lowest gets the task.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from avtomatika.kernel.time import Span

Rank = tuple[float, ...]

LEAST_REPUTATION: Final = 0.1


class DispatchRules(msgspec.Struct, frozen=True):
    """What an operator may choose about dispatch.

    `soft_limit` is the number of tasks from which on a worker counts as saturated. `max_candidates` is how
    many workers are compared for one task. Without `stealing` a task stays with its preferred workers.
    """

    soft_limit: int = 3
    max_candidates: int = 50
    stealing: bool = True
    spill_after: Span = Span(5_000)
    reputation_floor: float = 0.3


class Candidate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of a worker with regard to one skill.

    `load` is how many tasks it holds, `capacity` how many it takes at most, if it said so. `turn` grows with
    each task given to anybody: the lowest one waited the longest for its turn.
    """

    cost: float = 0.0
    reputation: float = 1.0
    load: int = 0
    hot: bool = False
    turn: int = 0
    capacity: int | None = None
    busy: bool = False


class Strategy(msgspec.Struct, frozen=True):
    """How to prefer. With `soft` a worker of `soft_limit` tasks counts as saturated before it says so."""

    tier: Callable[[Candidate], float]
    rank: Callable[[Candidate, int], Rank]
    soft: bool = False


def strategy_of(name: str) -> Strategy:
    """The strategy of that name; a name that nobody knows means the default."""
    return STRATEGIES.get(name, STRATEGIES["default"])


def known(name: str) -> str:
    """The name under which the strategy is known."""
    return name if name in STRATEGIES else "default"


def saturated(strategy: Strategy, worker: Candidate, rules: DispatchRules) -> bool:
    """True when nothing is gained by waiting for *worker*."""
    if worker.busy or (worker.capacity is not None and worker.load >= worker.capacity):
        return True
    return strategy.soft and worker.load >= rules.soft_limit


def _nobody(worker: Candidate) -> float:
    return 0.0


def _hot(worker: Candidate) -> float:
    return 0.0 if worker.hot else 1.0


def _cost(worker: Candidate) -> float:
    return worker.cost


def _value(worker: Candidate) -> float:
    """The price by the reputation, in steps: a single success more is not worth waiting for."""
    return worker.cost / max(round(worker.reputation, 1), LEAST_REPUTATION)


def _by_default(worker: Candidate, soft_limit: int) -> Rank:
    return (_hot(worker), worker.cost, -worker.reputation, worker.load, worker.turn)


def _by_turn(worker: Candidate, soft_limit: int) -> Rank:
    return (worker.turn,)


def _by_load(worker: Candidate, soft_limit: int) -> Rank:
    return (worker.load, worker.turn)


def _by_cost(worker: Candidate, soft_limit: int) -> Rank:
    return (worker.cost, worker.load, worker.turn)


def _by_value(worker: Candidate, soft_limit: int) -> Rank:
    exact = worker.cost / max(worker.reputation, LEAST_REPUTATION)
    return (_value(worker), exact, -worker.reputation, worker.load, worker.turn)


def _by_room(worker: Candidate, soft_limit: int) -> Rank:
    if worker.load < soft_limit:
        return (0.0, worker.cost, worker.load, worker.turn)
    return (1.0, worker.load, worker.cost, worker.turn)


STRATEGIES: Final[Mapping[str, Strategy]] = {
    "default": Strategy(_hot, _by_default, soft=True),
    "round_robin": Strategy(_nobody, _by_turn),
    "least_connections": Strategy(_nobody, _by_load),
    "cheapest": Strategy(_cost, _by_cost),
    "best_value": Strategy(_value, _by_value),
    "overflow": Strategy(_cost, _by_room, soft=True),
}
