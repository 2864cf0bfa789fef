"""Many commits in one transaction, and what happens while a COMMIT waits for the disk."""

import asyncio
import sqlite3
import threading

import msgspec
import pytest
from msgspec import Raw

from avtomatika.errors import StorageFull
from avtomatika.kernel.ids import JobId
from avtomatika.ports.store import Commit, LeaseLost, MessageId
from avtomatika.ports.store import VersionConflict as Moved
from avtomatika.stores.sql import checkpoints, group_commit
from avtomatika.testing.contract.values import (
    T0,
    TTL,
    a_branch,
    a_claim,
    a_fact,
    a_job,
    a_message,
    at,
    branch_id,
    create,
    grab,
    grab_one,
    over,
    send,
)
from tests.integration.sqlite.conftest import Files, SlowDisk, inject, sqlite_error

J = JobId("j")


class TestGrouping:
    async def test_concurrent_commits_share_one_transaction(self, files: Files) -> None:
        store = files.open()
        store._writer._commit_s = -1e9
        statements: list[str] = []
        inject(store, statements.append)
        await asyncio.gather(*(create(store, a_job(f"j{n}")) for n in range(500)))
        assert statements.count("COMMIT") == 1
        assert sum(statement.startswith("INSERT INTO job") for statement in statements) == 1

    async def test_who_waits_for_the_news_of_a_commit_goes_on_before_who_made_it(self, files: Files) -> None:
        store, order = files.open(), list[str]()

        async def hear() -> None:
            await store.wait(("q",), until=at(60_000))
            order.append("heard")
            asyncio.get_running_loop().call_soon(order.append, "passed on")

        async def say() -> None:
            await send(store, a_message("m", queue="q"))
            order.append("said")

        hearing = asyncio.ensure_future(hear())
        await asyncio.sleep(0)
        await asyncio.gather(hearing, say())
        assert order == ["heard", "passed on", "said"]

    async def test_commits_that_arrive_during_a_commit_share_the_next_one(self, files: Files) -> None:
        store = files.open()
        disk = SlowDisk(store)
        first = asyncio.ensure_future(create(store, a_job("first")))
        await disk.committing()
        rest = asyncio.gather(*(create(store, a_job(f"j{n}")) for n in range(100)))
        disk.let_go()
        await first
        await disk.committing()
        assert not rest.done()
        disk.let_go()
        await rest
        disk.let_go(9)

    async def test_pipelined_moves_of_one_job_go_to_disk_as_one(self, files: Files) -> None:
        store = files.open()
        histories = [{"a": Raw(b"1")}, {"a": Raw(b"1")}, {"a": Raw(b"2")}]
        jobs = [msgspec.structs.replace(a_job(version=n), history=histories[n - 1]) for n in (1, 2, 3)]
        jobs[1] = msgspec.structs.replace(jobs[0], version=2)
        await asyncio.gather(
            *(
                store.commit(
                    Commit(now=T0, job=job, expected=job.version - 1, facts=(a_fact(version=job.version),))
                )
                for job in jobs
            )
        )
        files.kill(store)
        store = files.open()
        assert await store.load(J) == jobs[2]
        assert [fact.version for fact in await store.facts(J)] == [1, 2, 3]

    async def test_data_that_a_commit_changed_is_kept_by_one_that_follows_in_the_batch(
        self, files: Files
    ) -> None:
        store = files.open()
        await create(store, a_job())
        changed = msgspec.structs.replace(a_job(version=2), history={"a": Raw(b"1")})
        again = msgspec.structs.replace(changed, version=3)
        back = msgspec.structs.replace(a_job(version=4), input=again.input, history={}, last=again.last)
        for jobs in ((changed, again), (back,)):
            await asyncio.gather(
                *(store.commit(Commit(now=T0, job=job, expected=job.version - 1)) for job in jobs)
            )
            files.kill(store)
            store = files.open()
            assert await store.load(J) == jobs[-1]

    async def test_a_cancelled_caller_does_not_undo_the_commit_or_harm_others(self, files: Files) -> None:
        store = files.open()
        first = asyncio.ensure_future(create(store, a_job()))
        second = asyncio.ensure_future(create(store, a_job("k")))
        await asyncio.wait((first,), timeout=0)
        first.cancel()
        await second
        assert await store.load(J) == a_job()
        assert await store.load(JobId("k")) == a_job("k")


class TestDuringACommit:
    """The COMMIT waits in its thread; the loop goes on."""

    async def test_an_old_lease_extended_meanwhile_does_not_come_back_over_a_new_message(
        self, files: Files
    ) -> None:
        store = files.open()
        await send(store, a_message())
        old = await grab_one(store)
        await store.commit(Commit(now=T0))
        disk = SlowDisk(store)
        replacing = asyncio.ensure_future(send(store, a_message(priority=1.0)))
        await disk.committing()
        longer = await store.extend(old, now=at(1), ttl=TTL)
        disk.let_go(9)
        await replacing
        await store.commit(Commit(now=T0))
        files.kill(store)
        store = files.open()
        with pytest.raises(LeaseLost):
            await store.commit(Commit(now=T0, ack=(longer,)))
        assert (await grab_one(store)).delivery == 1

    async def test_a_commit_that_is_not_durable_cannot_win_against_one_on_its_way(self, files: Files) -> None:
        store = files.open()
        await create(store, a_job())
        await send(store, a_message())
        lease = await grab_one(store)
        await store.commit(Commit(now=T0))
        disk = SlowDisk(store)
        move = Commit(now=T0, job=a_job(version=2), expected=1, facts=(a_fact(version=2),), ack=(lease,))
        moving = asyncio.ensure_future(store.commit(move))
        await disk.committing()
        rivals = [
            asyncio.ensure_future(store.commit(msgspec.structs.replace(move, durable=False, ack=()))),
            asyncio.ensure_future(store.commit(Commit(now=T0, ack=(lease,), durable=False))),
        ]
        await asyncio.wait(rivals, timeout=0.05)
        disk.let_go(9)
        await moving
        answers = await asyncio.gather(*rivals, return_exceptions=True)
        assert [type(answer) for answer in answers] == [Moved, LeaseLost]
        assert [fact.version for fact in await store.facts(J)] == [1, 2]
        assert files.failures == []

    async def test_what_is_about_something_else_takes_effect_at_once(self, files: Files) -> None:
        store = files.open()
        disk = SlowDisk(store)
        creating = asyncio.ensure_future(create(store, a_job()))
        await disk.committing()
        await store.commit(Commit(now=T0, job=a_job("k"), send=(a_message(),), durable=False))
        assert await store.load(JobId("k")) == a_job("k")
        lease = await grab_one(store)
        assert await store.load(J) is None
        disk.let_go(9)
        await creating
        await store.commit(Commit(now=T0, ack=(lease,)))
        files.kill(store)
        store = files.open()
        assert await store.load(JobId("k")) == a_job("k")
        assert await store.next_due("q") is None

    async def test_nothing_takes_effect_before_it_is_on_disk(self, files: Files) -> None:
        store = files.open()
        await create(store, a_job())
        await send(store, a_message())
        lease = await grab_one(store)
        await store.commit(Commit(now=T0))
        disk = SlowDisk(store)
        move = Commit(
            now=T0,
            job=a_job(version=2),
            expected=1,
            branches=(a_branch(),),
            send=(a_message("new", "new"),),
            ack=(lease,),
        )
        moving = asyncio.ensure_future(store.commit(move))
        await disk.committing()
        assert await store.load(J) == a_job()
        assert await store.branch(J, branch_id("j", 1, 0)) is None
        assert await store.held(MessageId("m"), now=T0) == lease
        assert list(await grab(store, "new")) == []
        disk.let_go(9)
        await moving
        assert await store.load(J) == a_job(version=2)
        assert len(await grab(store, "new")) == 1

    async def test_facts_are_never_ahead_of_the_job(
        self, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = files.open()
        await store.commit(Commit(now=T0, job=a_job(), facts=(a_fact(),)))
        on_disk, gate, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()
        real = group_commit.commit

        def slow(database: sqlite3.Connection) -> float | sqlite3.Error:
            outcome = real(database)
            loop.call_soon_threadsafe(on_disk.set)
            gate.wait(20)
            return outcome

        monkeypatch.setattr(group_commit, "SLOW_COMMIT_S", 0.0)
        monkeypatch.setattr(group_commit, "commit", slow)
        move = Commit(now=T0, job=a_job(version=2), expected=1, facts=(a_fact(version=2),))
        moving = asyncio.ensure_future(store.commit(move))
        await on_disk.wait()
        asking = asyncio.ensure_future(store.facts(J))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not asking.done()
        assert await store.load(J) == a_job()
        gate.set()
        assert [fact.version for fact in await asking] == [1, 2]
        assert await store.load(J) == a_job(version=2)
        await moving

    async def test_reads_and_sweeps_find_their_turn_under_constant_load(self, files: Files) -> None:
        store = files.open()
        store._writer._commit_s = 1e9
        await create(store, over("old"))
        stop = False

        async def load(worker: int) -> int:
            n = 0
            while not stop:
                await create(store, a_job(f"{worker}-{n}"))
                n += 1
            return n

        loads = asyncio.gather(*(load(worker) for worker in range(8)))
        async with asyncio.timeout(20):
            assert await store.sweep(now=at(9), finished_before=at(9), limit=9) == 1
            await store.commit(Commit(now=T0, job=a_job("soft"), facts=(a_fact("soft"),), durable=False))
            assert await store.facts(JobId("soft")) == [a_fact("soft")]
        stop = True
        counts = await loads
        assert sum((await store.tally()).values()) == sum(counts) + 1

    async def test_a_sweep_waits_for_the_transaction_before_it(self, files: Files) -> None:
        store = files.open()
        disk = SlowDisk(store)
        creating = asyncio.ensure_future(create(store, over()))
        await disk.committing()
        sweeping = asyncio.ensure_future(store.sweep(now=at(9), finished_before=at(9), limit=9))
        await asyncio.wait((sweeping,), timeout=0.05)
        disk.let_go(9)
        await creating
        assert await sweeping == 1
        assert await store.load(J) is None


class TestNoted:
    async def test_a_claim_is_never_taken_twice(self, files: Files) -> None:
        store = files.open()
        commits = [
            Commit(
                now=T0, job=a_job(f"j{n}"), claim=a_claim(job=f"j{n}", expires_at=at(9)), durable=n % 2 == 0
            )
            for n in range(10)
        ]
        answers = await asyncio.gather(*map(store.commit, commits), return_exceptions=True)
        assert answers.count(None) == 1

    async def test_a_fan_out_closed_without_waiting_is_forgotten_on_disk_too(self, files: Files) -> None:
        store = files.open()
        await store.commit(Commit(now=T0, job=a_job(), branches=(a_branch(),)))
        await store.commit(Commit(now=T0, job=a_job(version=2), expected=1, close=(1,), durable=False))
        await store.commit(Commit(now=T0))
        files.kill(store)
        assert list(await files.open().branches(J, 1)) == []

    async def test_the_branches_of_a_job_that_is_over_do_not_come_back(self, files: Files) -> None:
        store = files.open()
        await store.commit(Commit(now=T0, job=a_job(), branches=(a_branch(),)))
        await store.commit(Commit(now=T0, job=over(), expected=1, branches=(a_branch(index=1),)))
        files.kill(store)
        assert list(await files.open().branches(J, 1)) == []


class TestTheLog:
    async def test_checkpoints_keep_the_log_bounded(
        self, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(checkpoints, "BYTES", 256 * 1024)
        store = files.open()
        log = files.path.with_name(files.path.name + "-wal")
        data = Raw(b'"' + b"x" * 30_000 + b'"')
        sizes: list[int] = []
        for n in range(300):
            await create(store, a_job(f"j{n}", last=data))
            sizes.append(log.stat().st_size)
        assert max(sizes) < 1024 * 1024
        assert files.path.stat().st_size > 8 * 1024 * 1024

    async def test_a_checkpoint_that_finds_no_space_stops_nothing(
        self, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(checkpoints, "BYTES", 1)
        store = files.open()
        seen: list[str] = []

        def fail(statement: str) -> None:
            if "wal_checkpoint" in statement:
                seen.append(statement)
                raise sqlite_error("SQLITE_FULL")

        inject(store, fail)
        for n in range(20):
            try:
                await create(store, a_job(f"j{n}"))
            except StorageFull:
                pytest.fail("a commit was refused for a checkpoint")
        assert seen
        assert files.failures == []
