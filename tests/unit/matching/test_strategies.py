"""Every strategy puts workers in its order, and says for whom a task is worth a wait."""

import pytest

from avtomatika.matching.strategies import (
    STRATEGIES,
    Candidate,
    DispatchRules,
    known,
    saturated,
    strategy_of,
)

RULES = DispatchRules()

# Each line: the strategy, and workers from the best to the worst.
ORDERS: list[tuple[str, list[Candidate]]] = [
    ("default", [Candidate(hot=True, cost=9.0), Candidate(cost=1.0), Candidate(cost=2.0)]),
    ("default", [Candidate(reputation=0.9), Candidate(reputation=0.8)]),
    ("default", [Candidate(load=0, turn=9), Candidate(load=1)]),
    ("default", [Candidate(turn=3), Candidate(turn=4)]),
    ("round_robin", [Candidate(turn=1, cost=9.0, load=9), Candidate(turn=2, hot=True)]),
    ("least_connections", [Candidate(load=1, cost=9.0, turn=5), Candidate(load=2, hot=True)]),
    ("least_connections", [Candidate(load=1, turn=1), Candidate(load=1, turn=2)]),
    ("cheapest", [Candidate(cost=1.0, load=9), Candidate(cost=2.0, hot=True)]),
    ("cheapest", [Candidate(cost=1.0, load=1), Candidate(cost=1.0, load=2)]),
    ("best_value", [Candidate(cost=1.0, reputation=1.0), Candidate(cost=0.8, reputation=0.5)]),
    ("best_value", [Candidate(cost=0.4, reputation=0.5), Candidate(cost=1.0)]),
    ("best_value", [Candidate(reputation=0.9), Candidate(reputation=0.8)]),
    ("overflow", [Candidate(cost=1.0, load=2), Candidate(cost=2.0), Candidate(cost=1.0, load=3)]),
    ("overflow", [Candidate(cost=9.0, load=3), Candidate(cost=1.0, load=4)]),
]


@pytest.mark.parametrize(("name", "workers"), ORDERS)
def test_a_strategy_puts_workers_in_its_order(name: str, workers: list[Candidate]) -> None:
    rank = strategy_of(name).rank
    ranks = [rank(worker, RULES.soft_limit) for worker in workers]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(ranks)


# Each line: the strategy, a worker, another one, and whether the first is worth a wait.
TIERS: list[tuple[str, Candidate, Candidate, bool]] = [
    ("default", Candidate(hot=True), Candidate(), True),
    ("default", Candidate(cost=1.0), Candidate(cost=2.0), False),
    ("default", Candidate(reputation=1.0), Candidate(reputation=0.5), False),
    ("round_robin", Candidate(turn=1), Candidate(turn=2), False),
    ("least_connections", Candidate(load=0), Candidate(load=9), False),
    ("cheapest", Candidate(cost=1.0), Candidate(cost=1.1), True),
    ("best_value", Candidate(cost=1.0), Candidate(cost=2.0), True),
    ("best_value", Candidate(cost=1.0, reputation=1.0), Candidate(cost=1.0, reputation=0.999), False),
    ("best_value", Candidate(cost=1.0, reputation=1.0), Candidate(cost=1.0, reputation=0.8), True),
    ("overflow", Candidate(cost=1.0), Candidate(cost=2.0), True),
]


@pytest.mark.parametrize(("name", "one", "other", "worth"), TIERS)
def test_only_some_differences_are_worth_a_wait(
    name: str, one: Candidate, other: Candidate, worth: bool
) -> None:
    tier = strategy_of(name).tier
    assert (tier(one) < tier(other)) is worth
    assert not tier(other) < tier(one)


@pytest.mark.parametrize("name", STRATEGIES)
def test_nobody_waits_for_a_worker_that_is_busy_or_full(name: str) -> None:
    strategy = strategy_of(name)
    assert saturated(strategy, Candidate(busy=True), RULES)
    assert saturated(strategy, Candidate(load=1, capacity=1), RULES)
    assert not saturated(strategy, Candidate(load=2, capacity=3), RULES)


@pytest.mark.parametrize(("name", "soft"), [("default", True), ("overflow", True), ("cheapest", False)])
def test_the_soft_limit_is_for_strategies_that_overflow(name: str, soft: bool) -> None:
    worker = Candidate(load=RULES.soft_limit)
    assert saturated(strategy_of(name), worker, RULES) is soft


def test_a_name_that_nobody_knows_means_the_default() -> None:
    assert strategy_of("fastest") is strategy_of("default")
    assert (known("fastest"), known("cheapest")) == ("default", "cheapest")


def test_a_reputation_of_nothing_does_not_divide_by_it() -> None:
    nothing = Candidate(cost=1.0, reputation=0.0)
    assert strategy_of("best_value").tier(nothing) == 10.0
