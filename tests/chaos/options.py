"""What a run is like."""

from typing import Final, Literal

import msgspec

Kind = Literal["memory", "sqlite", "valkey", "postgres"]

TASK_LEASE: Final = 2.0
RUN_LEASE: Final = 3.0
SHARED: Final = ("valkey", "postgres")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """A run. `gap` are the shortest and the longest time between two faults, in seconds.

    `only` names the kinds of faults that may be drawn, all that are possible when it is empty; `plant` is the
    fault in the code that is looked for.
    """

    store: Kind = "sqlite"
    seconds: float = 60.0
    rate: float = 100.0
    orchestrators: int = 3
    workers: int = 10
    seed: int = 1
    gap: tuple[float, float] = (3.0, 10.0)
    only: tuple[str, ...] = ()
    plant: str = ""
    patience: float = 120.0

    @property
    def nodes(self) -> int:
        """How many orchestrators there are: one, where the store has room for one."""
        return self.orchestrators if self.store in SHARED else 1

    @property
    def pace(self) -> tuple[float, float]:
        """`gap`, but shorter in a short run: one minute has to show every kind of fault."""
        low, high = self.gap
        shrink = min(1.0, max(0.3, self.seconds / 200))
        return low * shrink, high * shrink
