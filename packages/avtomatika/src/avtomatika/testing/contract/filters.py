"""Lists of jobs by label, by the moment of creation, and by everything at once."""

import itertools

import msgspec
import pytest

from avtomatika.errors import InvalidInput
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Job, Status
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Commit, JobQuery, Store
from avtomatika.testing.contract.values import T0, a_job, at, create, over

J = JobId("j")
Labels = tuple[tuple[str, str], ...]


def labelled(name: str, **labels: str) -> Job:
    """A job with labels."""
    return msgspec.structs.replace(a_job(name), labels=labels)


def mixed() -> list[Job]:
    """Jobs of every mixture, several of each moment, finished and not."""
    kinds = itertools.product(
        ("", "x"), ("b", "c"), ({}, {"l": "1"}, {"l": "1", "m": "1"}, {"l": "2"}), (0, 1)
    )
    jobs: list[Job] = []
    for n, (client, blueprint, labels, ended) in enumerate(kinds):
        job = over(f"j{n:02}", 1) if ended else a_job(f"j{n:02}")
        changed = {"client": client, "blueprint": blueprint, "labels": labels, "created": at(n // 3)}
        jobs.append(msgspec.structs.replace(job, **changed))
    return jobs


def queries() -> list[JobQuery]:
    """Every mixture of conditions."""
    given = itertools.product(
        (None, "x", "nobody"),
        (None, "c"),
        (None, Status.FINISHED),
        ((), (("l", "1"),), (("m", "1"), ("l", "1"))),
        (None, at(3)),
        (None, at(8)),
    )
    return [
        JobQuery(client=client, blueprint=blueprint, status=status, labels=labels, since=since, before=before)
        for client, blueprint, status, labels, since, before in given
    ]


def expected(jobs: list[Job], query: JobQuery) -> list[str]:
    """The ids that the query names, newest first."""
    found = [
        job
        for job in jobs
        if query.client in (None, job.client)
        and query.blueprint in (None, job.blueprint)
        and query.status in (None, job.status)
        and set(query.labels) <= set(job.labels.items())
        and (query.since is None or query.since <= job.created)
        and (query.before is None or job.created < query.before)
    ]
    return [job.id for job in sorted(found, key=lambda job: (job.created, job.id), reverse=True)]


async def listed(store: Store, query: JobQuery) -> list[str]:
    """The ids on all pages."""
    found: list[str] = []
    while True:
        page = await store.find(query)
        assert len(page.jobs) == query.limit or page.next is None
        found += [job.id for job in page.jobs]
        if page.next is None:
            return found
        query = msgspec.structs.replace(query, after=page.next)


class FilterContract:
    """All that a query gives must hold."""

    @pytest.mark.parametrize("limit", [2, 100])
    async def test_every_mixture_of_conditions_gives_the_jobs_that_meet_all(
        self, store: Store, durable: bool, limit: int
    ) -> None:
        jobs = mixed()
        for job in jobs:
            await store.commit(Commit(now=T0, job=job, durable=durable))
        for query in queries():
            wanted = expected(jobs, query)
            assert await listed(store, msgspec.structs.replace(query, limit=limit)) == wanted, query

    async def test_a_job_is_found_by_any_number_of_its_labels(self, store: Store) -> None:
        many = {f"l{n}": str(n) for n in range(12)}
        await create(store, labelled("all", **many), labelled("most", **{**many, "l3": "x"}), a_job("none"))
        pairs = tuple(many.items())
        assert await listed(store, JobQuery(labels=pairs)) == ["all"]
        assert await listed(store, JobQuery(labels=pairs[4:])) == ["most", "all"]
        assert await listed(store, JobQuery(labels=pairs[:1] * 3)) == ["most", "all"]
        assert await listed(store, JobQuery(labels=(("l3", "x"), ("l3", "3")))) == []

    @pytest.mark.parametrize("text", ["", " ", "é", "\U0001f680", "\x00", "a\x00b", "'", "%", "_", "x" * 500])
    async def test_any_text_can_be_a_label(self, store: Store, text: str) -> None:
        await create(
            store,
            labelled("named", **{text: "v"}),
            labelled("valued", n=text),
            labelled("other", n=f"{text}."),
        )
        assert await listed(store, JobQuery(labels=((text, "v"),))) == ["named"]
        assert await listed(store, JobQuery(labels=(("n", text),))) == ["valued"]
        assert await listed(store, JobQuery(labels=(("N", text),))) == []

    async def test_labels_of_one_client_do_not_show_those_of_another(self, store: Store) -> None:
        jobs = [msgspec.structs.replace(labelled(name, n="v"), client=name) for name in ("x", "y")]
        await create(store, *jobs)
        assert await listed(store, JobQuery(client="x", labels=(("n", "v"),))) == ["x"]
        assert await listed(store, JobQuery(labels=(("n", "v"),))) == ["y", "x"]

    async def test_labels_stay_with_a_job_while_it_moves_and_go_with_it(
        self, store: Store, durable: bool
    ) -> None:
        query = JobQuery(labels=(("n", "v"),))
        job = labelled("j", n="v")
        await create(store, job)
        ended = msgspec.structs.replace(over(), labels=job.labels, created=job.created)
        await store.commit(Commit(now=T0, job=ended, expected=1, durable=durable))
        assert (await store.find(query)).jobs == (ended,)
        assert await store.sweep(now=at(1), finished_before=at(1), limit=1) == 1
        assert await listed(store, query) == []
        await create(store, a_job())
        assert await listed(store, query) == []

    async def test_since_is_included_and_before_is_not(self, store: Store) -> None:
        await create(store, *(a_job(f"j{n}", created=at(n)) for n in range(5)))
        assert await listed(store, JobQuery(since=at(1), before=at(4))) == ["j3", "j2", "j1"]
        assert await listed(store, JobQuery(since=at(3), before=at(3))) == []
        assert await listed(store, JobQuery(since=at(4), before=at(1))) == []
        assert await listed(store, JobQuery(since=Instant(0), before=Instant(2**62))) != []

    async def test_a_page_begins_where_both_its_place_and_its_moments_allow(self, store: Store) -> None:
        await create(store, *(a_job(f"j{n}", created=at(n)) for n in range(5)))
        place = (await store.find(JobQuery(limit=2))).next
        assert await listed(store, JobQuery(after=place, before=at(2))) == ["j1", "j0"]
        assert await listed(store, JobQuery(after=place, before=at(9), since=at(2))) == ["j2"]

    @pytest.mark.parametrize("limit", [2**31, 2**63 - 1, 2**70])
    async def test_a_page_may_be_asked_to_hold_any_number(self, store: Store, limit: int) -> None:
        await create(store, a_job())
        assert await listed(store, JobQuery(limit=limit)) == ["j"]
        assert len(await store.facts(J, limit=limit)) == 1

    @pytest.mark.parametrize("limit", [0, -1, -(2**40)])
    async def test_a_page_of_nothing_is_refused_by_name(self, store: Store, limit: int) -> None:
        with pytest.raises(InvalidInput) as caught:
            await store.find(JobQuery(limit=limit))
        assert caught.value.field == "limit"

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            (JobQuery(client="\ud800"), "client"),
            (JobQuery(blueprint="\ud800"), "blueprint"),
            (JobQuery(labels=(("n", "\ud800"),)), "labels"),
            (JobQuery(labels=(("\ud800", "v"),)), "labels"),
            (JobQuery(after="1~\ud800"), "after"),
            (JobQuery(since=Instant(2**63)), "time"),
            (JobQuery(before=Instant(-(2**70))), "time"),
        ],
    )
    async def test_what_no_job_could_have_is_refused_by_name(
        self, store: Store, query: JobQuery, field: str
    ) -> None:
        with pytest.raises(InvalidInput) as caught:
            await store.find(query)
        assert caught.value.field == field
