"""Any sequence of calls gets the same answers from every store as from MemoryStore.

`STATEFUL_EXAMPLES=2000 pytest tests/contract/test_store_stateful.py` looks longer, and elsewhere each time.
"""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.contract.opening import SHARED, place_of
from tests.contract.stateful.lives import SharedLife, SqliteLife
from tests.contract.stateful.machine import StorePair

EXAMPLES = int(os.environ.get("STATEFUL_EXAMPLES", "0"))
pytestmark = pytest.mark.timeout(120 if not EXAMPLES else 0)


def settings_of(examples: int) -> settings:
    return settings(
        max_examples=EXAMPLES or examples,
        stateful_step_count=50 if EXAMPLES else 25,
        derandomize=not EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def test_a_file_that_dies_now_and_then_answers_like_memory() -> None:
    run_state_machine_as_test(lambda: StorePair(SqliteLife()), settings=settings_of(50))


@pytest.mark.parametrize("kind", SHARED)
def test_a_store_that_two_nodes_share_answers_like_memory(kind: str, request: pytest.FixtureRequest) -> None:
    place, numbers = place_of(kind, request), iter(range(10**9))

    def machine() -> StorePair:
        return StorePair(SharedLife(place._replace(prefix=f"{place.prefix}_{next(numbers)}")))

    run_state_machine_as_test(machine, settings=settings_of(12))
