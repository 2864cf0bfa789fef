"""What the table must hold, worked out anew from the facts of a store."""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path

from avtomatika.commands.recorded import rows
from avtomatika.kernel.machine import Life
from avtomatika.ports.fact import Fact, Record, Standing
from avtomatika.ports.store import JobQuery, Store
from avtomatika.stores.codec import decode_fact
from tests.integration.history.conftest import Lines
from tests.integration.history.test_tables import line


def expected(facts: Iterable[Fact]) -> Lines:
    """The lines of *facts*, which come job by job and version by version: each job lives once more."""
    return [found for _, group in groupby(facts, lambda fact: fact.job) for found in _life(list(group))]


def _life(facts: Sequence[Fact]) -> Lines:
    assert [fact.version for fact in facts] == list(range(1, len(facts) + 1)), "the facts have no gap"
    life = Life()
    stood: list[Standing] = []
    for fact in facts:
        job = life.add(fact.event, fact.at)
        stood.append(Standing(job.state, job.status))
    assert life.job is not None
    record = Record(tuple(facts), tuple(stood), life.job.client, life.job.blueprint)
    return [line(row) for row in rows(record)]


async def facts_of(store: Store) -> list[Fact]:
    """Every fact of every job."""
    page = await store.find(JobQuery(limit=10_000))
    assert page.next is None
    return [fact for job in sorted(job.id for job in page.jobs) for fact in await store.facts(job)]


def facts_in(file: Path) -> list[Fact]:
    """Every fact in the file of a store that was closed, in which nothing is left to do."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        assert database.execute("SELECT count(*) FROM message").fetchone() == (0,)
        found = database.execute("SELECT body FROM fact ORDER BY job, version").fetchall()
    return [decode_fact(body) for (body,) in found]
