"""A copy of a store holds what the store holds, however often it is made and wherever one of them ended."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from avtomatika.commands.copying import Copied, Copy
from avtomatika.commands.moving import SHELF, Mark, Notes, mark_of, refuse_moving
from avtomatika.errors import ConfigError, StorageBroken, Unavailable
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Gathering, Job, Ready
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.store import Commit, JobQuery, KeyTaken, LeaseLost, Store
from avtomatika.stores.memory import MemoryStore
from avtomatika.stores.sql.contents import SqliteContents
from avtomatika.stores.sql.sqlite import SqliteStore
from avtomatika.testing.contract.values import (
    TTL,
    CountedTokens,
    VirtualClock,
    a_branch,
    a_claim,
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

GRACE = Span(60_000)

Again = Callable[[], Awaitable[Copied]]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def source(clock: VirtualClock, tmp_path: Path) -> AsyncIterator[SqliteStore]:
    broken: list[StorageBroken] = []
    store = SqliteStore(tmp_path / "old.db", now=clock.now, tokens=CountedTokens(), broken=broken.append)
    yield store
    await store.close()
    assert broken == []


@pytest.fixture
def target(clock: VirtualClock) -> Store:
    return MemoryStore(now=clock.now, tokens=CountedTokens())


@pytest.fixture
async def copy(
    source: SqliteStore, target: Store, clock: VirtualClock, tmp_path: Path
) -> AsyncIterator[Again]:
    """A pass, as another process makes it: what lags in the store of this one is written before."""
    with SqliteContents(tmp_path / "old.db") as contents:

        async def copy() -> Copied:
            await source.flush()
            return await Copy(contents, target, clock, GRACE)()

        yield copy


async def move(
    store: Store, job: Job, *, branches: tuple[Any, ...] = (), close: tuple[int, ...] = ()
) -> None:
    fact = a_fact(job.id, job.version)
    commit = Commit(
        now=job.updated, job=job, expected=job.version - 1, facts=(fact,), branches=branches, close=close
    )
    await store.commit(commit)


async def jobs(store: Store) -> list[Job]:
    return list((await store.find(JobQuery())).jobs)


async def test_jobs_come_with_their_data_and_their_facts(
    source: SqliteStore, target: Store, copy: Again
) -> None:
    data = {"a": Raw(b'{"n": 1.0}'), "b": Raw(b"null")}
    first = a_job("j1", user_input=data, history=data, last=Raw(b"[1]"), client="c")
    await create(source, first, a_job("j2"))
    await move(source, over("j2"))
    assert (await copy()).jobs == 2
    assert await jobs(target) == await jobs(source)
    assert [fact.version for fact in await target.facts(JobId("j2"))] == [1, 2]
    assert await target.tally() == await source.tally()
    assert await target.unfinished("c") == 1


async def test_a_repetition_moves_only_what_changed(source: SqliteStore, target: Store, copy: Again) -> None:
    await create(source, *(a_job(f"j{n}") for n in range(5)))
    assert (await copy()).jobs == 5
    await move(source, a_job("j3", 2, updated=at(1)))
    await move(source, a_job("j3", 3, updated=at(2)))
    await create(source, a_job("j9"))
    assert (await copy()).jobs == 2
    assert (await copy()).jobs == 0
    assert [fact.version for fact in await target.facts(JobId("j3"))] == [1, 2, 3]
    assert await jobs(target) == await jobs(source)


async def test_a_pass_that_ended_before_its_notes_is_made_up_for(
    source: SqliteStore, target: Store, copy: Again
) -> None:
    await create(source, a_job("j1"), a_job("j2"))
    await copy()
    for name in ("jobs", "messages"):
        notes = Notes(target.shelf, name)
        await notes.read()
        await notes.replace(())
    await move(source, a_job("j1", 2, updated=at(1)))
    assert (await copy()).jobs == 2
    assert await jobs(target) == await jobs(source)
    assert [fact.version for fact in await target.facts(JobId("j1"))] == [1, 2]


async def test_a_copy_that_is_ahead_is_none_of_this_store(
    source: SqliteStore, target: Store, copy: Again
) -> None:
    await create(source, a_job("j"))
    await create(target, a_job("j"))
    await move(target, a_job("j", 2))
    with pytest.raises(ConfigError, match="later version"):
        await copy()


async def test_branches_come_and_go_with_their_fan_out(
    source: SqliteStore, target: Store, copy: Again
) -> None:
    first = (a_branch("j", 1, 0), a_branch("j", 1, 1))
    out = a_job("j", phase=Gathering(opened=1, width=2, left=2, then="gather"))
    await source.commit(Commit(now=at(0), job=out, facts=(a_fact(),), branches=first))
    await copy()
    assert await target.branches(JobId("j"), 1) == list(first)
    second = (a_branch("j", 3, 0),)
    await move(source, a_job("j", 2, phase=Ready(gathered=1)))
    await move(
        source,
        a_job("j", 3, phase=Gathering(opened=3, width=1, left=1, then="x")),
        branches=second,
        close=(1,),
    )
    await copy()
    assert await target.branches(JobId("j"), 1) == []
    assert await target.branches(JobId("j"), 3) == list(second)


async def test_jobs_that_were_swept_are_gone(
    source: SqliteStore, target: Store, copy: Again, clock: VirtualClock
) -> None:
    await clock.advance(Span(9))
    await create(source, *(a_job(f"j{n}") for n in range(3)))
    for n in range(3):
        await move(source, over(f"j{n}", ended=at(n)))
    await copy()
    assert await source.sweep(now=at(9), finished_before=at(2), limit=10) == 2
    await copy()
    assert [job.id for job in await jobs(target)] == ["j2"]
    await source.sweep(now=at(9), finished_before=at(9), limit=10)
    await copy()
    assert await jobs(target) == []


async def test_messages_come_in_their_order_and_those_that_are_gone_go(
    source: SqliteStore, target: Store, copy: Again
) -> None:
    some = [a_message(f"m{n}", priority=float(n % 2)) for n in range(120)]
    await send(source, *some, a_message("late", visible_at=at(500)))
    assert (await copy()).messages == 121
    await source.commit(
        Commit(now=at(0), drop=tuple(message.id for message in some[::3]), send=(a_message("new"),))
    )
    await copy()
    assert await target.next_due("q") == await source.next_due("q")
    expected = names(await grab(source, limit=999))
    assert names(await grab(target, limit=999)) == expected
    assert len(expected) == 81
    assert names(await grab(target, now=at(500))) == ["late"]


async def test_a_lease_of_a_worker_holds_for_longer_and_its_result_is_taken(
    source: SqliteStore, target: Store, copy: Again, clock: VirtualClock
) -> None:
    await send(source, a_message())
    await grab_one(source)
    lease = await grab_one(source, now=at(TTL + 1))
    await clock.advance(Span(TTL + 1))
    await copy()
    held = await target.held(lease.message.id, now=clock.now())
    assert held is not None
    assert (held.owner, held.token, held.delivery) == (lease.owner, lease.token, 2)
    assert held.until == clock.now() + GRACE
    assert names(await grab(target, owner="other", now=lease.until)) == []
    await target.commit(Commit(now=lease.until, ack=(lease,)))
    with pytest.raises(LeaseLost):
        await target.commit(Commit(now=lease.until, ack=(lease,)))


async def test_a_lease_of_a_node_is_over_and_its_delivery_counted(
    source: SqliteStore, target: Store, copy: Again
) -> None:
    await send(source, a_message())
    await grab_one(source, owner="node:local")
    await copy()
    assert (await grab_one(target)).delivery == 2


async def test_a_lease_that_had_run_out_is_not_revived(
    source: SqliteStore, target: Store, copy: Again, clock: VirtualClock
) -> None:
    await send(source, a_message())
    lease = await grab_one(source)
    await clock.advance(Span(TTL * 2))
    await source.commit(Commit(now=clock.now()))
    await copy()
    assert await target.held(lease.message.id, now=clock.now()) is None
    again = await grab_one(target, now=clock.now())
    assert again.delivery == 2


async def test_keys_keep_their_jobs_until_they_expire(
    source: SqliteStore, target: Store, copy: Again, clock: VirtualClock
) -> None:
    claim = a_claim("k", job="j", expires_at=at(100))
    await source.commit(Commit(now=at(0), claim=claim))
    await copy()
    await copy()
    with pytest.raises(KeyTaken) as taken:
        await target.commit(Commit(now=at(50), claim=a_claim("k", job="x", expires_at=at(200))))
    assert taken.value.claim == claim
    await clock.advance(Span(100))
    other = a_claim("k", job="other", expires_at=at(300))
    await source.commit(Commit(now=at(100), claim=other))
    await copy()
    with pytest.raises(KeyTaken) as taken:
        await target.commit(Commit(now=at(150), claim=a_claim("k", job="x", expires_at=at(200))))
    assert taken.value.claim == other


async def test_values_come_and_go(source: SqliteStore, target: Store, copy: Again) -> None:
    await source.shelf.put("data/b:s", "k", Raw(b"1"))
    await source.shelf.put("data/b:s", "gone", Raw(b"2"))
    assert (await copy()).items == 2
    await source.shelf.delete("data/b:s", "gone")
    await source.shelf.put("data/b:s", "k", Raw(b"3"))
    await source.shelf.put("other", "k", Raw(b"[4]"))
    await copy()
    assert await target.shelf.items("data/b:s") == {"k": Raw(b"3")}
    assert await target.shelf.items("other") == {"k": Raw(b"[4]")}


async def test_what_belongs_to_the_place_stays_there(source: SqliteStore, target: Store, copy: Again) -> None:
    mark = Mark("moved", "elsewhere")
    await source.shelf.put(SHELF, "state", mark.item.value)
    await copy()
    assert await mark_of(target.shelf) is None


async def test_the_notes_are_gone_when_it_is_over(
    source: SqliteStore, target: Store, copy: Again, clock: VirtualClock, tmp_path: Path
) -> None:
    await create(source, a_job("j"))
    await send(source, a_message())
    await source.shelf.put("s", "k", Raw(b"1"))
    await copy()
    noted = [f"{SHELF}.{name}" for name in ("jobs", "messages", "items")]
    assert all([await target.shelf.items(name) for name in noted])
    with SqliteContents(tmp_path / "old.db") as contents:
        await Copy(contents, target, clock, GRACE).clear()
    assert not any([await target.shelf.items(name) for name in noted])


async def test_the_clock_of_the_copy_never_shows_less_than_the_old_one(
    source: SqliteStore, tmp_path: Path
) -> None:
    late = at(3_600_000)
    await create(source, a_job("j", created=late))
    moments: list[Instant] = []

    class Noting(MemoryStore):
        async def commit(self, commit: Commit) -> None:
            moments.append(commit.now)
            await super().commit(commit)

    behind = VirtualClock()
    target = Noting(now=behind.now, tokens=CountedTokens())
    with SqliteContents(tmp_path / "old.db") as contents:
        await Copy(contents, target, behind, GRACE)()
    assert moments == [late]


async def test_a_target_that_cannot_be_reached_is_said(
    source: SqliteStore, clock: VirtualClock, tmp_path: Path
) -> None:
    class Away(MemoryStore):
        async def commit(self, commit: Commit) -> None:
            raise Unavailable

    await create(source, a_job("j"))
    with SqliteContents(tmp_path / "old.db") as contents, pytest.raises(Unavailable):
        await Copy(contents, Away(now=clock.now, tokens=CountedTokens()), clock, GRACE)()


@pytest.mark.parametrize(("state", "said"), [("copying", "unfinished copy"), ("moved", "was moved to")])
async def test_no_node_starts_on_half_a_copy_or_on_what_was_left(
    target: Store, state: Any, said: str
) -> None:
    await refuse_moving(target.shelf)
    item = Mark(state, "there").item
    await target.shelf.put(item.store, item.key, item.value)
    with pytest.raises(ConfigError, match=said):
        await refuse_moving(target.shelf)
