"""Named values on a real file: one fsync for many, and never half of them."""

import asyncio

import pytest
from msgspec import Raw

from avtomatika.errors import InvalidInput, StorageFull, Unavailable
from avtomatika.kernel.ids import JobId
from avtomatika.ports.store import Commit
from avtomatika.testing.contract.values import T0, a_job, create
from tests.integration.sqlite.conftest import Files, SlowDisk, inject, sqlite_error

ONE = Raw(b"1")
J = JobId("j")


async def test_what_is_put_at_once_shares_one_transaction_with_commits(files: Files) -> None:
    store = files.open()
    store._writer._commit_s = -1e9
    statements: list[str] = []
    inject(store, statements.append)
    await asyncio.gather(
        *(store.shelf.put("s", f"k{n}", ONE) for n in range(200)),
        *(store.shelf.incr("s", "n", 1) for _ in range(200)),
        create(store, a_job()),
    )
    assert statements.count("COMMIT") == 1
    assert sum("INTO item" in statement for statement in statements) == 1
    assert len(await store.shelf.items("s")) == 201


async def test_what_is_asked_for_during_a_commit_sees_what_that_wrote(files: Files) -> None:
    store = files.open()
    disk = SlowDisk(store)
    first = asyncio.ensure_future(store.shelf.incr("s", "n", 1))
    await disk.committing()
    rest = asyncio.gather(*(store.shelf.incr("s", "n", 1) for _ in range(10)))
    new = asyncio.ensure_future(store.shelf.put_new("s", "n", ONE))
    assert await store.shelf.get("s", "n") is None, "not on disk yet"
    disk.let_go(9)
    assert await first == 1
    assert list(await rest) == list(range(2, 12))
    assert await new == Raw(b"11")


async def test_a_call_returns_only_when_its_commit_has(files: Files) -> None:
    store = files.open()
    await store.shelf.put("s", "old", ONE)
    disk = SlowDisk(store)
    calls = [
        asyncio.ensure_future(call)
        for call in (
            store.shelf.put("s", "k", ONE),
            store.shelf.put_new("s", "k", Raw(b"2")),
            store.shelf.incr("s", "n", 1),
            store.shelf.delete("s", "old"),
        )
    ]
    await disk.committing()
    await asyncio.wait(calls, timeout=0.05)
    assert not any(call.done() for call in calls)
    disk.let_go(9)
    assert await asyncio.gather(*calls) == [None, ONE, 1, None]


async def test_a_new_value_that_waits_for_its_commit_is_nobodys_answer_when_that_fails(files: Files) -> None:
    store = files.open()
    left = [1]

    def fail(statement: str) -> None:
        if statement == "COMMIT" and left:
            left.pop()
            raise sqlite_error("SQLITE_FULL")

    inject(store, fail)
    answers = await asyncio.gather(
        store.shelf.put_new("s", "k", ONE),
        store.shelf.put_new("s", "k", Raw(b"2")),
        store.shelf.incr("s", "n", 1),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [StorageFull] * 3
    assert await store.shelf.items("s") == {}
    assert await store.shelf.incr("s", "n", 1) == 1
    assert await store.shelf.put_new("s", "k", Raw(b"3")) == Raw(b"3")
    assert files.failures == []


async def test_a_refused_number_does_not_harm_what_shares_its_transaction(files: Files) -> None:
    store = files.open()
    await store.shelf.put("s", "k", Raw(b'"text"'))
    answers = await asyncio.gather(
        store.shelf.incr("s", "k", 1),
        store.shelf.incr("s", "n", 1),
        store.commit(Commit(now=T0, job=a_job())),
        return_exceptions=True,
    )
    assert isinstance(answers[0], InvalidInput)
    assert answers[1:] == [1, None]
    files.kill(store)
    store = files.open()
    assert await store.shelf.items("s") == {"k": Raw(b'"text"'), "n": ONE}
    assert await store.load(J) == a_job()


async def test_a_closed_store_has_no_shelf(files: Files) -> None:
    store = files.open()
    await store.shelf.put("s", "k", ONE)
    await store.close()
    with pytest.raises(Unavailable):
        await store.shelf.get("s", "k")
    with pytest.raises(Unavailable):
        await store.shelf.items("s")
    with pytest.raises(Unavailable):
        await store.shelf.put("s", "k", ONE)
    assert await files.open().shelf.get("s", "k") == ONE
