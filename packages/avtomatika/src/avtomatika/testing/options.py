"""Which faults a seed brings, and how often. Each turns on another few: a swarm finds more than a mix."""

import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

CLIENT: Final = "client"
"""Whose all jobs are."""

BLUEPRINTS: Final[tuple[str, ...]] = (
    "chain",
    "steps",
    "statuses",
    "limits",
    "fan_fail",
    "fan_collect",
    "nested",
    "resting",
    "raising",
    "family",
    "asking",
    "slow",
    "loop",
    "poison",
)


class Options(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one world is like. Rates are chances per call, message or task; spans are milliseconds.

    `sdk` is the share of workers that are driven by the SDK, and `streams` of those the share that stream. A
    world is `gentle` when nothing goes wrong but tasks and connections.
    """

    seed: int
    store: str = "memory"
    nodes: int = 1
    workers: int = 1
    jobs: int = 6
    blueprints: tuple[str, ...] = BLUEPRINTS[:3]
    widest: int = 4
    faults_for: int = 20_000
    task_lease: int = 3_000
    run_lease: int = 3_000
    longest_poll: int = 20_000
    idle_stretch: int = 12
    store_delay: float = 0.0
    slow_delay: bool = False
    store_fail: float = 0.0
    lose_reply: float = 0.0
    crash_before: float = 0.0
    crash_after: float = 0.0
    hints_lost: float = 0.0
    hints_early: float = 0.0
    slow_disk: bool = False
    lose_request: float = 0.0
    lose_response: float = 0.0
    duplicate: float = 0.0
    late: float = 0.0
    disconnect: float = 0.0
    crashes: int = 0
    pauses: int = 0
    restarts: int = 0
    skew: int = 0
    jumps: int = 0
    die: float = 0.0
    stall: float = 0.0
    hang: float = 0.0
    twice: float = 0.0
    old: float = 0.0
    tokenless: float = 0.0
    fail: float = 0.0
    custom: float = 0.0
    raising: float = 0.0
    slow: float = 0.0
    cancel: float = 0.0
    signal: float = 0.0
    keys: float = 0.5
    hooks: float = 0.0
    hook_fail: float = 0.0
    hook_hang: float = 0.0
    hook_refuse: float = 0.0
    odd_answers: float = 0.0
    operations: int = 0
    beat: int = 0
    catch_up: str = "one"
    sdk: float = 0.0
    streams: float = 0.0
    tell: float = 0.0
    long: float = 0.0
    stubborn: float = 0.0
    cut: float = 0.0
    slow_reader: float = 0.0
    gentle: bool = False

    def told(self) -> str:
        """The options that differ from a quiet world, in one line."""
        given: Mapping[str, object] = msgspec.to_builtins(self)
        plain = {name: value for name, value in given.items() if value}
        return " ".join(
            f"{name}={','.join(self.blueprints) if name == 'blueprints' else value}"
            for name, value in plain.items()
        )


_RATES: Final[Mapping[str, Sequence[float]]] = {
    "store_fail": (0.005, 0.02, 0.05),
    "lose_reply": (0.005, 0.02, 0.05),
    "crash_before": (0.002, 0.005),
    "crash_after": (0.002, 0.005),
    "hints_lost": (0.1, 0.5, 1.0),
    "hints_early": (0.1, 0.3),
    "lose_request": (0.02, 0.1),
    "lose_response": (0.02, 0.1),
    "duplicate": (0.05, 0.2),
    "late": (0.1, 0.3),
    "disconnect": (0.05, 0.2),
    "die": (0.02, 0.1, 0.2),
    "stall": (0.05, 0.15),
    "hang": (0.02, 0.1),
    "twice": (0.1, 0.4),
    "old": (0.1, 0.4),
    "tokenless": (0.3, 1.0),
    "fail": (0.05, 0.2, 0.4),
    "custom": (0.1, 0.3),
    "raising": (0.03, 0.1),
    "slow": (0.05, 0.2),
    "cancel": (0.1, 0.3),
    "signal": (0.2, 0.6),
    "hook_fail": (0.2, 0.6),
    "hook_hang": (0.1, 0.3),
    "hook_refuse": (0.1, 0.3),
    "odd_answers": (0.2, 0.5),
    "tell": (0.3, 1.0),
    "long": (0.1, 0.3),
    "stubborn": (0.2, 0.5),
    "cut": (0.02, 0.1),
    "slow_reader": (0.1, 0.3),
}
_COUNTS: Final[Mapping[str, Sequence[int]]] = {
    "crashes": (1, 2, 4),
    "pauses": (1, 2),
    "restarts": (1, 2),
    "jumps": (1, 2),
    "operations": (3, 6),
}


_GENTLE: Final = frozenset(
    {"cancel", "custom", "cut", "fail", "hook_fail", "long", "raising", "signal", "stubborn", "tell"}
)


def draw(seed: int, store: str = "memory") -> Options:
    """The options that belong to the seed."""
    rng = random.Random(f"options {seed}")
    chosen: dict[str, Any] = {name: rng.choice(rates) for name, rates in _RATES.items() if rng.random() < 0.4}
    chosen |= {name: rng.choice(counts) for name, counts in _COUNTS.items() if rng.random() < 0.3}
    if store == "memory":
        chosen["nodes"] = rng.choice((1, 2, 2, 3))
    elif rng.random() < 0.5:
        chosen["slow_disk"] = True
    if rng.random() < 0.25:
        chosen |= {"beat": rng.choice((3, 5, 8)), "catch_up": rng.choice(("all", "all", "one", "skip"))}
    if rng.random() < 0.4:
        chosen["skew"] = rng.choice((50, 2_000, 2_000, 60_000))
    options = Options(
        seed=seed,
        store=store,
        workers=rng.randint(1, 5) if rng.random() < 0.8 else 8,
        jobs=rng.randint(6, 9),
        blueprints=_blueprints(rng),
        widest=rng.choice((3, 3, 6, 6, 30)),
        faults_for=rng.choice((8_000, 15_000, 30_000)),
        task_lease=rng.choice((2_000, 4_000)),
        run_lease=rng.choice((2_000, 4_000)),
        longest_poll=rng.choice((5_000, 20_000)),
        idle_stretch=rng.choice((5, 15)),
        store_delay=rng.choice((0.0, 0.05, 0.2, 0.5)),
        slow_delay=rng.random() < 0.3,
        keys=rng.choice((0.0, 0.5, 1.0)),
        hooks=rng.choice((0.0, 0.3, 1.0)),
        sdk=rng.choice((0.0, 0.5, 1.0, 1.0)),
        streams=rng.choice((0.0, 0.5, 1.0)),
        **chosen,
    )
    return _gentle(options, chosen) if rng.random() < 0.15 else options


def _gentle(options: Options, chosen: Mapping[str, Any]) -> Options:
    """The same world without what is wrong with nodes, the store, and workers."""
    calm = {name: getattr(_CALM, name) for name in chosen if name not in _GENTLE and name != "nodes"}
    blueprints = tuple(name for name in options.blueprints if name not in ("poison", "slow"))
    calm |= {"sdk": 1.0, "slow_delay": False, "idle_stretch": 1, "gentle": True}
    return msgspec.structs.replace(options, blueprints=blueprints, **calm)


_CALM: Final = Options(seed=0)


def _blueprints(rng: random.Random) -> tuple[str, ...]:
    some: list[str] = rng.sample(BLUEPRINTS[:-1], rng.randint(2, 6))
    if rng.random() < 0.25 and "family" not in some:
        some.append("family")
    if rng.random() < 0.15:
        some.append("poison")
    return tuple(some)
