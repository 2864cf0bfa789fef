"""What can be asked: facts, jobs in pages, counts; and what is forgotten."""

import asyncio

import msgspec
import pytest

from avtomatika.errors import InvalidInput
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Done, Job, Status, Verdict
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Commit, Fact, JobQuery, KeyTaken, Page, Store
from avtomatika.testing.contract.kinds import phases
from avtomatika.testing.contract.values import T0, a_claim, a_fact, a_job, at, create, over

J = JobId("j")


def found(page: Page) -> list[str]:
    """The ids on the page, in order."""
    return [str(job.id) for job in page.jobs]


async def all_pages(store: Store, limit: int, client: str | None = None) -> list[list[str]]:
    """The ids on every page from the first to the last."""
    pages: list[list[str]] = []
    place: str | None = None
    while True:
        page = await store.find(JobQuery(client=client, after=place, limit=limit))
        pages.append(found(page))
        place = page.next
        if place is None:
            return pages


def named(name: str, created: int, *, client: str = "", blueprint: str = "b") -> Job:
    """A job by what a listing looks at."""
    return a_job(name, created=at(created), client=client, blueprint=blueprint)


class FactContract:
    """The facts of a job are its history, without a gap."""

    async def test_a_job_that_nobody_committed_has_no_facts(self, store: Store) -> None:
        assert list(await store.facts(J)) == []

    async def test_facts_are_what_was_committed_in_order(self, store: Store, durable: bool) -> None:
        await create(store, a_job(), a_job("j2"))
        for version in range(2, 13):
            fact = a_fact(version=version, at=at(version))
            await store.commit(
                Commit(
                    now=T0, job=a_job(version=version), expected=version - 1, facts=(fact,), durable=durable
                )
            )
        facts = list(await store.facts(J))
        assert facts == [a_fact(), *(a_fact(version=v, at=at(v)) for v in range(2, 13))]
        assert list(await store.facts(J, after=10)) == facts[10:]
        assert list(await store.facts(J, after=12)) == []
        assert list(await store.facts(JobId("j2"))) == [a_fact("j2")]

    @pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 7, None])
    async def test_the_pages_of_facts_together_are_all_facts_once(
        self, store: Store, limit: int | None
    ) -> None:
        facts = tuple(a_fact(version=version) for version in range(1, 7))
        await store.commit(Commit(now=T0, job=a_job(version=6), facts=facts))
        seen: list[Fact] = []
        while page := await store.facts(J, after=len(seen), limit=limit):
            assert len(page) == min(6 - len(seen), limit or 6)
            seen += page
        assert tuple(seen) == facts

    async def test_no_facts_are_no_more_than_none(self, store: Store) -> None:
        await create(store, a_job())
        for limit in (0, -1):
            assert list(await store.facts(J, limit=limit)) == []

    async def test_one_commit_may_hold_several_moves(self, store: Store, durable: bool) -> None:
        facts = tuple(a_fact(version=version) for version in range(1, 6))
        await store.commit(Commit(now=T0, job=a_job(version=5), facts=facts, durable=durable))
        assert tuple(await store.facts(J)) == facts

    async def test_facts_have_no_gap_after_concurrent_moves(self, store: Store) -> None:
        await create(store, a_job())
        for version in range(2, 8):
            fact = a_fact(version=version)
            moves = [Commit(now=T0, job=a_job(version=version), expected=version - 1, facts=(fact,))] * 5
            await asyncio.gather(*(store.commit(move) for move in moves), return_exceptions=True)
        assert [fact.version for fact in await store.facts(J)] == list(range(1, 8))


class FindContract:
    """Jobs in pages, newest first, by what the query names."""

    async def test_an_empty_store_has_one_empty_page(self, store: Store) -> None:
        assert await store.find(JobQuery()) == Page((), None)

    async def test_the_newest_comes_first_and_ids_decide_between_equals(self, store: Store) -> None:
        await create(store, named("b", 1), named("old", 0), named("c", 1), named("a", 1), named("new", 2))
        assert found(await store.find(JobQuery())) == ["new", "c", "b", "a", "old"]

    async def test_a_page_holds_the_jobs_as_they_are_now(self, store: Store, durable: bool) -> None:
        await create(store, a_job())
        await store.commit(Commit(now=T0, job=over(), expected=1, durable=durable))
        assert (await store.find(JobQuery())).jobs == (over(),)

    async def test_every_filter_counts(self, store: Store) -> None:
        await create(
            store,
            named("a", 0, client="x"),
            named("b", 1, client="x", blueprint="c"),
            named("c", 2, client="y"),
            over("d", 1),
        )
        assert found(await store.find(JobQuery(client="x"))) == ["b", "a"]
        assert found(await store.find(JobQuery(client="x", blueprint="b"))) == ["a"]
        assert found(await store.find(JobQuery(blueprint="b"))) == ["c", "d", "a"]
        assert found(await store.find(JobQuery(status=Status.FINISHED))) == ["d"]
        assert found(await store.find(JobQuery(status=Status.PENDING, client="y"))) == ["c"]
        assert found(await store.find(JobQuery(client="", status=Status.FINISHED))) == ["d"]
        assert found(await store.find(JobQuery(client="x' OR 1=1 --"))) == []

    async def test_jobs_are_found_by_where_they_stand(self, store: Store) -> None:
        jobs = [a_job(f"{n}", phase=phase) for n, phase in enumerate(phases())]
        jobs += [a_job(verdict, phase=Done(verdict)) for verdict in Verdict]
        jobs.append(a_job("moved", 2))
        await create(store, *jobs)
        newest_first = sorted(jobs, key=lambda job: job.id, reverse=True)
        by_status = {status: [job.id for job in newest_first if job.status is status] for status in Status}
        assert all(by_status.values())
        assert {status: found(await store.find(JobQuery(status=status))) for status in Status} == by_status
        assert await store.tally() == {status: len(ids) for status, ids in by_status.items() if ids}

    @pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 100])
    async def test_the_pages_together_are_all_jobs_once(self, store: Store, limit: int) -> None:
        await create(store, *(named(f"j{n}", n // 3, client="x") for n in range(6)), named("other", 1))
        pages = await all_pages(store, limit, client="x")
        assert [name for page in pages for name in page] == ["j5", "j4", "j3", "j2", "j1", "j0"]
        assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
        assert pages[-1]

    async def test_later_pages_stay_where_they_are_when_jobs_are_added(self, store: Store) -> None:
        await create(store, *(named(f"j{n}", n) for n in range(4)))
        first = await store.find(JobQuery(limit=2))
        await create(store, named("new", 9), named("between", 2), named("old", 0))
        rest = await store.find(JobQuery(after=first.next))
        assert found(first) == ["j3", "j2"]
        assert found(rest) == ["between", "j1", "old", "j0"]

    async def test_a_page_begins_after_a_job_that_is_gone_as_well(self, store: Store) -> None:
        await create(store, over("a", ended=T0), named("b", 0), named("c", -1))
        first = await store.find(JobQuery(limit=2))
        assert found(first) == ["b", "a"]
        await store.sweep(now=T0, finished_before=at(1), limit=9)
        assert found(await store.find(JobQuery(after=first.next))) == ["c"]

    @pytest.mark.parametrize("name", ["with~tilde", "a b", "ж", "~", "%_", "x" * 300])
    async def test_any_id_can_be_the_place_where_a_page_begins(self, store: Store, name: str) -> None:
        await create(store, named(name, 1), named("last", 0))
        assert await all_pages(store, 1) == [[name], ["last"]]

    @pytest.mark.parametrize(
        "cursor",
        ["", "x", "~", "1~", "~a", "a~b", "-1~a", "1e3~a", "1.5~a", " 1~a", "9" * 5_000 + "~a", "1\ud800~a"],
    )
    async def test_a_cursor_that_no_page_gave_is_refused_by_name(self, store: Store, cursor: str) -> None:
        await create(store, a_job())
        with pytest.raises(InvalidInput) as caught:
            await store.find(JobQuery(after=cursor))
        assert caught.value.field == "after"

    async def test_a_tally_counts_where_jobs_stand(self, store: Store, durable: bool) -> None:
        assert await store.tally() == {}
        await create(store, named("a", 0, client="x"), named("b", 0, client="y"), over("c"))
        move = Commit(now=T0, job=over("a"), expected=1, durable=durable)
        await store.commit(move)
        assert await store.tally() == {Status.PENDING: 1, Status.FINISHED: 2}
        assert await store.tally("y") == {Status.PENDING: 1}
        assert await store.tally("nobody") == {}

    async def test_the_unfinished_jobs_of_each_client_are_counted(self, store: Store, durable: bool) -> None:
        assert await store.unfinished() == 0
        await create(store, named("a", 0, client="x"), named("b", 0, client="y"), over("c"))
        assert [await store.unfinished(client) for client in (None, "x", "y", "nobody")] == [2, 1, 1, 0]
        ended = msgspec.structs.replace(over("a"), client="x")
        await store.commit(Commit(now=T0, job=ended, expected=1, durable=durable))
        assert [await store.unfinished(client) for client in (None, "x", "y")] == [1, 0, 1]


class SweepContract:
    """What ended long ago and claims that expired are forgotten; nothing else is."""

    async def test_only_jobs_that_ended_before_are_forgotten(self, store: Store) -> None:
        jobs = (over("old", ended=at(9)), over("edge", ended=at(10)), a_job("live"))
        await create(store, *jobs)
        assert await store.sweep(now=at(99), finished_before=at(10), limit=9) == 1
        assert await store.load(JobId("old")) is None
        assert await store.tally() == {Status.FINISHED: 1, Status.PENDING: 1}
        assert list(await store.facts(JobId("old"))) == []
        assert sorted(found(await store.find(JobQuery()))) == ["edge", "live"]
        assert [await store.load(job.id) for job in jobs[1:]] == list(jobs[1:])
        assert list(await store.facts(JobId("edge"))) == [a_fact("edge", 2)]

    async def test_a_sweep_forgets_no_more_than_asked_and_the_longest_ended_first(self, store: Store) -> None:
        await create(store, *(over(f"j{n}", ended=at((7 * n) % 5)) for n in range(5)))
        swept = [await store.sweep(now=at(9), finished_before=at(9), limit=2) for _ in range(4)]
        assert swept == [2, 2, 1, 0]
        await create(store, *(over(f"k{n}", ended=at((7 * n) % 5)) for n in range(5)))
        await store.sweep(now=at(9), finished_before=at(9), limit=3)
        assert found(await store.find(JobQuery())) == ["k4", "k2"]

    async def test_a_forgotten_job_can_be_created_again(self, store: Store, durable: bool) -> None:
        await create(store, over())
        await store.sweep(now=at(9), finished_before=at(9), limit=9)
        await store.commit(Commit(now=at(9), job=a_job(), facts=(a_fact(),), durable=durable))
        assert await store.load(J) == a_job()
        assert list(await store.facts(J)) == [a_fact()]

    async def test_a_job_that_ended_just_now_can_be_forgotten(self, store: Store) -> None:
        await create(store, a_job())
        await store.commit(Commit(now=T0, job=over(), expected=1, durable=False))
        assert await store.sweep(now=at(1), finished_before=at(1), limit=1) == 1
        assert await store.load(J) is None

    async def test_claims_that_stand_are_kept(self, store: Store) -> None:
        await store.commit(Commit(now=T0, claim=a_claim("old", expires_at=at(5))))
        await store.commit(Commit(now=T0, claim=a_claim("new", expires_at=at(6))))
        await store.sweep(now=at(5), finished_before=Instant(0), limit=0)
        await store.commit(Commit(now=at(4), claim=a_claim("old", expires_at=at(9))))
        with pytest.raises(KeyTaken):
            await store.commit(Commit(now=at(5), claim=a_claim("new", expires_at=at(9))))

    async def test_a_sweep_of_nothing_forgets_nothing(self, store: Store) -> None:
        assert await store.sweep(now=T0, finished_before=T0, limit=100) == 0
