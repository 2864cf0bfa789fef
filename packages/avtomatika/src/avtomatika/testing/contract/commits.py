"""A commit does everything or nothing."""

import asyncio
from collections.abc import Awaitable

import msgspec
import pytest

from avtomatika.errors import AvtomatikaError
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Branch, Job, Status
from avtomatika.ports.store import Commit, Fact, KeyTaken, Lease, LeaseLost, MessageId, Store
from avtomatika.ports.store import VersionConflict as Moved
from avtomatika.testing.contract.values import (
    T0,
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

J = JobId("j")


class World(msgspec.Struct):
    """What can be seen through the port."""

    job: Job | None
    facts: list[Fact]
    branches: list[Branch]
    queues: dict[str, str]
    held: list[Lease | None]
    statuses: dict[Status, int]


async def look(store: Store) -> World:
    """What can be seen of job `j` and the messages that these tests send."""
    listed = await store.queues("f")
    return World(
        job=await store.load(J),
        facts=list(await store.facts(J)),
        branches=[*await store.branches(J, 1), *await store.branches(J, 2)],
        queues={queue: str(message.id) for queue, message in listed.items()},
        held=[await store.held(MessageId(name), now=T0) for name in ("held", "kept", "late", "new", "taken")],
        statuses=dict(await store.tally()),
    )


async def begin(store: Store) -> tuple[Lease, Lease]:
    """Job `j` at version 1 with a branch, a claim, and three messages: two held, the lease of one lost."""
    await store.commit(
        Commit(
            now=T0,
            job=a_job(),
            facts=(a_fact(),),
            branches=(a_branch(),),
            send=(a_message("held", "f:held"), a_message("kept", "f:kept"), a_message("late", "f:late")),
            claim=a_claim("taken", expires_at=at(1)),
        )
    )
    late = await grab_one(store, "f:late")
    await send(store, a_message("late", "f:late"))
    return await grab_one(store, "f:held"), late


def everything(lease: Lease, late: Lease, *wrong: str, durable: bool = True) -> Commit:
    """A commit with all that a commit can hold, and the named faults."""
    taken = msgspec.structs.replace(lease, message=a_message("taken", "f:taken"))
    return Commit(
        now=T0,
        job=a_job(version=2),
        expected=7 if "version" in wrong else 1,
        facts=(a_fact(version=2),),
        branches=(a_branch(opened=2),),
        close=(1,),
        send=(a_message("new", "f:new"), a_message("kept", "f:moved")),
        take=(taken,),
        drop=(MessageId("late"),),
        ack=(lease, late) if "lease" in wrong else (lease,),
        claim=a_claim("taken" if "key" in wrong else "free", expires_at=at(2)),
        durable=durable,
    )


async def outcome(doing: Awaitable[None]) -> type[AvtomatikaError] | None:
    """The kind of the refusal, or None when there was none."""
    try:
        await doing
    except AvtomatikaError as refusal:
        return type(refusal)
    return None


class CommitContract:
    """All or nothing, in the order that is promised, whether the commit is durable or not."""

    async def test_a_job_that_nobody_committed_is_not_there(self, store: Store) -> None:
        assert await store.load(J) is None

    async def test_a_job_is_there_as_it_was_committed(self, store: Store) -> None:
        await create(store, a_job(client="c"))
        assert await store.load(J) == a_job(client="c")

    async def test_a_commit_does_everything_it_says(self, store: Store, durable: bool) -> None:
        lease, late = await begin(store)
        await store.commit(everything(lease, late, durable=durable))
        seen = await look(store)
        assert seen.job == a_job(version=2)
        assert [fact.version for fact in seen.facts] == [1, 2]
        assert seen.branches == [a_branch(opened=2)]
        assert seen.queues == {"f:moved": "kept", "f:new": "new", "f:taken": "taken"}
        assert [held is not None for held in seen.held] == [False, False, False, False, True]
        with pytest.raises(KeyTaken):
            await store.commit(Commit(now=T0, claim=a_claim("free", expires_at=at(9))))

    @pytest.mark.parametrize("wrong", ["version", "lease", "key"])
    async def test_a_refused_commit_leaves_nothing_behind(
        self, store: Store, durable: bool, wrong: str
    ) -> None:
        lease, late = await begin(store)
        before = await look(store)
        with pytest.raises((Moved, LeaseLost, KeyTaken)):
            await store.commit(everything(lease, late, wrong, durable=durable))
        assert await look(store) == before
        await store.commit(Commit(now=T0, claim=a_claim("free", expires_at=T0)))
        await store.commit(everything(lease, late))

    @pytest.mark.parametrize(
        ("wrong", "refusal"),
        [
            (("key", "version", "lease"), KeyTaken),
            (("key", "lease"), KeyTaken),
            (("version", "lease"), Moved),
            (("lease",), LeaseLost),
        ],
    )
    async def test_the_claim_is_checked_first_then_the_version_then_the_leases(
        self, store: Store, durable: bool, wrong: tuple[str, ...], refusal: type[AvtomatikaError]
    ) -> None:
        lease, late = await begin(store)
        with pytest.raises(refusal):
            await store.commit(everything(lease, late, *wrong, durable=durable))

    async def test_a_job_is_created_only_where_none_is(self, store: Store, durable: bool) -> None:
        await create(store, a_job())
        with pytest.raises(Moved):
            await store.commit(Commit(now=T0, job=a_job(client="other"), durable=durable))
        assert await store.load(J) == a_job()

    @pytest.mark.parametrize("expected", [1, 3, 2**40])
    async def test_a_job_moves_only_from_the_version_that_is_there(
        self, store: Store, durable: bool, expected: int
    ) -> None:
        await create(store, a_job(version=2))
        with pytest.raises(Moved):
            await store.commit(Commit(now=T0, job=a_job(version=9), expected=expected, durable=durable))
        assert await store.load(J) == a_job(version=2)

    async def test_a_job_that_is_not_there_cannot_move(self, store: Store, durable: bool) -> None:
        with pytest.raises(Moved):
            await store.commit(Commit(now=T0, job=a_job(version=2), expected=1, durable=durable))
        assert await store.load(J) is None

    async def test_a_job_that_is_over_has_a_version_like_any_other(self, store: Store, durable: bool) -> None:
        await create(store, a_job())
        await store.commit(Commit(now=T0, job=over(version=2), expected=1, durable=durable))
        for expected in (0, 1):
            with pytest.raises(Moved):
                await store.commit(Commit(now=T0, job=a_job(version=3), expected=expected, durable=durable))
        await store.commit(Commit(now=T0, job=a_job(version=3), expected=2, durable=durable))
        assert await store.load(J) == a_job(version=3)

    async def test_a_job_may_be_over_from_the_beginning(self, store: Store, durable: bool) -> None:
        await store.commit(Commit(now=T0, job=over(version=1), durable=durable))
        assert await store.load(J) == over(version=1)
        assert await store.tally() == {Status.FINISHED: 1}

    async def test_messages_need_no_job(self, store: Store, durable: bool) -> None:
        await store.commit(Commit(now=T0, send=(a_message(),), durable=durable))
        assert names(await grab(store)) == ["m"]

    async def test_one_lost_lease_among_several_refuses_the_commit(self, store: Store, durable: bool) -> None:
        await send(store, *(a_message(name) for name in "abc"))
        a, b, c = await grab(store)
        await store.commit(Commit(now=T0, ack=(b,)))
        with pytest.raises(LeaseLost):
            await store.commit(Commit(now=T0, ack=(a, b, c), durable=durable))
        await store.commit(Commit(now=T0, ack=(a, c), durable=durable))

    async def test_what_is_not_durable_takes_effect_at_once(self, store: Store) -> None:
        await store.commit(
            Commit(now=T0, job=a_job(client="c"), facts=(a_fact(),), send=(a_message(),), durable=False)
        )
        assert await store.load(J) == a_job(client="c")
        assert list(await store.facts(J)) == [a_fact()]
        assert await store.tally("c") == {Status.PENDING: 1}
        lease = await grab_one(store)
        await store.commit(Commit(now=T0, job=over(), expected=1, ack=(lease,)))
        assert await store.load(J) == over()

    async def test_of_concurrent_moves_of_one_version_exactly_one_wins(
        self, store: Store, durable: bool
    ) -> None:
        await create(store, a_job())

        def move(n: int) -> Commit:
            job = msgspec.structs.replace(a_job(version=2), client=str(n))
            sent = a_message(f"m{n}", "f:won")
            return Commit(
                now=T0, job=job, expected=1, facts=(a_fact(version=2),), send=(sent,), durable=durable
            )

        outcomes = await asyncio.gather(*(outcome(store.commit(move(n))) for n in range(20)))
        assert sorted(map(str, outcomes)) == sorted(["None", *[str(Moved)] * 19])
        winner = str(outcomes.index(None))
        seen = await store.load(J)
        assert seen is not None
        assert seen.client == winner
        assert names(await grab(store, "f:won")) == [f"m{winner}"]
        assert [fact.version for fact in await store.facts(J)] == [1, 2]

    async def test_of_concurrent_creations_of_one_job_exactly_one_wins(
        self, store: Store, durable: bool
    ) -> None:
        commits = [Commit(now=T0, job=a_job(client=str(n)), durable=durable) for n in range(20)]
        outcomes = await asyncio.gather(*(outcome(store.commit(commit)) for commit in commits))
        assert sorted(map(str, outcomes)) == sorted(["None", *[str(Moved)] * 19])
        assert await store.load(J) == a_job(client=str(outcomes.index(None)))

    async def test_of_concurrent_acknowledgements_of_one_lease_exactly_one_wins(
        self, store: Store, durable: bool
    ) -> None:
        await send(store, a_message())
        lease = await grab_one(store)
        commits = [
            Commit(now=T0, ack=(lease,), send=(a_message(f"m{n}", "f:won"),), durable=durable)
            for n in range(20)
        ]
        outcomes = await asyncio.gather(*(outcome(store.commit(commit)) for commit in commits))
        assert sorted(map(str, outcomes)) == sorted(["None", *[str(LeaseLost)] * 19])
        assert names(await grab(store, "f:won")) == [f"m{outcomes.index(None)}"]

    async def test_a_lease_is_lost_to_a_concurrent_commit_that_removes_its_message(
        self, store: Store
    ) -> None:
        for replaced in (False, True):
            await send(store, a_message())
            lease = await grab_one(store)
            removal = (
                Commit(now=T0, send=(a_message(),)) if replaced else Commit(now=T0, drop=(MessageId("m"),))
            )
            await asyncio.gather(store.commit(removal), outcome(store.commit(Commit(now=T0, ack=(lease,)))))
            assert await outcome(store.commit(Commit(now=T0, ack=(lease,)))) is LeaseLost

    async def test_concurrent_commits_of_different_jobs_all_happen(self, store: Store, durable: bool) -> None:
        jobs = [a_job(f"j{n}") for n in range(50)]
        await asyncio.gather(*(store.commit(Commit(now=T0, job=job, durable=durable)) for job in jobs))
        assert [await store.load(job.id) for job in jobs] == jobs
