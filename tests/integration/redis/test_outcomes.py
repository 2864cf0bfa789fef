"""A call whose answer was lost is made again under its name: it takes effect once, and says what it said."""

import asyncio

import pytest
from msgspec import Raw

from avtomatika.errors import Unavailable
from avtomatika.kernel.ids import JobId
from avtomatika.ports.registry import Doc
from avtomatika.ports.store import Commit, LeaseLost, VersionConflict
from avtomatika.stores.redis import line
from avtomatika.stores.redis.scripts import COMMIT, DOCUMENT, LEASE, SHELF, SWEEP
from avtomatika.testing.contract.values import (
    T0,
    a_fact,
    a_job,
    a_message,
    at,
    create,
    grab,
    grab_one,
    names,
    over,
    send,
)
from tests.integration.redis.conftest import Cutter, Open
from tests.servers.valkey import ValkeyServer

J = JobId("j")


async def test_a_commit_whose_answer_was_lost_happened_once_and_is_said_to_have_happened(
    cutter: Cutter, open_at: Open
) -> None:
    store, _ = await open_at(cutter.url)
    cutter.after(COMMIT.digest)
    await store.commit(Commit(now=T0, job=a_job(), facts=(a_fact(),), send=(a_message(),)))
    assert cutter.cut == 1
    assert [fact.version for fact in await store.facts(J)] == [1]
    assert (await grab_one(store)).delivery == 1
    assert sum((await store.tally()).values()) == 1


async def test_an_acknowledgement_whose_answer_was_lost_is_not_said_to_have_lost_its_lease(
    cutter: Cutter, open_at: Open
) -> None:
    store, _ = await open_at(cutter.url)
    await send(store, a_message())
    lease = await grab_one(store)
    cutter.after(COMMIT.digest)
    await store.commit(Commit(now=T0, ack=(lease,)))
    assert cutter.cut == 1
    with pytest.raises(LeaseLost):
        await store.commit(Commit(now=T0, ack=(lease,)))


async def test_all_commits_of_one_batch_are_told_their_own_outcome(cutter: Cutter, open_at: Open) -> None:
    store, _ = await open_at(cutter.url)
    cutter.after(COMMIT.digest)
    jobs = [Commit(now=T0, job=a_job(f"j{n % 20}", client=str(n))) for n in range(40)]
    outcomes = await asyncio.gather(*(store.commit(job) for job in jobs), return_exceptions=True)
    assert cutter.cut == 1
    assert outcomes[:20] == [None] * 20
    assert {type(outcome) for outcome in outcomes[20:]} == {VersionConflict}


async def test_a_lease_whose_answer_was_lost_is_given_to_who_asked_and_counts_once(
    cutter: Cutter, open_at: Open
) -> None:
    store, _ = await open_at(cutter.url)
    await send(store, *(a_message(name) for name in "abc"))
    cutter.after(LEASE.digest)
    leases = await grab(store, limit=2)
    assert cutter.cut == 1
    assert names(leases) == ["a", "b"]
    assert [lease.delivery for lease in leases] == [1, 1]
    await store.commit(Commit(now=at(1), ack=tuple(leases)))


async def test_values_documents_and_sweeps_take_effect_once(cutter: Cutter, open_at: Open) -> None:
    store, registry = await open_at(cutter.url)
    cutter.after(SHELF.digest)
    assert await store.shelf.incr("s", "k", 5) == 5
    doc = Doc("kind", "key", b"\x00\xff", at(9))
    cutter.after(DOCUMENT.digest)
    assert await registry.replace(doc, expected=0, now=T0)
    cutter.after(DOCUMENT.digest)
    taken = await registry.take("kind", "key", now=T0)
    assert taken is not None
    assert taken.body == doc.body
    await create(store, over())
    cutter.after(SWEEP.digest)
    assert await store.sweep(now=at(1), finished_before=at(1), limit=9) == 1
    assert cutter.cut == 4


async def test_who_stops_waiting_harms_nobody(cutter: Cutter, open_at: Open) -> None:
    store, _ = await open_at(cutter.url)
    tasks = [asyncio.ensure_future(store.commit(Commit(now=T0, job=a_job(f"j{n}")))) for n in range(50)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for n in range(50):
        found = await store.load(JobId(f"j{n}"))
        assert found == a_job(f"j{n}") or (n % 2 == 0 and found is None)


async def test_calls_go_on_when_the_server_comes_back(valkey_server: ValkeyServer, open_at: Open) -> None:
    store, _ = await open_at(valkey_server.url())
    await create(store, a_job())
    valkey_server.kill()
    calls = [asyncio.ensure_future(store.commit(Commit(now=T0, job=a_job(f"k{n}")))) for n in range(9)]
    await asyncio.to_thread(valkey_server.start)
    await asyncio.gather(*calls)
    assert all([await store.load(JobId(f"k{n}")) for n in range(9)])


async def test_a_server_that_stays_away_is_unavailable(
    valkey_server: ValkeyServer, open_at: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = await open_at(valkey_server.url())
    monkeypatch.setattr(line, "PATIENCE_S", 0.3)
    monkeypatch.setattr(line, "SHORT_S", 0.1)
    valkey_server.kill()
    for _ in range(2):
        with pytest.raises(Unavailable):
            await store.commit(Commit(now=T0, job=a_job()))
        with pytest.raises(Unavailable):
            await store.load(J)
    await asyncio.to_thread(valkey_server.start)
    monkeypatch.setattr(line, "PATIENCE_S", 10.0)
    monkeypatch.setattr(line, "SHORT_S", 10.0)
    assert await store.load(J) is None


async def test_a_server_that_is_silent_is_given_up_and_asked_again(
    valkey_server: ValkeyServer, open_at: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = await open_at(valkey_server.url())
    monkeypatch.setattr("avtomatika.stores.redis.wire.SILENCE_S", 0.2)
    valkey_server.pause()
    large = {"a": Raw(b'"' + b"x" * 20_000_000 + b'"')}  # more than the system keeps for who does not read
    commits = [Commit(now=T0, job=a_job(), facts=(a_fact(),)), Commit(now=T0, job=a_job("k", history=large))]
    for commit in commits:
        doing = asyncio.ensure_future(store.commit(commit))
        await asyncio.wait((doing,), timeout=1.0)
        assert not doing.done()
        valkey_server.go_on()
        await doing
        valkey_server.pause()
    valkey_server.go_on()
    assert len(await store.facts(J)) == 1


async def test_scripts_that_the_server_forgot_are_given_to_it_again(
    valkey_server: ValkeyServer, open_at: Open
) -> None:
    store, _ = await open_at(valkey_server.url())
    await create(store, a_job())
    valkey_server.command("SCRIPT", "FLUSH")
    raws = [Raw(str(n).encode()) for n in range(9)]
    answers = await asyncio.gather(*(store.shelf.put_new("s", "k", raw) for raw in raws))
    assert answers == [raws[0]] * 9
    assert await store.time() is not None


async def test_a_store_that_is_closed_does_nothing(valkey_url: str, open_at: Open) -> None:
    store, _ = await open_at(valkey_url)
    await store.close()
    with pytest.raises(Unavailable):
        await store.commit(Commit(now=T0, job=a_job()))
