"""A disk that is full, busy or broken: what is refused, what goes on, and what is never half done."""

import asyncio
import sqlite3
from collections.abc import Callable

import pytest
from msgspec import Raw

from avtomatika.errors import InvalidInput, StorageBroken, StorageFull, Unavailable
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Order, Status
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.store import Commit, JobQuery, MessageId
from avtomatika.stores.sql import group_commit
from avtomatika.stores.sql.sqlite import SqliteStore
from avtomatika.testing.contract.values import (
    T0,
    TTL,
    a_claim,
    a_fact,
    a_job,
    a_message,
    at,
    create,
    grab,
    grab_one,
    send,
)
from tests.integration.sqlite.conftest import Files, inject, sqlite_error

J = JobId("j")
BIG = Raw(b'"' + b"x" * 200_000 + b'"')


def all_of_it(name: str = "big") -> Commit:
    """A commit with something for every table, too large for a disk that is full."""
    return Commit(
        now=T0,
        job=a_job(name, last=BIG),
        facts=(a_fact(name),),
        send=(a_message(f"m-{name}", "f:new"),),
        claim=a_claim(name, expires_at=at(9)),
    )


def fill_up(store: SqliteStore) -> Callable[[], None]:
    """The file cannot grow until what is returned is called."""
    (pages,) = store._database.execute("PRAGMA page_count").fetchone()
    store._database.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    def make_space() -> None:
        store._database.execute("PRAGMA max_page_count = 1000000").fetchone()

    return make_space


def failing(statement: str, error: Exception, times: int = 1) -> Callable[[str], None]:
    """What a connection does that fails at its next statements of the kind."""
    left = [times]

    def fail(executed: str) -> None:
        if executed.startswith(statement) and left[0]:
            left[0] -= 1
            raise error

    return fail


@pytest.fixture(params=["loop", "thread"])
def store(request: pytest.FixtureRequest, files: Files) -> SqliteStore:
    store = files.open()
    store._writer._commit_s = -1e9 if request.param == "loop" else 1e9
    return store


class TestFull:
    async def test_what_does_not_fit_is_refused_whole_and_reads_are_served(self, store: SqliteStore) -> None:
        await create(store, a_job())
        fill_up(store)
        for _ in range(3):
            with pytest.raises(StorageFull):
                await store.commit(all_of_it())
        assert await store.load(JobId("big")) is None
        assert await store.load(J) == a_job()
        assert list(await store.facts(JobId("big"))) == []
        assert await store.tally() == {Status.PENDING: 1}
        assert await store.queues("f") == {}

    async def test_commits_are_accepted_again_as_soon_as_there_is_space(
        self, store: SqliteStore, files: Files
    ) -> None:
        make_space = fill_up(store)
        with pytest.raises(StorageFull):
            await store.commit(all_of_it())
        make_space()
        await store.commit(all_of_it())
        files.kill(store)
        assert await files.open().load(JobId("big")) == a_job("big", last=BIG)
        assert files.failures == []

    async def test_everybody_in_the_batch_hears_of_it(self, store: SqliteStore) -> None:
        fill_up(store)
        commits = [all_of_it(f"big{n}") for n in range(5)]
        answers = await asyncio.gather(*map(store.commit, commits), return_exceptions=True)
        assert [type(answer) for answer in answers] == [StorageFull] * 5

    async def test_leases_noted_meanwhile_are_not_lost(self, store: SqliteStore, files: Files) -> None:
        await send(store, a_message(), a_message("n"))
        make_space = fill_up(store)
        lease, _ = await grab(store)
        with pytest.raises(StorageFull):
            await store.commit(all_of_it())
        longer = await store.extend(lease, now=at(5), ttl=TTL)
        make_space()
        await store.flush()
        files.kill(store)
        store = files.open()
        assert await store.held(MessageId("m"), now=T0) == longer
        assert list(await grab(store)) == []

    async def test_what_was_accepted_without_waiting_is_written_when_there_is_space(
        self, store: SqliteStore, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(group_commit, "RETRY_S", 0.01)
        written = asyncio.Event()
        make_space = fill_up(store)
        soft = Commit(now=T0, job=a_job("soft", last=BIG), facts=(a_fact("soft"),), durable=False)
        await store.commit(soft)
        assert await store.load(JobId("soft")) == soft.job
        with pytest.raises(StorageFull):
            await store.commit(all_of_it())
        assert (await store.find(JobQuery())).jobs == (), "lists do not fail, though they cannot see it"
        assert await store.tally() == {Status.PENDING: 1}
        inject(store, lambda statement: written.set() if statement == "COMMIT" else None)
        make_space()
        async with asyncio.timeout(20):
            await written.wait()
        assert await store.facts(JobId("soft")) == [a_fact("soft")]
        files.kill(store)
        assert await files.open().load(JobId("soft")) == soft.job

    async def test_a_commit_that_fails_for_space_at_its_end_is_undone(
        self, store: SqliteStore, files: Files
    ) -> None:
        await create(store, a_job())
        inject(store, failing("COMMIT", sqlite_error("SQLITE_FULL")))
        with pytest.raises(StorageFull):
            await store.commit(all_of_it())
        await store.commit(Commit(now=T0, job=a_job(version=2), expected=1))
        files.kill(store)
        store = files.open()
        assert await store.load(JobId("big")) is None
        assert await store.load(J) == a_job(version=2)
        assert files.failures == []

    async def test_a_store_that_is_full_can_still_be_closed(self, store: SqliteStore, files: Files) -> None:
        await create(store, a_job())
        make_space = fill_up(store)
        await store.commit(Commit(now=T0, job=a_job("soft", last=BIG), durable=False))
        with pytest.raises(StorageFull):
            await store.close()
        assert make_space
        assert await files.open().load(J) == a_job()


class TestBusy:
    async def test_a_file_that_somebody_else_writes_to_is_unavailable_for_that_time(
        self, store: SqliteStore, files: Files
    ) -> None:
        other = sqlite3.connect(files.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            await create(store, a_job())
        other.execute("ROLLBACK")
        other.close()
        await create(store, a_job())
        assert files.failures == []


class TestBroken:
    @pytest.mark.parametrize("statement", ["COMMIT", "BEGIN", "INSERT INTO job"])
    @pytest.mark.parametrize("name", ["SQLITE_IOERR_FSYNC", "SQLITE_CORRUPT", "SQLITE_READONLY"])
    async def test_after_an_error_of_the_disk_nothing_is_accepted_any_more(
        self, store: SqliteStore, files: Files, statement: str, name: str
    ) -> None:
        await create(store, a_job("before"))
        inject(store, failing(statement, sqlite_error(name)))
        commits = [Commit(now=T0, job=a_job(f"j{n}")) for n in range(3)]
        answers = await asyncio.gather(*map(store.commit, commits), return_exceptions=True)
        assert [type(answer) for answer in answers] == [StorageBroken] * 3
        for durable in (True, False):
            with pytest.raises(StorageBroken):
                await store.commit(Commit(now=T0, job=a_job("after"), durable=durable))
        with pytest.raises(StorageBroken):
            await store.sweep(now=T0, finished_before=T0, limit=1)
        assert len(files.failures) == 1
        assert name in str(files.failures[0])
        assert await store.load(JobId("before")) == a_job("before")
        await store.close()
        assert await files.open().tally() == {Status.PENDING: 1}

    async def test_those_who_wait_for_the_next_batch_are_refused_too(
        self, store: SqliteStore, files: Files
    ) -> None:
        first = asyncio.ensure_future(create(store, a_job()))
        inject(store, failing("COMMIT", sqlite_error("SQLITE_IOERR")))
        await asyncio.wait((first,), timeout=0)
        second = asyncio.ensure_future(create(store, a_job("k")))
        answers = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(answer) for answer in answers] == [StorageBroken] * 2
        assert len(files.failures) == 1

    async def test_a_transaction_that_can_be_neither_finished_nor_undone_is_the_end(
        self, store: SqliteStore, files: Files
    ) -> None:
        def fail(statement: str) -> None:
            if statement in ("COMMIT", "ROLLBACK"):
                raise sqlite_error("SQLITE_FULL")

        inject(store, fail)
        with pytest.raises(StorageBroken):
            await create(store, a_job())
        assert len(files.failures) == 1

    async def test_an_error_in_a_sweep_or_a_read_is_told_like_any_other(
        self, store: SqliteStore, files: Files
    ) -> None:
        inject(store, failing("BEGIN", sqlite_error("SQLITE_IOERR")))
        with pytest.raises(StorageBroken):
            await store.sweep(now=T0, finished_before=T0, limit=1)
        assert len(files.failures) == 1
        store._reader.close()
        with pytest.raises(StorageBroken):
            await store.facts(J)
        assert len(files.failures) == 1

    async def test_a_sweep_that_finds_no_space_is_refused_and_nothing_else(
        self, store: SqliteStore, files: Files
    ) -> None:
        inject(store, failing("COMMIT", sqlite_error("SQLITE_FULL")))
        with pytest.raises(StorageFull):
            await store.sweep(now=T0, finished_before=T0, limit=1)
        await create(store, a_job())
        assert files.failures == []

    async def test_a_mistake_of_ours_in_a_batch_is_told_to_everybody_who_waits(
        self, store: SqliteStore, files: Files
    ) -> None:
        inject(store, failing("INSERT INTO job", ZeroDivisionError("a mistake")))
        with pytest.raises(StorageBroken):
            async with asyncio.timeout(20):
                await create(store, a_job())
        assert len(files.failures) == 1


class TestUnstorable:
    @pytest.mark.parametrize("durable", [True, False])
    @pytest.mark.parametrize(
        "commit",
        [
            Commit(now=T0, job=a_job(client="\ud800"), send=(a_message(),)),
            Commit(now=T0, job=a_job(), facts=(a_fact("\ud800"),), send=(a_message(),)),
            Commit(now=T0, job=a_job(), send=(a_message(visible_at=Instant(2**63)),)),
            Commit(now=T0, job=a_job(), send=(a_message(order=Order(skill="\ud800")),)),
            Commit(now=T0, job=a_job(updated=Instant(2**63)), send=(a_message(),)),
        ],
    )
    async def test_a_value_that_no_file_holds_is_refused_alone(
        self, store: SqliteStore, files: Files, commit: Commit, durable: bool
    ) -> None:
        bad = Commit(now=T0, job=commit.job, facts=commit.facts, send=commit.send, durable=durable)
        async with asyncio.timeout(20):
            answers = await asyncio.gather(
                create(store, a_job("good")),
                store.commit(bad),
                create(store, a_job("other")),
                return_exceptions=True,
            )
        assert [type(answer) for answer in answers] == [type(None), InvalidInput, type(None)]
        assert await store.load(J) is None
        assert await store.next_due("q") is None
        await create(store, a_job())
        assert files.failures == []

    async def test_a_lease_that_lasts_for_ever_is_kept(self, store: SqliteStore, files: Files) -> None:
        await send(store, a_message())
        lease = await grab_one(store, ttl=Span(2**70))
        await store.flush()
        files.kill(store)
        store = files.open()
        assert list(await grab(store, now=at(2**40))) == []
        await store.commit(Commit(now=at(2**40), ack=(lease,)))
        assert files.failures == []
