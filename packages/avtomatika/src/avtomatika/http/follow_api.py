"""Following a job: its history, and its news as server-sent events (features B2 and B3).

Every piece of news has the version of the job as its id, so that a client that comes back with
`Last-Event-ID` hears what it missed and nothing twice. Only the last piece of a version carries the id: a
connection that breaks in between hears the version again.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import aclosing, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from aiohttp import web

from avtomatika.commands.queries import Queries
from avtomatika.commands.recorded import event_type
from avtomatika.commands.timeline import Entry, News, Timeline
from avtomatika.errors import InvalidInput, NotFound
from avtomatika.http import query
from avtomatika.http.answers import answer
from avtomatika.http.callers import Callers
from avtomatika.kernel.time import Span, after
from avtomatika.ports.clock import Clock
from avtomatika.ports.store import Fact

LONGEST: Final = Span(3_600_000)
QUIET_BEFORE_COMMENT: Final = 10
LAST_VERSION: Final = 10**12
LAST_SEEN: Final = "Last-Event-ID"


class HistoryRow(msgspec.Struct, frozen=True):
    """One fact. `timestamp` is ISO 8601 in UTC, `data` is what the event carries."""

    event_id: str
    job_id: str
    version: int
    timestamp: str
    event_type: str
    status: str
    state: str
    previous_status: str | None
    previous_state: str | None
    data: dict[str, Any]


class History(msgspec.Struct, frozen=True):
    """The facts of a job in order. `next` is what `after` takes for those that follow."""

    events: list[HistoryRow]
    next: int | None


class FollowApi:
    """Handlers of the routes by which a job is followed."""

    def __init__(self, callers: Callers, queries: Queries, clock: Clock) -> None:
        self._callers, self._queries, self._clock = callers, queries, clock
        self._streams = set[asyncio.Transport]()

    async def let_go(self, _: web.Application) -> None:
        """Followers who do not read what they are told hold nothing up any more; they can come back."""
        for transport in self._streams:
            if transport.get_write_buffer_size() > 0:
                transport.abort()

    async def history(self, request: web.Request) -> web.Response:
        """200 with the facts of the job above the version `after`, oldest first."""
        viewer = self._callers.viewer_of(request)
        job_id = request.match_info["job_id"]
        first = query.whole(request, "after", 0, 0, LAST_VERSION)
        limit = query.limit(request)
        timeline, rows = Timeline(), list[HistoryRow]()
        async with aclosing(self._queries.facts(job_id, viewer)) as facts:
            async for fact in facts:
                entry = timeline.entry(fact)
                if len(rows) == limit:
                    return answer(History(rows, rows[-1].version))
                if entry.version > first:
                    rows.append(_row(job_id, entry))
        return answer(History(rows, None))

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """200 with the news of the job as they happen, until it is over; 204 when all of it was heard."""
        viewer, job_id = self._callers.viewer_of(request), request.match_info["job_id"]
        seen = _last_seen(request)
        job = await self._queries.job(job_id, viewer)
        if job.over and job.version <= seen:
            return web.Response(status=204)  # by which browsers know that they need not come back
        facts = self._queries.follow(job_id, viewer, after(self._clock.now(), LONGEST))
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **headers})
        await response.prepare(request)
        with self._kept(request), suppress(NotFound):  # the retention of the job may end meanwhile
            await _tell(response, facts, seen)
        await response.write_eof()
        return response

    @contextmanager
    def _kept(self, request: web.Request) -> Generator[None, None, None]:
        stream = {transport for transport in (request.transport,) if transport is not None}
        self._streams |= stream
        try:
            yield
        finally:
            self._streams -= stream


async def _tell(response: web.StreamResponse, facts: AsyncGenerator[Fact | None, None], seen: int) -> None:
    timeline, quiet = Timeline(), 0
    async with aclosing(facts):
        async for fact in facts:
            quiet = 0 if fact is not None else quiet + 1
            if fact is not None:
                await _write(response, (news for news in timeline.news(fact) if news.version > seen))
            elif quiet % QUIET_BEFORE_COMMENT == 0:
                await response.write(b": still here\n\n")


async def _write(response: web.StreamResponse, told: Iterable[News]) -> None:
    text = b"".join(_event(news) for news in told)
    if text:
        await response.write(text)


def _event(news: News) -> bytes:
    data = msgspec.json.encode(_Sent(news.version, news.at, news.data))
    place = f"id: {news.version}\n" if news.last else ""
    return f"event: {news.kind}\n{place}data: ".encode() + data + b"\n\n"


class _Sent(msgspec.Struct, frozen=True):
    version: int
    at: int
    data: msgspec.Struct


def _last_seen(request: web.Request) -> int:
    given = request.headers.get(LAST_SEEN), request.query.get("last_event_id")
    seen = [text for text in given if text]
    if not all(text.isascii() and text.isdecimal() and len(text) <= 12 for text in seen):
        raise InvalidInput(f"{LAST_SEEN} is the id of a piece of news.", field=LAST_SEEN)
    return int(seen[0]) if seen else 0


def _row(job_id: str, entry: Entry) -> HistoryRow:
    data: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(entry.event), type=dict[str, msgspec.Raw])
    del data["type"]  # said in `event_type`, in the words of the history outside
    data.pop("job", None)
    return HistoryRow(
        event_id=f"{job_id}-{entry.version}",
        job_id=job_id,
        version=entry.version,
        timestamp=datetime.fromtimestamp(entry.at / 1_000, UTC).isoformat(),
        event_type=event_type(type(entry.event)),
        status=entry.status,
        state=entry.state,
        previous_status=entry.before,
        previous_state=entry.previous,
        data=data,
    )
