"""The server is away, or the answer gets lost: what was accepted is there once, and who waits hears of it."""

import asyncio

import asyncpg
import pytest

from avtomatika.errors import Unavailable
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Status
from avtomatika.ports.store import Commit, VersionConflict
from avtomatika.stores.postgres import driver, pool
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
    names,
    send,
)
from tests.integration.postgres_store.conftest import OpenNode
from tests.integration.postgres_store.proxy import proxy_to
from tests.servers.postgres import PostgresServer, programs

J = JobId("j")


def move(version: int) -> Commit:
    return Commit(
        now=T0,
        job=a_job(version=version),
        expected=version - 1,
        facts=(a_fact(version=version),),
        send=(a_message(f"m{version}"),),
    )


@pytest.mark.parametrize("what", ["answer", "question"])
async def test_a_commit_is_done_once_whether_its_question_or_its_answer_was_lost(
    open_node: OpenNode, own_uri: str, what: str
) -> None:
    async with proxy_to(own_uri) as (proxy, uri):
        node = await open_node(uri)
        await node.hearing.listening.wait()
        await create(node, a_job())
        lose = proxy.lose_next_answer if what == "answer" else proxy.lose_next_question
        for version in range(2, 8):
            lose()
            await node.commit(move(version))
        with pytest.raises(VersionConflict):
            await node.commit(move(7))
        assert proxy.lost == 6
        assert [fact.version for fact in await node.facts(J)] == list(range(1, 8))
        assert await node.tally() == {Status.RUNNING: 1}
        assert len(await grab(node)) == 6
        await node.close()


async def test_a_creation_whose_answer_was_lost_is_no_duplicate_of_itself(
    open_node: OpenNode, own_uri: str
) -> None:
    async with proxy_to(own_uri) as (proxy, uri):
        node = await open_node(uri)
        await create(node, a_job("first"))
        proxy.lose_next_answer()
        await node.commit(Commit(now=T0, job=a_job(), facts=(a_fact(),), claim=a_claim(expires_at=at(9))))
        assert proxy.lost == 1
        assert await node.unfinished() == 2
        await node.close()


async def test_increments_are_counted_once_although_answers_are_lost(
    open_node: OpenNode, own_uri: str
) -> None:
    async with proxy_to(own_uri) as (proxy, uri):
        node = await open_node(uri)
        await node.shelf.incr("s", "k", 0)
        for n in range(1, 13):
            proxy.lose_next_answer()
            assert await node.shelf.incr("s", "k", 1) == n
        assert proxy.lost == 12
        await node.close()


async def test_messages_whose_lease_was_not_heard_of_are_had_all_the_same(
    open_node: OpenNode, own_uri: str
) -> None:
    async with proxy_to(own_uri) as (proxy, uri):
        node = await open_node(uri)
        await send(node, *(a_message(name) for name in "abcde"), a_message("first", "p", priority=-1.0))
        assert list(await grab(node, "none")) == []
        proxy.lose_next_answer()
        leases = await node.lease(("p", "q"), owner="w", now=T0, ttl=TTL, limit=3)
        assert proxy.lost == 1
        assert names(leases) == ["first", "a", "b"]
        for lease in leases:
            assert await node.held(lease.message.id, now=T0) == lease
            await node.extend(lease, now=T0, ttl=TTL)
        assert names(await grab(node, "q")) == ["c", "d", "e"]
        await node.close()


async def test_a_batch_that_is_sent_again_while_the_first_is_still_at_work_waits_for_it(
    open_node: OpenNode, own_uri: str, other: asyncpg.Connection
) -> None:
    async with proxy_to(own_uri) as (proxy, uri):
        node = await open_node(uri)
        await create(node, a_job())
        holding = other.transaction()
        await holding.start()
        await other.execute("SELECT FROM job FOR UPDATE")
        moving = asyncio.ensure_future(node.commit(move(2)))
        await _waiting_for_locks(other, 1)
        proxy.cut()
        await _waiting_for_locks(other, 2)
        await holding.rollback()
        await moving
        assert [fact.version for fact in await node.facts(J)] == [1, 2]
        await node.close()


async def _waiting_for_locks(connection: asyncpg.Connection, count: int) -> None:
    asked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    async with asyncio.timeout(20):
        while await connection.fetchval(asked) < count:
            await asyncio.sleep(0.01)


async def test_a_server_that_restarts_under_load_loses_and_doubles_nothing(
    open_node: OpenNode, postgres_server: PostgresServer
) -> None:
    node = await open_node()
    done: dict[str, int] = {}

    async def client(name: str) -> None:
        await create(node, a_job(name))
        done[name] = 1
        for version in range(2, 40):
            job, fact = a_job(name, version), a_fact(name, version)
            await node.commit(Commit(now=T0, job=job, expected=version - 1, facts=(fact,)))
            done[name] = version

    running = asyncio.gather(*(client(f"j{n}") for n in range(10)))
    for goal in (50, 150, 250):
        while sum(done.values()) < goal and not running.done():
            await asyncio.sleep(0.001)
        await asyncio.to_thread(postgres_server.restart)
    await running
    for name in done:
        facts = await node.facts(JobId(name))
        assert [fact.version for fact in facts] == list(range(1, 40))
    assert await node.tally() == {Status.RUNNING: 10}


async def test_what_a_server_with_fsync_accepted_is_there_after_it_was_killed(open_node: OpenNode) -> None:
    found = programs()
    assert found is not None, "or there would be no other server here either"
    server = PostgresServer(found, fsync="on")
    try:
        server.start()
        node = await open_node(server.uri())
        assert node.durability.fsync == "always"
        accepted: set[str] = set()

        async def client(name: str) -> None:
            await create(node, a_job(name))
            accepted.add(name)

        asking = [asyncio.ensure_future(client(f"j{n}")) for n in range(2_000)]
        while len(accepted) < 300:
            await asyncio.sleep(0.001)
        server.stop()
        before = set(accepted)
        await asyncio.to_thread(server.start)
        await asyncio.gather(*asking)
        assert before <= accepted
        assert await node.tally() == {Status.PENDING: 2_000}
        assert sum([await node.load(JobId(name)) is not None for name in before]) == len(before)
        await node.close()
    finally:
        server.remove()


async def test_connections_that_somebody_ends_are_replaced(
    open_node: OpenNode, other: asyncpg.Connection
) -> None:
    node = await open_node()
    end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    for version in range(1, 6):
        await node.commit(move(version))
        await other.fetchval(f"{end} AND datname = current_database()")
        assert await node.load(J) == a_job(version=version)


async def test_after_long_enough_without_a_server_everybody_hears_so(
    open_node: OpenNode, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "PATIENCE_S", 0.3)
    node = await open_node()
    await create(node, a_job())
    postgres_server.stop()
    outcomes = await asyncio.gather(
        node.commit(move(2)),
        node.load(J),
        node.lease(("q",), owner="w", now=T0, ttl=at(9), limit=1),
        node.shelf.incr("s", "k", 1),
        node.time(),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 5
    postgres_server.start()
    assert await node.load(J) == a_job()
    await node.commit(move(2))


async def test_a_server_that_answers_nobody_is_not_waited_for_for_ever(
    open_node: OpenNode, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "PATIENCE_S", 0.3)
    monkeypatch.setattr(driver, "ANSWER_S", 0.3)
    monkeypatch.setattr(driver, "CONNECT_S", 0.3)
    node = await open_node()
    await create(node, a_job())
    postgres_server.pause()
    try:
        async with asyncio.timeout(20):
            with pytest.raises(Unavailable):
                await node.load(J)
            with pytest.raises(Unavailable):
                await node.commit(move(2))
    finally:
        postgres_server.go_on()
    async with asyncio.timeout(20):
        while (job := await node.load(J)) != a_job(version=2):
            if job == a_job():
                try:
                    await node.commit(move(2))
                except VersionConflict:
                    continue


async def test_a_closed_store_accepts_nothing_and_what_was_asked_before_is_done(
    open_node: OpenNode, other: asyncpg.Connection
) -> None:
    node = await open_node()
    asked = [asyncio.ensure_future(create(node, a_job(f"j{n}"))) for n in range(600)]
    counted = asyncio.ensure_future(node.shelf.incr("s", "k", 1))
    await asyncio.sleep(0)
    await node.close()
    await asyncio.gather(*asked, counted)
    assert await other.fetchval("SELECT count(*) FROM job") == 600
    for refused in (create(node, a_job()), node.load(J), node.shelf.get("s", "k"), node.time()):
        with pytest.raises(Unavailable):
            await refused
    await node.close()


async def test_the_values_at_fault_are_refused_and_no_others_of_the_batch(open_node: OpenNode) -> None:
    node = await open_node()
    large = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(5_000))
    outcomes = await asyncio.gather(
        *(create(node, a_job(name)) for name in ("a", large, "b")), return_exceptions=True
    )
    assert [getattr(outcome, "code", None) for outcome in outcomes] == [None, "invalid_input", None]
    assert await node.tally() == {Status.PENDING: 2}
