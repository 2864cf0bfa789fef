"""Lists read the index that fits, in its order, and of the table only the jobs of the page."""

import asyncio
import itertools

import msgspec
import pytest

from avtomatika.kernel.model import Status
from avtomatika.ports.store import Commit, JobQuery
from avtomatika.stores.sql import listing
from avtomatika.stores.sql.sqlite import SqliteStore
from avtomatika.testing.contract.filters import queries
from avtomatika.testing.contract.values import T0, a_job, at
from tests.integration.sqlite.conftest import Files

MANY = 3_000


@pytest.mark.parametrize("place", [None, "5~a"])
def test_no_list_walks_a_table_or_sorts(files: Files, place: str | None) -> None:
    store = files.open()
    for query in queries():
        query = msgspec.structs.replace(query, after=place)
        for ways in itertools.permutations(listing.walks(query)):
            steps = _steps(store, list(ways), query)
            walked = [step for step in steps if step.startswith(("SCAN w", "SEARCH w", "SCAN x", "SEARCH x"))]
            assert len(walked) == len(ways)
            for step in walked:
                assert "SEARCH" in step, steps
                assert "COVERING INDEX" in step or "USING PRIMARY KEY" in step, steps
            assert not any("TEMP B-TREE" in step or "SCAN job" in step for step in steps), steps
            assert "SEARCH job USING INDEX sqlite_autoindex_job_1 (id=?)" in steps


def _steps(store: SqliteStore, ways: list[listing.Walk], query: JobQuery) -> list[str]:
    statement, values = listing.page_of(ways, query)
    return [row[3] for row in store._database.execute(f"EXPLAIN QUERY PLAN {statement}", values)]


@pytest.mark.parametrize(
    ("query", "front"),
    [
        (JobQuery(), "job_by_age (created>?)"),
        (JobQuery(client="c"), "job_by_client (client=? AND created>?)"),
        (JobQuery(blueprint="b"), "job_by_blueprint (blueprint=? AND created>?)"),
        (JobQuery(status=Status.FAILED), "job_by_status (status=? AND created>?)"),
        (JobQuery(labels=(("n", "v"),)), "label_by_value (name=? AND value=? AND created>?)"),
        (JobQuery(before=at(1)), "job_by_age (created>? AND (created,id)<(?,?))"),
        (JobQuery(client="c", after="1~a"), "job_by_client (client=? AND created>? AND (created,id)<(?,?))"),
        (JobQuery(client="c", since=at(0)), "job_by_client (client=? AND created>?)"),
        (
            JobQuery(client="c", status=Status.FAILED),
            "job_by_client_status (client=? AND status=? AND created>?)",
        ),
        (
            JobQuery(client="c", blueprint="b"),
            "job_by_client_blueprint (client=? AND blueprint=? AND created>?)",
        ),
        (
            JobQuery(client="c", labels=(("n", "v"),)),
            "PRIMARY KEY (client=? AND name=? AND value=? AND created>?)",
        ),
    ],
)
def test_a_common_list_begins_at_the_first_job_of_its_page(files: Files, query: JobQuery, front: str) -> None:
    steps = _steps(files.open(), listing.walks(query), query)
    assert next(step for step in steps if "SEARCH w" in step).endswith(front)
    assert not any("SUBQUERY" in step for step in steps)


def test_jobs_are_counted_from_an_index_alone(files: Files) -> None:
    store = files.open()
    steps = [row[3] for row in store._database.execute(f"EXPLAIN QUERY PLAN {listing.COUNT_ALL}")]
    assert steps == ["SCAN job USING COVERING INDEX job_by_client_status"]


async def test_of_several_conditions_the_one_that_fewest_jobs_meet_is_walked(files: Files) -> None:
    store = files.open()
    jobs = [
        msgspec.structs.replace(
            a_job(f"j{n:04}", created=at(n), client="c", blueprint="rare" if n < 3 else "b"),
            labels={"all": "1", "few": str(n // 5)},
        )
        for n in range(MANY)
    ]
    await asyncio.gather(*(store.commit(Commit(now=T0, job=job)) for job in jobs))
    for query, found in (
        (JobQuery(client="c", blueprint="rare", labels=(("all", "1"),)), 3),
        (JobQuery(client="c", blueprint="b", labels=(("all", "1"), ("few", "9"))), 5),
        (JobQuery(blueprint="rare", status=Status.PENDING), 3),
        (JobQuery(labels=(("all", "1"), ("few", "0")), blueprint="rare"), 3),
    ):
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        store._database.set_progress_handler(count, 100)
        page = listing.find(store._database, query)
        store._database.set_progress_handler(None, 0)
        assert len(page.jobs) == found
        assert steps < 250, f"{query} took {steps} hundred steps"


async def test_a_count_of_jobs_reads_nothing(files: Files) -> None:
    store = files.open()
    await store.commit(Commit(now=T0, job=a_job()))
    seen: list[str] = []
    store._database.set_trace_callback(seen.append)
    store._staging._reader.set_trace_callback(seen.append)
    assert await store.tally() == {Status.PENDING: 1}
    assert seen == []
