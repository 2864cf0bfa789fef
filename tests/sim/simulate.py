"""Run simulated worlds in which workers of the SDK are at work: `python3 dev.py sim --seeds 1000`."""

import sys
from typing import Final

from avtomatika.testing.simulate import Show, fix_order_of_sets, main
from tests.sim.sdk_worker import hire

PROGRAM: Final = "python3 dev.py sim"


def show(store: str = "memory", *, twice: bool = False, traced: bool = False) -> Show:
    """How the worlds of the tests are run."""
    return Show(store=store, hire=hire, program=PROGRAM, twice=twice, traced=traced)


if __name__ == "__main__":
    fix_order_of_sets("tests.sim.simulate")
    sys.exit(main(hire=hire, program=PROGRAM))
