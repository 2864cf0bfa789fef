"""Every store, asked what the memory store of a simulated world was asked, gives the same answers.

`TRACE_SEEDS=500 pytest tests/contract/traces` replays more worlds.
"""

import asyncio
import os
from collections import Counter
from functools import lru_cache
from typing import Any

import msgspec
import pytest

from avtomatika.ports.store import Commit, Store
from tests.contract.comparing import Refusal
from tests.contract.opening import KINDS, Place, opened, place_of
from tests.contract.traces.recording import Answered, trace_of
from tests.contract.traces.replaying import Difference, replay

SEEDS = int(os.environ.get("TRACE_SEEDS", "8"))
FIRST = int(os.environ.get("TRACE_FIRST", "0"))
CHUNK = 50
CHUNKS = [range(at, min(at + CHUNK, FIRST + SEEDS)) for at in range(FIRST, FIRST + SEEDS, CHUNK)]

trace = lru_cache(maxsize=16)(trace_of)


async def difference(place: Place, calls: list[Answered]) -> Difference | None:
    async with opened(place) as backend:
        return await replay(calls, backend.store)


def of_seed(place: Place, seed: int) -> Place:
    """A place of its own for the world of the seed."""
    if place.url.startswith("sqlite:"):
        return place._replace(url=f"{place.url}.{seed}")
    return place._replace(prefix=f"{place.prefix}_{seed}")


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest) -> Place:
    return place_of(request.param, request)


@pytest.mark.timeout(0 if "TRACE_SEEDS" in os.environ else 120)
@pytest.mark.parametrize("seeds", CHUNKS, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_a_store_answers_as_that_of_the_world_did(place: Place, seeds: range) -> None:
    for seed in seeds:
        calls = trace(seed)
        found = asyncio.run(difference(of_seed(place, seed), calls))
        assert found is None, f"seed {seed}, {found}"


def test_traces_are_eventful() -> None:
    verbs: Counter[str] = Counter()
    for seed in range(16):
        for answered in trace(seed):
            refused = isinstance(answered.answer, Refusal)
            verbs[f"{answered.call.verb} {answered.answer.code}" if refused else answered.call.verb] += 1
    for verb in ("load", "commit", "lease", "extend", "held", "next_due", "branches", "facts", "find"):
        assert verbs[verb], verbs
    assert sum(count for verb, count in verbs.items() if verb.startswith("commit ")) >= 5, verbs


class Forgetful:
    """A store that does not send the last message of a commit, once."""

    def __init__(self, store: Store, commits: int) -> None:
        self._store, self._left = store, commits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, commit: Commit) -> None:
        self._left -= bool(commit.send)
        if self._left == 0 and commit.send:
            commit = msgspec.structs.replace(commit, send=commit.send[:-1])
        await self._store.commit(commit)


@pytest.mark.parametrize("commits", [1, 10, 30])
def test_a_store_that_loses_one_message_is_found_out(place: Place, commits: int) -> None:
    calls = trace(9)

    async def forgetful() -> Difference | None:
        async with opened(place) as backend:
            return await replay(calls, Forgetful(backend.store, commits))  # type: ignore[arg-type]

    assert asyncio.run(forgetful()) is not None
