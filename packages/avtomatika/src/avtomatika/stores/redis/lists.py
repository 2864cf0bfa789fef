"""Which lists a job is in, and pages of the jobs that are in several at once."""

from functools import lru_cache
from typing import Final

import msgspec

from avtomatika.kernel.model import Job
from avtomatika.ports.store import JobQuery, Page
from avtomatika.stores.codec import decode_job, page_cursor, place_of
from avtomatika.stores.readable import refuse_unanswerable
from avtomatika.stores.redis.calls import Calls
from avtomatika.stores.redis.encoding import opaque
from avtomatika.stores.redis.moments import text
from avtomatika.stores.redis.scripts import FIND

STEP: Final = 200
BYTES: Final = 4 * 1024 * 1024

_PACK: Final = msgspec.msgpack.Encoder()
Labels = tuple[tuple[str, str], ...]


def place(job: Job) -> str:
    """Where the job is in every list: they are in the order of creation."""
    return text(job.created) + job.id


def names(job: Job) -> bytes:
    """The names of the lists that the job is in, encoded."""
    return _names(job.client, job.blueprint, job.status.value, tuple(job.labels.items()))


@lru_cache(maxsize=1_024)
def _names(client: str, blueprint: str, status: str, labels: Labels) -> bytes:
    own = ["s" + status, "b" + blueprint, *(_label(*pair) for pair in labels)]
    return _PACK.encode(["a", "c" + client, *own, *(_of_client(client, name) for name in own)])


def _label(name: str, value: str) -> str:
    return f"l{len(name)}:{name}{value}"


def _of_client(client: str, name: str) -> str:
    return f"p{len(client)}:{client}{name}"


def _wanted(query: JobQuery) -> list[str]:
    """The lists that a job must be in."""
    found = [_label(*pair) for pair in dict.fromkeys(query.labels)]
    if query.status is not None:
        found.append("s" + query.status.value)
    if query.blueprint is not None:
        found.append("b" + query.blueprint)
    if query.client is None:
        return found or ["a"]
    client = query.client
    return [_of_client(client, name) for name in found] or ["c" + client]


def _bounds(query: JobQuery) -> tuple[bytes, bytes]:
    """The places between which the page is, as the server writes bounds."""
    upper: list[bytes] = [] if query.before is None else [text(query.before).encode()]
    if query.after is not None:
        created, job = place_of(query.after)
        upper.append((text(created) + job).encode())
    lower = b"-" if query.since is None else b"[" + text(query.since).encode()
    return b"(" + min(upper) if upper else b"+", lower


async def find(calls: Calls, query: JobQuery) -> Page:
    """One page, by keyset. The server is asked in steps, so that nobody else waits for long."""
    refuse_unanswerable(query)
    wanted = _wanted(query)
    upper, lower = _bounds(query)
    rows: list[list[bytes]] = []
    while len(rows) <= query.limit:
        step = min(query.limit + 1 - len(rows), STEP)
        below, found = await calls.read(FIND, (wanted, opaque(upper), opaque(lower), step, BYTES))
        rows += found
        if not below:
            break
        upper = b"(" + below
    page = tuple(decode_job(head, data) for _, head, data in rows[: query.limit])
    return Page(page, page_cursor(page[-1]) if len(rows) > query.limit else None)
