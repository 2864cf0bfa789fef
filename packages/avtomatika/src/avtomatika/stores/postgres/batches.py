"""Group commit: what comes in while batches are on their way goes out together as the next one.

Commits that touch the same job, message, key or value go into different batches, in the order they came. A
batch has a name, under which the server keeps what became of it: one whose answer was lost is sent again.
"""

import asyncio
import itertools
from collections.abc import Coroutine, Sequence
from typing import Any, Final

import msgspec

from avtomatika.errors import AvtomatikaError, Unavailable
from avtomatika.stores.postgres.driver import TROUBLE, Row, is_again, is_away, is_unfit, refusal
from avtomatika.stores.postgres.pool import Patience, Pool
from avtomatika.stores.postgres.rows import COMMIT, Key, Prepared, columns

FLIGHTS: Final = 3
MOST: Final = 256
BYTES: Final = 8 * 1024 * 1024
AGAIN: Final = 8
"""So often others may be in the way of one batch."""

DONE: Final = 0
TAKEN: Final = 1
MOVED: Final = 2


class Answer(msgspec.Struct, frozen=True):
    """What became of one commit: its verdict; whose messages the batch withdrew; who had the key."""

    verdict: int
    robbed: tuple[bytes, ...] = ()
    taken: tuple[bytes, bytes, int] | None = None


class _Waiting(msgspec.Struct, eq=False):
    """`behind` are those that had to wait for this one because of its job."""

    prepared: Prepared
    future: "asyncio.Future[Answer]"
    behind: "list[_Waiting]" = []


class Batches:
    """The way of all commits of a node to the server."""

    def __init__(self, pool: Pool, name: str) -> None:
        """*name* is one that no other has, or ever had."""
        self._pool, self._name = pool, name
        self._numbers = itertools.count(1)
        self._waiting: list[_Waiting] = []
        self._busy: set[Key] = set()
        self._flights: set[asyncio.Task[None]] = set()
        self._scheduled = False

    async def commit(self, prepared: Prepared) -> Answer:
        """What the server says of it. Raises Unavailable, StorageFull or InvalidInput."""
        if self._pool.closed.is_set():
            raise Unavailable("The store is closed.")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(prepared, future))
        self._schedule()
        return await future

    async def close(self) -> None:
        """Everything that was asked for has its answer."""
        while self._flights or self._waiting:
            await asyncio.wait(self._flights) if self._flights else await _turn()

    def _schedule(self) -> None:
        if not self._scheduled and len(self._flights) < FLIGHTS:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._depart)

    def _depart(self) -> None:
        self._scheduled = False
        self._waiting = [each for each in self._waiting if not each.future.done()]
        batch = self._next()
        if batch:
            keys = frozenset(key for each in batch for key in each.prepared.keys)
            self._busy |= keys
            flight = start(self._fly(batch, keys), "postgres.batch")
            self._flights.add(flight)
            flight.add_done_callback(self._landed)
            if self._waiting:
                self._schedule()

    def _landed(self, flight: "asyncio.Task[None]") -> None:
        self._flights.discard(flight)
        if self._waiting:
            self._schedule()

    def _next(self) -> list[_Waiting]:
        """What can go now: nothing that touches what is on its way, or what has to wait before it."""
        batch: list[_Waiting] = []
        later: list[_Waiting] = []
        busy = set(self._busy)
        first: dict[bytes, _Waiting] = {}
        size = 0
        for place, each in enumerate(self._waiting):
            if len(batch) >= MOST or size >= BYTES:
                later += self._waiting[place:]
                break
            free = busy.isdisjoint(each.prepared.keys)
            busy |= each.prepared.keys
            job = each.prepared.job[0]
            if free:
                batch.append(each)
                size += each.prepared.size
                each.behind = []
                first[job] = each
            else:
                later.append(each)
                if job in first and job is not None:
                    first[job].behind.append(each)
        self._waiting = later
        return batch

    async def _fly(self, batch: Sequence[_Waiting], keys: frozenset[Key]) -> None:
        try:
            await self._send(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait have to hear of it
            for each in batch:
                _tell(each, refusal(error))
        finally:
            self._busy -= keys

    async def _send(self, batch: Sequence[_Waiting]) -> None:
        try:
            row = await self._answer([each.prepared for each in batch])
        except TROUBLE as error:
            if len(batch) == 1 or not (is_unfit(error) or is_again(error)):
                raise
            for each in batch:  # whose fault it is shows when each goes alone
                await self._send_alone(each)
            return
        taken: Sequence[int] = row["taken_n"] or ()
        keys = {
            n: (row["taken_print"][i], row["taken_job"][i], row["taken_until"][i])
            for i, n in enumerate(taken)
        }
        robbed = tuple(row["robbed"] or ())
        for n, (each, verdict) in enumerate(zip(batch, row["verdict"], strict=True), 1):
            _tell(each, Answer(verdict, robbed if verdict == DONE else (), keys.get(n)))
            robbed = () if verdict == DONE else robbed
            _refuse_behind(each, verdict)

    async def _send_alone(self, each: _Waiting) -> None:
        try:
            await self._send([each])
        except TROUBLE as error:
            _tell(each, refusal(error))

    async def _answer(self, batch: Sequence[Prepared]) -> Row:
        name = f"{self._name}.{next(self._numbers)}"
        values = columns(batch)
        patience = Patience(self._pool.closed)
        hindered = 0
        while True:
            try:
                async with self._pool.connection() as connection:
                    return await connection.fetchrow(COMMIT, name, *values)
            except TROUBLE as error:
                hindered += is_again(error)
                if hindered > AGAIN or not (is_again(error) or is_away(error)):
                    raise
                if not is_again(error) or hindered > 1:
                    await patience.pause(error)


def _refuse_behind(first: _Waiting, verdict: int) -> None:
    """Those behind hear at once that the job moved, if it did: they would all be late one after another."""
    _, expected, version, *_ = first.prepared.job
    for each in first.behind:
        wanted = each.prepared.job[1]
        late = wanted != version if verdict == DONE else verdict == MOVED and wanted == expected
        if late and "claim" not in each.prepared.tables:
            _tell(each, Answer(MOVED))


def start(work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
    """The work is under way, beside whoever asked for it."""
    return asyncio.get_running_loop().create_task(work, name=name)


async def _turn() -> None:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(_done, done)
    await done


def _done(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _tell(each: _Waiting, answer: Answer | AvtomatikaError) -> None:
    if each.future.done():
        return
    if isinstance(answer, Answer):
        each.future.set_result(answer)
    else:
        each.future.set_exception(answer)
