"""Named values in PostgreSQL. What several callers of a node ask of one value is written together."""

import asyncio
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Raw

from avtomatika.errors import Unavailable
from avtomatika.stores.postgres.batches import DONE, Batches, start
from avtomatika.stores.postgres.pool import Pool
from avtomatika.stores.postgres.rows import Item, key, prepare_item, text
from avtomatika.stores.readable import refuse_unencodable
from avtomatika.stores.shelf import incremented, own

Alter = Callable[[Raw | None], Raw | None]
Place = tuple[str, str]


class _Change(msgspec.Struct, eq=False):
    alter: Alter
    future: "asyncio.Future[Raw | None]"
    blind: bool


class PostgresShelf:
    """Values by store and key, each with a stamp: what depends on the old value is written only over that."""

    def __init__(self, pool: Pool, batches: Batches) -> None:
        self._pool, self._batches = pool, batches
        self._waiting: dict[Place, list[_Change]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def get(self, store: str, key: str) -> Raw | None:
        refuse_unencodable("key", store, key)
        return (await self._read((store, key)))[1]

    async def put(self, store: str, key: str, value: Raw) -> None:
        mine = own(value)
        await self._change(store, key, lambda _: mine, blind=True)

    async def put_new(self, store: str, key: str, value: Raw) -> Raw:
        mine = own(value)
        there = await self._change(store, key, lambda old: mine if old is None else old)
        return mine if there is None else there

    async def incr(self, store: str, key: str, by: int) -> int:
        there = await self._change(store, key, lambda old: Raw(str(incremented(old, by)).encode()))
        return incremented(there, 0)

    async def delete(self, store: str, key: str) -> None:
        await self._change(store, key, lambda _: None, blind=True)

    async def items(self, store: str) -> Mapping[str, Raw]:
        refuse_unencodable("key", store)
        rows = await self._pool.fetch("SELECT key, value FROM item WHERE store = $1 ORDER BY key", key(store))
        return {text(row["key"]): Raw(row["value"]) for row in rows}

    async def close(self) -> None:
        """Everything that was asked for has its answer."""
        while self._running:
            await asyncio.wait(self._running)

    async def _read(self, place: Place) -> tuple[int, Raw | None]:
        statement = "SELECT stamp, value FROM item WHERE store = $1 AND key = $2"
        row = await self._pool.fetchrow(statement, key(place[0]), key(place[1]))
        return (0, None) if row is None else (row["stamp"], Raw(row["value"]))

    async def _change(self, store: str, key: str, alter: Alter, *, blind: bool = False) -> Raw | None:
        """What is there now. A *blind* one does not ask what was there before."""
        refuse_unencodable("key", store, key)
        if self._pool.closed.is_set():
            raise Unavailable("The store is closed.")
        change = _Change(alter, asyncio.get_running_loop().create_future(), blind)
        waiting = self._waiting.get((store, key))
        if waiting is None:
            self._waiting[store, key] = [change]
            runner = start(self._run((store, key)), "postgres.shelf")
            self._running.add(runner)
            runner.add_done_callback(self._running.discard)
        else:
            waiting.append(change)
        return await change.future

    async def _run(self, place: Place) -> None:
        """All that is asked of one value, as long as there is something."""
        while changes := self._waiting[place]:
            self._waiting[place] = []
            try:
                await self._write(place, changes)
            except Exception as error:  # noqa: BLE001 - whatever it is, those who wait have to hear of it
                for change in changes:
                    _refuse(change, error)
        del self._waiting[place]

    async def _write(self, place: Place, changes: list[_Change]) -> None:
        while True:
            stamp: int | None = None
            old: Raw | None = None
            if not changes[0].blind:
                stamp, old = await self._read(place)
            done, value = _altered(changes, old)
            if value is not old or stamp is None:
                answer = await self._batches.commit(prepare_item(Item(*place, stamp, value)))
                if answer.verdict != DONE:
                    continue  # another node was faster
            for change, outcome in done:
                if isinstance(outcome, Exception):
                    _refuse(change, outcome)
                elif not change.future.done():
                    change.future.set_result(outcome)
            return


def _altered(
    changes: list[_Change], value: Raw | None
) -> tuple[list[tuple[_Change, Raw | Exception | None]], Raw | None]:
    """What each change answers, and what is there after all of them."""
    done: list[tuple[_Change, Raw | Exception | None]] = []
    for change in changes:
        try:
            value = change.alter(value)
        except Exception as refusal:  # noqa: BLE001 - whoever asked for the change hears of it
            done.append((change, refusal))
        else:
            done.append((change, value))
    return done, value


def _refuse(change: _Change, error: Exception) -> None:
    if not change.future.done():
        change.future.set_exception(error)
