"""A job that is over can be taken up again, by a commit like any other."""

import pytest
from msgspec import Raw

from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Data, Done, Job, Status, Verdict
from avtomatika.ports.store import Commit, JobQuery, Store
from avtomatika.ports.store import VersionConflict as Moved
from avtomatika.testing.contract.values import (
    T0,
    a_branch,
    a_fact,
    a_job,
    a_message,
    at,
    create,
    grab,
    names,
)

J = JobId("j")
LARGE: Data = {"a": Raw(b'"' + b"x" * 100_000 + b'"')}


def ended(version: int, moment: int) -> Job:
    """The job, failed."""
    return a_job(version=version, phase=Done(Verdict.FAILED), updated=at(moment), history=LARGE)


def revived(version: int, history: Data = LARGE) -> Job:
    """The job, unfinished again."""
    return a_job(version=version, updated=at(version), history=history)


async def revive(store: Store, *, durable: bool = True) -> None:
    """The job began, failed at version 2 and runs again at version 3."""
    await create(store, a_job())
    end = Commit(now=T0, job=ended(2, 1), expected=1, facts=(a_fact(version=2),), durable=durable)
    await store.commit(end)
    again = Commit(
        now=T0,
        job=revived(3),
        expected=2,
        facts=(a_fact(version=3),),
        branches=(a_branch(opened=3),),
        send=(a_message(),),
        durable=durable,
    )
    await store.commit(again)


class RevivalContract:
    """What was over is as if it never had been."""

    async def test_a_job_that_is_over_can_be_unfinished_again(self, store: Store, durable: bool) -> None:
        await revive(store, durable=durable)
        assert await store.load(J) == revived(3)
        assert (await store.find(JobQuery())).jobs == (revived(3),)
        assert (await store.find(JobQuery(status=Status.FAILED))).jobs == ()
        assert await store.tally() == {revived(3).status: 1}
        assert [fact.version for fact in await store.facts(J)] == [1, 2, 3]
        assert list(await store.branches(J, 3)) == [a_branch(opened=3)]
        assert names(await grab(store)) == ["m"]

    async def test_it_moves_on_and_ends_again(self, store: Store, durable: bool) -> None:
        await revive(store, durable=durable)
        for wrong in (1, 2, 4):
            with pytest.raises(Moved):
                await store.commit(Commit(now=T0, job=revived(9), expected=wrong, durable=durable))
        await store.commit(Commit(now=T0, job=revived(4, {}), expected=3, durable=durable))
        assert await store.load(J) == revived(4, {})
        await store.commit(Commit(now=T0, job=ended(5, 9), expected=4, durable=durable))
        assert await store.load(J) == ended(5, 9)
        assert list(await store.branches(J, 3)) == []

    async def test_it_is_not_swept_until_it_has_ended_again_for_long(
        self, store: Store, durable: bool
    ) -> None:
        await revive(store, durable=durable)
        assert await store.sweep(now=at(99), finished_before=at(99), limit=9) == 0
        assert await store.load(J) == revived(3)
        await store.commit(Commit(now=T0, job=ended(4, 50), expected=3, durable=durable))
        assert await store.sweep(now=at(99), finished_before=at(50), limit=9) == 0
        assert await store.sweep(now=at(99), finished_before=at(51), limit=9) == 1
        assert await store.load(J) is None

    async def test_a_job_that_was_forgotten_is_not_revived(self, store: Store, durable: bool) -> None:
        await create(store, ended(2, 1))
        await store.sweep(now=at(9), finished_before=at(9), limit=9)
        with pytest.raises(Moved):
            await store.commit(Commit(now=T0, job=revived(3), expected=2, durable=durable))

    async def test_many_jobs_that_ended_are_judged_by_the_version_they_ended_at(
        self, store: Store, durable: bool
    ) -> None:
        jobs = [a_job(f"j{n}", history=LARGE) for n in range(700)]
        for job in jobs:
            await store.commit(Commit(now=T0, job=job, durable=durable))
        for n in range(700):
            end = a_job(f"j{n}", 2, phase=Done(Verdict.FAILED), history=LARGE)
            await store.commit(Commit(now=T0, job=end, expected=1, durable=durable))
        for n in (0, 350, 699):
            for wrong in (0, 1, 3):
                again = a_job(f"j{n}", 4)
                with pytest.raises(Moved):
                    await store.commit(Commit(now=T0, job=again, expected=wrong, durable=durable))
            await store.commit(Commit(now=T0, job=a_job(f"j{n}", 3), expected=2, durable=durable))
            assert await store.load(JobId(f"j{n}")) == a_job(f"j{n}", 3)
        assert await store.tally() == {Status.FAILED: 697, Status.RUNNING: 3}
