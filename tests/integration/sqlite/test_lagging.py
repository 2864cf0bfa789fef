"""Leases, and what begins with them, are written when they have lasted, and as the image has them."""

import asyncio
from collections.abc import Sequence

from avtomatika.ports.store import Commit, Lease, Message, MessageId
from avtomatika.stores.sql.lagging import LASTS_S
from avtomatika.stores.sql.sqlite import SqliteStore
from avtomatika.testing.contract.values import T0, TTL, a_message, at, grab_one, send
from tests.integration.sqlite.conftest import Files, inject

LIMIT = a_message("limit", "timer", visible_at=at(TTL))


def on_disk(store: SqliteStore) -> Sequence[tuple[str, str | None, int]]:
    """Every row of a message: its id, who has it, and its deliveries."""
    query = "SELECT id, owner, delivery FROM message ORDER BY id"
    return store._database.execute(query).fetchall()


async def hand_on(store: SqliteStore, lease: Lease, limit: Message = LIMIT, owner: str = "worker") -> Lease:
    """The lease becomes that of a worker, whose time is limited, as when a task is handed out."""
    held = Lease(lease.message, owner, lease.token, lease.until, lease.delivery)
    await store.commit(Commit(now=T0, ack=(lease,), take=(held,), send=(limit,), durable=False))
    return held


async def test_what_is_over_before_it_lasted_is_never_written(files: Files) -> None:
    store = files.open()
    await send(store, a_message())
    held = await hand_on(store, await grab_one(store))
    written: list[str] = []
    inject(store, written.append)
    await store.commit(Commit(now=T0, ack=(held,), drop=(LIMIT.id,)))
    await store.flush()
    assert [statement for statement in written if "message" in statement] == [
        "DELETE FROM message WHERE id = ?"
    ]
    assert on_disk(store) == []


async def test_what_lasts_is_written_without_another_commit(files: Files) -> None:
    store = files.open()
    await send(store, a_message())
    await hand_on(store, await grab_one(store))
    assert on_disk(store) == [("m", None, 0)]
    async with asyncio.timeout(20):
        while len(rows := on_disk(store)) == 1:
            await asyncio.sleep(0)
    assert rows == [("limit", None, 0), ("m", "worker", 1)], "one moment for what one commit did"


async def test_a_limit_that_was_written_is_taken_back_though_it_was_sent_again_since(files: Files) -> None:
    store = files.open()
    await send(store, a_message())
    await hand_on(store, await grab_one(store))
    await store.flush()
    again = a_message("limit", "timer", visible_at=at(2 * TTL))
    held = await hand_on(store, await grab_one(store, now=at(TTL)), again)
    await store.commit(Commit(now=at(TTL), ack=(held,), drop=(LIMIT.id,)))
    assert on_disk(store) == []
    files.kill(store)
    assert await files.open().next_due("timer") is None


async def test_a_limit_taken_back_without_waiting_is_sent_again(files: Files) -> None:
    store = files.open()
    await send(store, a_message())
    await hand_on(store, await grab_one(store))
    await store.flush()
    await store.commit(Commit(now=T0, drop=(LIMIT.id,), durable=False))
    await store.commit(Commit(now=T0, send=(LIMIT,), durable=False))
    await store.commit(Commit(now=T0, drop=(LIMIT.id, MessageId("m"))))
    await store.flush()
    assert on_disk(store) == []


async def test_a_message_that_lags_is_written_as_the_image_has_it_in_the_end(files: Files) -> None:
    store = files.open()
    await store.commit(Commit(now=T0, send=(LIMIT,), durable=False))
    lease = await grab_one(store, "timer", now=at(TTL))
    await store.flush()
    assert on_disk(store) == [("limit", lease.owner, 1)]
    await store.commit(Commit(now=at(TTL), ack=(lease,), durable=False))
    assert on_disk(store) == [("limit", lease.owner, 1)]
    await store.flush()
    assert on_disk(store) == []


def test_what_lasts_is_soon_on_disk() -> None:
    assert LASTS_S <= 0.1, "the documented window after which a lease survives a crash"
