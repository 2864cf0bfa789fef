"""Lists and counts of jobs, from indexes alone; only the jobs of the page itself are read.

Every index begins with what must be equal and goes on with `created, id`, the order of a list. Of several
that a query may use, the one with the fewest entries is walked and the others are asked for each of them.
So two conditions that many jobs meet, but none meets both, cost a microsecond or two for each of the many.
"""

import sqlite3
from typing import Final

import msgspec

from avtomatika.kernel.model import Status
from avtomatika.ports.store import JobQuery, Page
from avtomatika.stores.codec import decode_job, page_cursor, place_of
from avtomatika.stores.sql.counts import Group

PROBES: Final = (1_000, 10_000)
"""Up to so many entries of an index are counted to find out which has the fewest; more, if none has fewer."""

MOST: Final = 2**40
"""More jobs than a file can hold."""

COUNT_ALL: Final = (
    "SELECT client, status, count(*) FROM job INDEXED BY job_by_client_status GROUP BY client, status"
)

Pairs = tuple[tuple[str, str], ...]


class Walk(msgspec.Struct, frozen=True):
    """One way through jobs, newest first: an index, and the columns at its front with their values."""

    source: str
    id: str
    equal: Pairs

    @property
    def condition(self) -> str:
        """What the front columns must be, with a placeholder for each."""
        return "".join(f"{column} = ? AND " for column, _ in self.equal)

    @property
    def values(self) -> list[str]:
        """What stands for the placeholders."""
        return [value for _, value in self.equal]


def walks(query: JobQuery) -> list[Walk]:
    """The ways that together say all that the query says, but for its moments."""
    client: Pairs = () if query.client is None else (("client", query.client),)
    found: list[Walk] = []
    for name, value in dict.fromkeys(query.labels):
        source = "label" if client else "label INDEXED BY label_by_value"
        found.append(Walk(source, "job", (*client, ("name", name), ("value", value))))
    if query.status is not None:
        found.append(_of_jobs((*client, ("status", query.status))))
    if query.blueprint is not None:
        found.append(_of_jobs((*client, ("blueprint", query.blueprint))))
    return found or [_of_jobs(client)]


def _of_jobs(equal: Pairs) -> Walk:
    name = "_".join(column for column, _ in equal) or "age"
    return Walk(f"job INDEXED BY job_by_{name}", "id", equal)


def find(database: sqlite3.Connection, query: JobQuery) -> Page:
    """One page, by keyset."""
    ways = walks(query)
    if len(ways) > 1:
        ways = _by_size(database, ways)
    statement, values = page_of(ways, query)
    rows = database.execute(statement, values).fetchall()
    rows.sort(key=lambda row: row[:2], reverse=True)
    page = tuple(decode_job(head, data) for _, _, head, data in rows[: query.limit])
    return Page(page, page_cursor(page[-1]) if len(rows) > query.limit else None)


def page_of(ways: list[Walk], query: JobQuery) -> tuple[str, list[str | int]]:
    """The statement that walks the first way and asks the others, with its values.

    It is made of names in this module; what the query holds is bound.
    """
    first, *others = ways
    condition, values = first.condition, [*first.values]
    bounds, limits = _bounds(query, first.id)
    asked = ""
    for other in others:
        source = _aliased(other.source, "x")
        match = f"{other.condition}x.created = w.created AND x.{other.id} = w.{first.id}"
        asked += f" AND EXISTS (SELECT 1 FROM {source} WHERE {match})"  # noqa: S608 - names of this module
        limits += other.values
    statement = (
        f"WITH page AS (SELECT created, {first.id} AS id FROM {_aliased(first.source, 'w')}"  # noqa: S608 - names of this module
        f" WHERE {condition}{bounds}{asked} ORDER BY created DESC, {first.id} DESC LIMIT ?)"
        " SELECT job.created, job.id, head, data FROM page CROSS JOIN job ON job.id = page.id"
    )
    return statement, [*values, *limits, min(query.limit, MOST) + 1]


def _aliased(source: str, alias: str) -> str:
    table, _, index = source.partition(" ")
    return f"{table} AS {alias} {index}"


def _bounds(query: JobQuery, id_: str) -> tuple[str, list[str | int]]:
    """The part of the order that the page may be in. The moment bounds as a place: ids are never below ''."""
    upper: list[tuple[int, str]] = [] if query.before is None else [(query.before, "")]
    upper += [place_of(query.after)] if query.after is not None else []
    parts = ["created >= ?"]
    values: list[str | int] = [-(2**63) if query.since is None else query.since]
    if upper:
        parts.append(f"(created, {id_}) < (?, ?)")
        values += min(upper)
    return " AND ".join(parts), values


def _by_size(database: sqlite3.Connection, ways: list[Walk]) -> list[Walk]:
    sizes: list[int] = []
    for most in PROBES:
        sizes = [_size(database, way, most) for way in ways]
        if min(sizes) < most:
            break
    order = sorted(range(len(ways)), key=sizes.__getitem__)
    return [ways[place] for place in order]


def _size(database: sqlite3.Connection, way: Walk, most: int) -> int:
    statement = f"SELECT count(*) FROM (SELECT 1 FROM {way.source} WHERE {way.condition}1 LIMIT ?)"  # noqa: S608 - as above
    return int(database.execute(statement, [*way.values, most]).fetchone()[0])


def groups(database: sqlite3.Connection) -> list[tuple[Group, int]]:
    """How many jobs of every client stand where."""
    rows = database.execute(COUNT_ALL)
    return [((client, Status(status)), count) for client, status, count in rows]
