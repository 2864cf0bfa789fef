"""Several nodes at once: one wins, and nothing is lost or done twice."""

import asyncio

from msgspec import Raw

from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Status
from avtomatika.ports.store import Commit, KeyTaken, VersionConflict
from avtomatika.stores.postgres.store import PostgresStore
from avtomatika.testing.contract.values import (
    T0,
    TTL,
    a_claim,
    a_fact,
    a_job,
    a_message,
    at,
    create,
    names,
    over,
    send,
)
from tests.integration.postgres_store.conftest import OpenNode


async def three(open_node: OpenNode) -> list[PostgresStore]:
    return [await open_node() for _ in range(3)]


async def test_of_thirty_creations_with_one_key_one_makes_a_job(open_node: OpenNode) -> None:
    nodes = await three(open_node)

    async def submit(n: int) -> str:
        job = a_job(f"j{n}")
        claim = a_claim(job=job.id, expires_at=at(100))
        try:
            await nodes[n % 3].commit(Commit(now=T0, job=job, facts=(a_fact(job.id),), claim=claim))
        except KeyTaken as taken:
            return taken.claim.job
        return job.id

    assert len(set(await asyncio.gather(*(submit(n) for n in range(30))))) == 1
    assert await nodes[0].tally() == {Status.PENDING: 1}


async def test_of_thirty_creations_of_one_job_one_makes_it(open_node: OpenNode) -> None:
    nodes = await three(open_node)

    async def submit(n: int) -> bool:
        try:
            await nodes[n % 3].commit(Commit(now=T0, job=a_job(client=str(n)), facts=(a_fact(),)))
        except VersionConflict:
            return False
        return True

    assert sum(await asyncio.gather(*(submit(n) for n in range(30)))) == 1
    assert await nodes[1].unfinished() == 1


async def test_twenty_who_race_for_ten_messages_get_ten_different_ones(open_node: OpenNode) -> None:
    nodes = await three(open_node)
    await send(nodes[0], *(a_message(f"m{n}") for n in range(10)))
    taken = await asyncio.gather(
        *(nodes[n % 3].lease(("q",), owner=f"w{n}", now=T0, ttl=TTL, limit=1) for n in range(20))
    )
    # Whoever comes upon messages that others are just taking goes away empty-handed, and asks again.
    given = [name for leases in taken for name in names(leases)]
    given += names(await nodes[0].lease(("q",), owner="late", now=T0, ttl=TTL, limit=20))
    assert sorted(given) == sorted(f"m{n}" for n in range(10))


async def test_forty_clients_move_one_job_twenty_five_times_each(open_node: OpenNode) -> None:
    nodes = await three(open_node)
    await create(nodes[0], a_job())

    async def client(n: int) -> None:
        node = nodes[n % 3]
        for _ in range(25):
            while True:
                job = await node.load(JobId("j"))
                assert job is not None
                version = job.version + 1
                move = Commit(
                    now=T0, job=a_job(version=version), expected=job.version, facts=(a_fact(version=version),)
                )
                try:
                    await node.commit(move)
                except VersionConflict:
                    continue
                break

    await asyncio.gather(*(client(n) for n in range(40)))
    facts = await nodes[2].facts(JobId("j"))
    assert [fact.version for fact in facts] == list(range(1, 1_002))


async def test_counts_are_exact_while_jobs_move_and_are_swept_everywhere(open_node: OpenNode) -> None:
    nodes = await three(open_node)

    async def live(n: int) -> None:
        node = nodes[n % 3]
        await create(node, a_job(f"j{n}", client="c"))
        if n % 2:
            await node.commit(Commit(now=T0, job=over(f"j{n}"), expected=1))
        if n % 10 == 0:
            await node.sweep(now=at(9), finished_before=at(9), limit=3)

    await asyncio.gather(*(live(n) for n in range(100)))
    while await nodes[0].sweep(now=at(9), finished_before=at(9), limit=10):
        pass
    assert await nodes[1].tally() == {Status.PENDING: 50}
    assert await nodes[1].tally("c") == {Status.PENDING: 50}
    assert await nodes[1].unfinished("c") == await nodes[1].unfinished() == 50


async def test_no_increment_of_any_node_is_lost(open_node: OpenNode) -> None:
    nodes = await three(open_node)
    answers = await asyncio.gather(*(nodes[n % 3].shelf.incr("s", "k", 1) for n in range(300)))
    assert sorted(answers) == list(range(1, 301))
    put = await asyncio.gather(
        *(node.shelf.put_new("s", "new", Raw(b"%d" % n)) for n, node in enumerate(nodes))
    )
    assert len(set(map(bytes, put))) == 1


async def test_messages_exchanged_by_nodes_in_opposite_orders_all_arrive(open_node: OpenNode) -> None:
    nodes = await three(open_node)
    every = [f"m{n}" for n in range(20)]

    async def churn(n: int) -> None:
        order = every if n % 2 else every[::-1]
        for _ in range(10):
            await send(nodes[n % 3], *(a_message(name) for name in order))

    await asyncio.gather(*(churn(n) for n in range(6)))
    assert sorted(names(await nodes[0].lease(("q",), owner="w", now=T0, ttl=TTL, limit=99))) == sorted(every)


async def test_nodes_hear_each_other(open_node: OpenNode) -> None:
    one, other, _ = await three(open_node)
    await other.hearing.listening.wait()
    far = at(10**12)
    for stir in (
        lambda: send(one, a_message("m", "f:q")),
        lambda: create(one, a_job("heard")),
        lambda: one.announce(("mail:w",)),
    ):
        waiting = asyncio.ensure_future(other.wait(("f", "job:heard", "mail:w"), until=far))
        await asyncio.sleep(0)
        await stir()
        await asyncio.wait_for(waiting, 20)


async def test_more_topics_than_one_notification_holds_are_heard(open_node: OpenNode) -> None:
    one, other, _ = await three(open_node)
    await other.hearing.listening.wait()
    topics = [f"topic {n} {'x' * 100}" for n in range(300)]
    waiting = [asyncio.ensure_future(other.wait((topic,), until=at(10**12))) for topic in topics]
    await asyncio.sleep(0)
    await one.announce(topics)
    await asyncio.wait_for(asyncio.gather(*waiting), 20)


async def test_the_time_of_the_server_never_goes_back(open_node: OpenNode, other: object) -> None:
    node = await open_node()
    shown = [await node.time() for _ in range(5)]
    assert shown == sorted(map(int, filter(None, shown)))
    ahead = int(shown[-1] or 0) + 1_000_000
    await other.execute("UPDATE meta SET value = $1 WHERE key = 'clock_floor'", ahead)  # type: ignore[attr-defined]
    assert await node.time() == ahead
