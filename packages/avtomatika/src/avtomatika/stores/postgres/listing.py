"""Lists of jobs, from indexes alone; only the jobs of the page itself are read.

Every index begins with what must be equal and goes on with `created, id`, the order of a list. Of several
that a query may use, the one with the fewest entries is walked and the others are asked for each of them.
"""

from typing import Any, Final

import msgspec

from avtomatika.kernel.model import Job
from avtomatika.ports.store import JobQuery, Page
from avtomatika.stores.codec import decode_job, page_cursor, place_of
from avtomatika.stores.postgres.driver import Row
from avtomatika.stores.postgres.pool import Pool
from avtomatika.stores.postgres.rows import key

PROBES: Final = (1_000, 10_000)
"""Up to so many entries of an index are counted to find out which has the fewest; more, if none has fewer."""

MOST: Final = 2**31
"""More jobs than fit on a page."""

Pairs = tuple[tuple[str, bytes | str], ...]


class Walk(msgspec.Struct, frozen=True):
    """One way through jobs, newest first: a table, and what the columns at the front of an index must be."""

    table: str
    id: str
    equal: Pairs


class Values:
    """What stands for the placeholders of a statement."""

    def __init__(self) -> None:
        self.all: list[Any] = []

    def __call__(self, value: object) -> str:
        """The placeholder of the value."""
        self.all.append(value)
        return f"${len(self.all)}"

    def condition(self, walk: Walk, alias: str) -> str:
        """What the front columns of the walk must be."""
        return "".join(f"{alias}.{column} = {self(value)} AND " for column, value in walk.equal)


def walks(query: JobQuery) -> list[Walk]:
    """The ways that together say all that the query says, but for its moments."""
    client: Pairs = () if query.client is None else (("client", key(query.client)),)
    found = [
        Walk("label", "job", (*client, ("name", key(name)), ("value", key(value))))
        for name, value in dict.fromkeys(query.labels)
    ]
    if query.status is not None:
        found.append(Walk("job", "id", (*client, ("status", query.status.value))))
    if query.blueprint is not None:
        found.append(Walk("job", "id", (*client, ("blueprint", key(query.blueprint)))))
    return found or [Walk("job", "id", client)]


async def find(pool: Pool, query: JobQuery) -> Page:
    """One page, by keyset."""
    ways = walks(query)
    if len(ways) > 1:
        ways = await _by_size(pool, ways)
    statement, values = page_of(ways, query)
    rows = await pool.fetch(statement, *values)
    rows.sort(key=_place, reverse=True)
    page: tuple[Job, ...] = tuple(decode_job(row["head"], row["data"]) for row in rows[: query.limit])
    return Page(page, page_cursor(page[-1]) if len(rows) > query.limit else None)


async def _by_size(pool: Pool, ways: list[Walk]) -> list[Walk]:
    counts: list[int] = []
    for most in PROBES:
        statement, values = sizes(ways, most)
        counts = [*(await pool.fetchrow(statement, *values) or ())]
        if min(counts) < most:
            break
    order = sorted(range(len(ways)), key=counts.__getitem__)
    return [ways[place] for place in order]


def sizes(ways: list[Walk], most: int) -> tuple[str, list[Any]]:
    """The statement that counts the entries of each way, *most* if there are more, with its values."""
    values = Values()
    counts = [
        f"(SELECT count(*) FROM (SELECT FROM {way.table} w WHERE {values.condition(way, 'w')} true"  # noqa: S608 - names of this module
        f" LIMIT {most}) AS few)"
        for way in ways
    ]
    return f"SELECT {', '.join(counts)}", values.all


def page_of(ways: list[Walk], query: JobQuery) -> tuple[str, list[Any]]:
    """The statement that walks the first way and asks the others, with its values.

    It is made of names in this module; what the query holds is bound.
    """
    first, *others = ways
    values = Values()
    condition = values.condition(first, "w") + _bounds(query, first, values)
    for other in others:  # with OFFSET each is asked for itself: as a join, the planner might walk it instead
        match = f"{values.condition(other, 'x')}x.created = w.created AND x.{other.id} = w.{first.id}"
        condition += f" AND EXISTS (SELECT FROM {other.table} x WHERE {match} OFFSET 0)"
    limit = values(min(query.limit, MOST) + 1)
    statement = (
        f"WITH page AS MATERIALIZED (SELECT w.created, w.{first.id} AS id FROM {first.table} w"  # noqa: S608 - as above
        f" WHERE {condition} ORDER BY w.created DESC, w.{first.id} DESC LIMIT {limit})"
        " SELECT job.created, job.id, job.head, job.data FROM page JOIN job ON job.id = page.id"
    )
    return statement, values.all


def _bounds(query: JobQuery, walk: Walk, values: Values) -> str:
    """The part of the order that the page may be in. The moment bounds as a place: ids are never below ''."""
    upper: list[tuple[int, bytes]] = [] if query.before is None else [(query.before, b"")]
    if query.after is not None:
        created, job = place_of(query.after)
        upper.append((created, key(job)))
    condition = f"w.created >= {values(-(2**63) if query.since is None else query.since)}"
    if upper:
        created, job_id = min(upper)
        condition += f" AND (w.created, w.{walk.id}) < ({values(created)}::bigint, {values(job_id)}::bytea)"
    return condition


def _place(row: Row) -> tuple[int, bytes]:
    return row["created"], row["id"]
