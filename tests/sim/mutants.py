"""Every fault that is planted. A simulation that does not find them proves nothing.

`python tests/sim/mutants.py` plants each and prints how many seeds, from 0, it takes to find it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # when this is run, and not imported

from tests.sim import (
    mutants_of_commands,
    mutants_of_kin,
    mutants_of_nodes,
    mutants_of_operators,
    mutants_of_rules,
    mutants_of_sdk,
    mutants_of_stores,
    mutants_of_streams,
    mutants_of_ticks,
    mutants_of_webhooks,
)
from tests.sim.planting import MUTANTS, Mutant, first_finding, main

__all__ = [
    "MUTANTS",
    "Mutant",
    "first_finding",
    "mutants_of_commands",
    "mutants_of_kin",
    "mutants_of_nodes",
    "mutants_of_operators",
    "mutants_of_rules",
    "mutants_of_sdk",
    "mutants_of_stores",
    "mutants_of_streams",
    "mutants_of_ticks",
    "mutants_of_webhooks",
]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
