"""What jobs compute, for those who do it and for those who check it."""

import random
from typing import Any, Final
from zlib import crc32

WIDTH: Final = 3
"""How many branches a fan-out has."""

SHARES: Final[dict[str, float]] = {
    "one": 0.30,
    "chain": 0.12,
    "fan": 0.08,
    "parent": 0.08,
    "nap": 0.09,
    "approval": 0.07,
    "event": 0.06,
    "race": 0.10,
    "flaky": 0.05,
    "doomed": 0.03,
    "slow": 0.02,
}
"""The kinds of jobs that clients ask for, and how often."""

SLOW_SECONDS: Final = 5.0
FAILURES: Final = 2
"""How many attempts of a flaky task fail."""


def kind_of(n: int) -> str:
    """The kind of job number *n*."""
    return random.Random(n).choices(list(SHARES), list(SHARES.values()))[0]


def wants_webhook(n: int) -> bool:
    """Whether the client of job number *n* wants to hear of its end."""
    return n % 4 == 0


def value(n: int, step: int, before: int = 0) -> int:
    """What a worker makes of its parameters."""
    return crc32(f"{n}/{step}/{before}".encode())


def pause(n: int, step: int) -> float:
    """How long it takes for that."""
    return 0.01 + (value(n, step) % 100) / 1_000


def expected(kind: str, n: int) -> tuple[str, Any]:
    """The status and the result of a job to which nothing untoward happens."""
    match kind:
        case "one" | "parent" | "flaky" | "race" | "slow":
            return "finished", {"value": value(n, 1)}
        case "chain":
            last = value(n, 3, value(n, 2, value(n, 1)))
            return "finished", {"value": last, "applied": [1, 2, 3]}
        case "fan":
            return "finished", {"values": [value(n, step) for step in range(WIDTH)], "applied": 1}
        case "nap":
            return "finished", {"n": n}
        case "approval" | "event":
            return "finished", {"word": n}
        case "doomed":
            return "quarantined", None
        case _:
            raise ValueError(kind)
