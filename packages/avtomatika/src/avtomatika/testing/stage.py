"""What everybody in one simulated world shares: the loop, chance, the trace, and the ledger."""

import asyncio
import random
from collections import Counter
from hashlib import blake2b
from typing import Any, Final

from avtomatika.kernel.time import Instant
from avtomatika.testing.clock import SeededNames, SimClock
from avtomatika.testing.invariants import Ledger
from avtomatika.testing.loop import SimLoop
from avtomatika.testing.options import Options

DISTURBING: Final = frozenset({"crash", "jump", "lose_reply", "pause", "restart", "slow_store", "store_fail"})
"""Faults after which a node may not be able to give back what it holds before its lease runs out."""


class Trace:
    """What happened, in order. Two runs of one seed have the same digest."""

    def __init__(self) -> None:
        self.lines: list[tuple[object, ...]] = []

    def told(self, last: int | None = None) -> list[str]:
        """The lines as text, or only the last so many."""
        chosen = self.lines if last is None else self.lines[-last:]
        return [" ".join(str(part) for part in line) for line in chosen]

    def digest(self) -> str:
        """A short name for everything that happened."""
        return blake2b(repr(self.lines).encode(), digest_size=8).hexdigest()


class Stage:
    """One world's shared things. `faulty` is True until the world heals."""

    def __init__(self, loop: SimLoop, options: Options) -> None:
        self.loop = loop
        self.options = options
        self.rng = random.Random(f"world {options.seed}")
        self.clock = SimClock(loop)
        self.names = SeededNames(self.rng)
        self.trace = Trace()
        self.counts: Counter[str] = Counter()
        self.faulty = True
        self.stirred = asyncio.Event()
        self.ledger = Ledger(self.log, self.stirred.set, options)

    def now(self) -> Instant:
        """The true time."""
        return self.clock.now()

    def log(self, kind: str, *what: object) -> None:
        """The trace has one line more."""
        self.trace.lines.append((round(self.loop.time() * 1_000), kind, *what))

    def fault(self, kind: str, *what: object) -> None:
        """A fault was injected: it is counted and in the trace."""
        self.counts[kind] += 1
        self.log("fault", kind, *what)
        if kind in DISTURBING:
            self.ledger.messages.unrest += 1

    def chance(self, rate: float) -> bool:
        """True as often as *rate* says, while the world is faulty."""
        return rate > 0 and self.faulty and self.rng.random() < rate

    async def pass_time(self, least: int, most: int) -> None:
        """Between *least* and *most* milliseconds have passed."""
        await asyncio.sleep(self.rng.randint(least, most) / 1_000)

    def commit_time(self) -> float:
        """How many seconds a slow disk takes for the next COMMIT."""
        seconds = self.rng.choice((0.002, 0.01, 0.01, 0.4))
        self.ledger.messages.unrest += seconds > 0.1
        return seconds

    def soon(self, span: int, call: Any, *arguments: Any) -> None:
        """*call* happens after *span* milliseconds."""
        self.loop.call_later(span / 1_000, call, *arguments)
