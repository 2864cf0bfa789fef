"""Claims of keys, and the branches of fan-outs: records beside the job."""

import asyncio

import msgspec
import pytest

from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Branch
from avtomatika.ports.store import Claim, Commit, KeyTaken, Store
from avtomatika.ports.store import VersionConflict as Moved
from avtomatika.testing.contract.values import (
    T0,
    a_branch,
    a_claim,
    a_job,
    at,
    branch_id,
    create,
)

J = JobId("j")


class ClaimContract:
    """A key belongs to one job until the claim expires."""

    async def test_a_taken_key_names_the_claim_that_has_it(self, store: Store, durable: bool) -> None:
        claim = a_claim(expires_at=at(100), fingerprint="first")
        await store.commit(Commit(now=T0, job=a_job(), claim=claim, durable=durable))
        other = Claim("k", "second", JobId("other"), at(200))
        with pytest.raises(KeyTaken) as caught:
            await store.commit(Commit(now=at(99), job=a_job("other"), claim=other, durable=durable))
        assert caught.value.claim == claim
        assert await store.load(JobId("other")) is None

    async def test_an_expired_claim_gives_way(self, store: Store, durable: bool) -> None:
        await store.commit(Commit(now=T0, claim=a_claim(expires_at=at(100))))
        fresh = a_claim(expires_at=at(300), job="other")
        await store.commit(Commit(now=at(100), claim=fresh, durable=durable))
        with pytest.raises(KeyTaken) as caught:
            await store.commit(Commit(now=at(299), claim=a_claim(expires_at=at(500)), durable=durable))
        assert caught.value.claim == fresh

    async def test_keys_do_not_touch_each_other(self, store: Store, durable: bool) -> None:
        for key in ("", "k", "K", "k ", "ключ", "k" * 1000):
            await store.commit(Commit(now=T0, claim=a_claim(key, expires_at=at(1)), durable=durable))

    async def test_of_concurrent_claims_of_one_key_exactly_one_wins(
        self, store: Store, durable: bool
    ) -> None:
        def submit(n: int) -> Commit:
            claim = a_claim(job=f"j{n}", expires_at=at(100))
            return Commit(now=T0, job=a_job(f"j{n}"), claim=claim, durable=durable)

        answers = await asyncio.gather(*(store.commit(submit(n)) for n in range(20)), return_exceptions=True)
        winner = answers.index(None)
        losers = [answer for answer in answers if isinstance(answer, KeyTaken)]
        assert len(losers) == 19
        assert {loser.claim.job for loser in losers} == {f"j{winner}"}
        assert sum([await store.load(JobId(f"j{n}")) is not None for n in range(20)]) == 1

    async def test_a_key_stays_free_when_its_commit_is_refused(self, store: Store, durable: bool) -> None:
        await create(store, a_job())
        claim = a_claim(expires_at=at(100))
        with pytest.raises(Moved):
            await store.commit(Commit(now=T0, job=a_job(), claim=claim, durable=durable))
        await store.commit(Commit(now=T0, job=a_job("other"), claim=claim, durable=durable))


class BranchContract:
    """The branches of a fan-out are records beside the job."""

    async def test_a_branch_that_nobody_committed_is_not_there(self, store: Store) -> None:
        await create(store, a_job())
        assert await store.branch(J, branch_id("j", 1, 0)) is None
        assert list(await store.branches(J, 1)) == []

    async def test_branches_come_in_the_order_of_the_orders(self, store: Store, durable: bool) -> None:
        branches = tuple(a_branch(index=n) for n in range(12))
        await store.commit(Commit(now=T0, job=a_job(), branches=branches[::-1], durable=durable))
        assert list(await store.branches(J, 1)) == list(branches)
        assert await store.branch(J, branch_id("j", 1, 11)) == branches[11]

    async def test_a_later_record_replaces_the_earlier_one(self, store: Store, durable: bool) -> None:
        await store.commit(Commit(now=T0, job=a_job(), branches=(a_branch(), a_branch(index=1))))
        taken = msgspec.structs.replace(a_branch().task, accepted=True, attempt=2)
        move = Commit(now=T0, job=a_job(version=2), expected=1, branches=(Branch(taken),), durable=durable)
        await store.commit(move)
        assert list(await store.branches(J, 1)) == [Branch(taken), a_branch(index=1)]

    async def test_closing_forgets_one_fan_out_and_no_other(self, store: Store, durable: bool) -> None:
        for job in ("j", "j-1"):
            branches = (a_branch(job, 1), a_branch(job, 1, 1), a_branch(job, 11))
            await store.commit(Commit(now=T0, job=a_job(job), branches=branches))
        await store.commit(
            Commit(
                now=T0,
                job=a_job(version=2),
                expected=1,
                branches=(a_branch(opened=2),),
                close=(1,),
                durable=durable,
            )
        )
        assert list(await store.branches(J, 1)) == []
        assert await store.branch(J, branch_id("j", 1, 1)) is None
        assert list(await store.branches(J, 2)) == [a_branch(opened=2)]
        assert list(await store.branches(J, 11)) == [a_branch(opened=11)]
        assert list(await store.branches(JobId("j-1"), 1)) == [a_branch("j-1"), a_branch("j-1", 1, 1)]

    async def test_a_fan_out_that_opens_and_closes_in_one_commit_leaves_nothing(
        self, store: Store, durable: bool
    ) -> None:
        await store.commit(Commit(now=T0, job=a_job(), branches=(a_branch(),), close=(1,), durable=durable))
        assert list(await store.branches(J, 1)) == []

    async def test_concurrent_records_of_different_jobs_are_all_kept(self, store: Store) -> None:
        commits = [Commit(now=T0, job=a_job(f"j{n}"), branches=(a_branch(f"j{n}"),)) for n in range(20)]
        await asyncio.gather(*(store.commit(commit) for commit in commits))
        assert [len(await store.branches(JobId(f"j{n}"), 1)) for n in range(20)] == [1] * 20
