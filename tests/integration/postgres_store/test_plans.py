"""What the statements touch when the tables are large: a few pages, along an index.

The tables were never analysed when the plans were made, or were; both are tried. A statement that walked over
what it does not need would touch hundreds of pages here.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest

from avtomatika.kernel.model import Status
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Commit, JobQuery, Lease, MessageId, Token
from avtomatika.stores.postgres import listing, statements
from avtomatika.stores.postgres.batches import COMMIT
from avtomatika.stores.postgres.driver import Connection, connect
from avtomatika.stores.postgres.migrations import prepare as prepare_schema
from avtomatika.stores.postgres.migrations import steps
from avtomatika.stores.postgres.rows import columns, prepare
from avtomatika.testing.contract.values import T0, a_branch, a_claim, a_fact, a_job, a_message, at, over
from tests.integration.postgres_store.conftest import SCHEMA, OpenNode
from tests.servers.postgres import PostgresServer

JOBS = 20_000
FILL = f"""
INSERT INTO job (id, version, client, blueprint, status, created, ended, head, data)
  SELECT convert_to('j' || n, 'UTF8'), 1, convert_to('c' || n % 10, 'UTF8'), convert_to('b' || n % 7, 'UTF8'),
         CASE WHEN n % 3 = 0 THEN 'finished' ELSE 'pending' END, n, CASE WHEN n % 3 = 0 THEN n END,
         '{{}}', '[]'
  FROM generate_series(1, {JOBS}) n;
INSERT INTO fact SELECT convert_to('j' || n, 'UTF8'), 1, '{{}}' FROM generate_series(1, {JOBS}) n;
INSERT INTO label SELECT convert_to('c' || n % 10, 'UTF8'), 'l', convert_to('v' || n % 50, 'UTF8'), n,
         convert_to('j' || n, 'UTF8') FROM generate_series(1, {JOBS}) n;
INSERT INTO branch SELECT convert_to('j' || n % 500, 'UTF8'), 1, n, '{{}}' FROM generate_series(1, {JOBS}) n;
INSERT INTO message (id, queue, job, visible_at, priority, sent, delivery, body)
  SELECT convert_to('far' || n, 'UTF8'), 'q', 'j', 10000000000000, 9, n, 0, '{{}}'
  FROM generate_series(1, {JOBS}) n;
INSERT INTO message (id, queue, job, visible_at, priority, sent, delivery, body)
  SELECT convert_to('due' || n, 'UTF8'), convert_to('f:' || n % 40, 'UTF8'), 'j', n, n % 3, n, 0, '{{}}'
  FROM generate_series(1, {JOBS}) n;
INSERT INTO claim SELECT convert_to('k' || n, 'UTF8'), 'f', 'j', 10000000000000
  FROM generate_series(1, {JOBS}) n;
INSERT INTO applied (id, verdict) SELECT 'batch' || n, '{{0}}' FROM generate_series(1, {JOBS}) n;
INSERT INTO item SELECT 's', convert_to('k' || n, 'UTF8'), n, '1' FROM generate_series(1, {JOBS}) n;
INSERT INTO doc SELECT 'kind', convert_to('k' || n, 'UTF8'), '', 10000000000000, n
  FROM generate_series(1, {JOBS}) n;
INSERT INTO tally SELECT convert_to('c' || n, 'UTF8'), 'pending', 0, 1 FROM generate_series(1, {JOBS}) n
"""
MANY = 10**15
LATE = at(10**9)


@pytest.fixture(scope="module", params=["analysed", "never analysed"])
def filled(request: pytest.FixtureRequest, own_server: PostgresServer) -> str:
    """A database with much in it."""
    name = f"large_{request.param.replace(' ', '_')}"

    async def fill() -> None:
        first = await asyncpg.connect(own_server.uri())
        await first.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await first.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
        await first.close()
        connection = await connect(own_server.uri(name), SCHEMA, patient=True)
        await prepare_schema(connection, SCHEMA, steps())
        await connection.execute(FILL)
        if request.param == "analysed":
            await connection.execute("ANALYZE")
        await connection.close(timeout=5)

    own_server.start()
    asyncio.run(fill())
    return own_server.uri(name)


@pytest.fixture
async def large(filled: str, postgres_server: PostgresServer) -> AsyncIterator[Connection]:
    """A connection like those of a store to it; what it does there does not stay."""
    connection = await connect(filled, SCHEMA, patient=True)
    await connection.transaction().start()
    yield connection
    connection.terminate()


async def pages(connection: Connection, statement: str, *values: object, whole: bool = False) -> int:
    """How many pages the statement touches, once its plans are made. Only a *whole* one may walk a table."""
    touched = 0
    for _ in range(2):
        transaction = connection.transaction()
        await transaction.start()
        raw = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *values)
        await transaction.rollback()
        (explained,) = msgspec.json.decode(raw)
        assert whole or "Seq Scan" not in raw, raw
        touched = _pages(explained["Plan"])
    return touched


def _pages(plan: dict[str, Any]) -> int:
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])


async def test_reads_touch_a_few_pages(large: Connection) -> None:
    asked: dict[str, tuple[str, tuple[object, ...], int]] = {
        "load": (statements.LOAD, (b"j77",), 10),
        "held": (statements.HELD, (b"due7", 0), 10),
        "next due": (statements.NEXT_DUE, (b"q",), 10),
        "first of a queue": (statements.PEEK_FIRST, (b"q", 10), 40),
        "of a queue": (statements.PEEK, (b"q", 10, b"far2"), 40),
        "queues": (statements.QUEUES, (b"f:", b"f;"), 600),  # of 40 queues: some for each
        "backlog": (statements.BACKLOG, (b"f:", b"f;", 0, 5), 40),
        "branch": (statements.BRANCH, (b"j7", 1, 507), 10),
        "branches": (statements.BRANCHES, (b"j7", 1), 80),  # 40 of them
        "facts": (statements.FACTS, (b"j7", 0, 10), 10),
        "tally of a client": (statements.TALLY_OF, (b"c7",), 10),
        "unfinished of a client": (statements.UNFINISHED_OF, (statements.OVER, b"c7"), 10),
        "extend": (statements.EXTEND, (b"due7", b"t", 0, 1), 10),
    }
    found = {name: await pages(large, statement, *values) for name, (statement, values, _) in asked.items()}
    assert {name: found[name] for name, (*_, most) in asked.items() if found[name] > most} == {}
    for statement, values in ((statements.TALLY, ()), (statements.UNFINISHED, (statements.OVER,))):
        assert await pages(large, statement, *values, whole=True) < 30, "of every status some parts"


async def test_a_lease_walks_over_nothing_that_is_not_due(large: Connection) -> None:
    def lease(queue: bytes, now: int, *, again: bool = False) -> tuple[object, ...]:
        return [queue], b"w", now, MANY, 1, "t", again

    assert await pages(large, statements.LEASE, *lease(b"q", T0)) < 30, "thousands are not due yet"
    assert await pages(large, statements.LEASE, *lease(b"q", T0, again=True)) < 40
    await large.execute("UPDATE message SET visible_at = 5 WHERE id IN ('far3', 'far4')")
    assert await pages(large, statements.LEASE, *lease(b"q", 10)) < 90, "two are due"
    await large.execute("UPDATE message SET queue = 'q' WHERE queue <> 'q'")
    assert await pages(large, statements.LEASE, *lease(b"q", T0)) < 120, (
        "thousands are due, and thousands not"
    )


async def test_every_mixture_of_conditions_finds_its_page_along_an_index(large: Connection) -> None:
    mixtures = itertools.product(
        (None, "c7"), (None, "b3"), (None, Status.PENDING), ((), (("l", "v7"),)), (None, Instant(15_000))
    )
    for client, blueprint, status, labels, before in mixtures:
        query = JobQuery(
            client=client, blueprint=blueprint, status=status, labels=labels, before=before, limit=5
        )
        ways = listing.walks(query)
        if len(ways) > 1:
            # The counts end at a thousand entries of each index.
            assert await pages(large, *_spread(listing.sizes(ways, 1_000))) < 1_100 * len(ways), query
            ways = ways[:1]
            continue
        assert await pages(large, *_spread(listing.page_of(ways, query))) < 60, query


async def test_of_two_conditions_the_one_that_fewer_meet_is_walked(large: Connection) -> None:
    await large.execute("UPDATE job SET status = 'failed' WHERE id IN ('j7', 'j70', 'j17')")
    ways = listing.walks(JobQuery(blueprint="b0", status=Status.FAILED))
    counts = await large.fetchrow(*_spread(listing.sizes(ways, 1_000)))
    assert list(counts or ()) == [3, 1_000]
    statement = listing.page_of(ways, JobQuery(limit=5))
    assert await pages(large, *_spread(statement)) < 60


def _spread(made: tuple[str, list[Any]]) -> tuple[Any, ...]:
    return made[0], *made[1]


async def test_a_commit_touches_what_it_is_about(large: Connection) -> None:
    lease = Lease(a_message("due7"), "w", Token("t"), at(5), 1)
    full = Commit(
        now=T0,
        job=over("j15008", 2),
        expected=1,
        facts=(a_fact("j15008", 2),),
        send=(a_message("far9", "f:1"), a_message("new")),
        take=(Lease(a_message("taken"), "w", Token("t"), at(5), 1),),
        drop=(MessageId("due8"),),
        close=(1,),
        claim=a_claim("k99999", expires_at=T0),
    )
    new = Commit(now=T0, job=a_job("new"), branches=(a_branch("new"),), facts=(a_fact("new"),))
    refused = msgspec.structs.replace(full, ack=(lease,))
    for commit, verdict in ((full, 0), (new, 0), (refused, 3)):
        batch = columns([prepare(commit, b"[{},{},null]")])
        assert await pages(large, COMMIT, "measured", *batch) < 200
        transaction = large.transaction()
        await transaction.start()
        row = await large.fetchrow(COMMIT, "tried", *batch)
        await transaction.rollback()
        assert row["verdict"] == [verdict]


async def test_a_sweep_touches_no_more_than_what_it_forgets(large: Connection) -> None:
    assert await pages(large, statements.SWEEP, T0, 10**12, 5) < 400
    assert await pages(large, statements.SWEEP, T0, 0, 5) < 60


async def test_counts_do_not_grow_with_the_number_of_connections(open_node: OpenNode, own_uri: str) -> None:
    node = await open_node()
    for n in range(8):
        other = await open_node()
        await other.commit(Commit(now=T0, job=a_job(f"j{n}", client="c")))
    await node.sweep(now=T0, finished_before=T0, limit=1)
    connection = await connect(own_uri, SCHEMA)
    try:
        assert await connection.fetchval("SELECT count(*) FROM tally") == 1
    finally:
        connection.terminate()
    assert await node.unfinished("c") == 8
