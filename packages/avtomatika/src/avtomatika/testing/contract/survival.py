"""What was accepted survives: the end of the process, expected or not."""

from collections.abc import Awaitable, Callable

import pytest
from msgspec import Raw

from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Report, Status
from avtomatika.kernel.time import Span
from avtomatika.ports.store import Commit, Fact, JobQuery, KeyTaken, Lease, LeaseLost, MessageId, Store, Token
from avtomatika.ports.store import VersionConflict as Moved
from avtomatika.testing.contract.kinds import ODD, bodies, events, full_job, odd_data, odd_job, phases, same
from avtomatika.testing.contract.revival import revive, revived
from avtomatika.testing.contract.values import (
    T0,
    TTL,
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
Restart = Callable[[Store], Awaitable[Store]]


class SurvivalContract:
    """Everything accepted is there afterwards, and nothing that was not."""

    async def lasted(self, store: Store) -> None:
        """The leases of *store* have lasted for as long as it takes until they survive. Yours, if it does."""

    async def test_jobs_facts_and_branches_survive(self, store: Store, restart: Restart) -> None:
        branches = (a_branch(report=Report("ok", data=Raw(b"1.0"))), a_branch(index=1))
        await store.commit(Commit(now=T0, job=a_job(client="c"), facts=(a_fact(),), branches=branches))
        move = Commit(now=T0, job=a_job(version=2, client="c"), expected=1, facts=(a_fact(version=2),))
        await store.commit(move)
        await create(store, over("done"))
        store = await restart(store)
        assert await store.load(J) == a_job(version=2, client="c")
        assert await store.load(JobId("done")) == over("done")
        assert list(await store.facts(J)) == [a_fact(), a_fact(version=2)]
        assert tuple(await store.branches(J, 1)) == branches
        assert await store.tally() == {Status.RUNNING: 1, Status.FINISHED: 1}
        assert [job.id for job in (await store.find(JobQuery(client="c"))).jobs] == ["j"]

    async def test_every_kind_of_phase_survives(self, store: Store, restart: Restart) -> None:
        jobs = [a_job(f"j{n}", phase=phase) for n, phase in enumerate(phases())]
        await create(store, *jobs)
        store = await restart(store)
        assert [await store.load(job.id) for job in jobs] == jobs

    async def test_versions_survive(self, store: Store, restart: Restart) -> None:
        await create(store, a_job(version=3), over("done", 4))
        store = await restart(store)
        for job, version in (("j", 3), ("done", 4)):
            for wrong in (0, version - 1, version + 1):
                with pytest.raises(Moved):
                    await store.commit(Commit(now=T0, job=a_job(job, 9), expected=wrong))
            await store.commit(Commit(now=T0, job=a_job(job, 9), expected=version))

    async def test_messages_survive_with_their_place(self, store: Store, restart: Restart) -> None:
        sent = [a_message(name) for name in ("c", "a", "z", "b")]
        await send(store, *sent, a_message("first", priority=1.0), a_message("late", visible_at=at(5)))
        await send(store, a_message("a"))
        store = await restart(store)
        assert names(await grab(store, now=at(4))) == ["first", "c", "z", "b", "a"]
        assert names(await grab(store, now=at(5))) == ["late"]

    async def test_what_is_sent_afterwards_comes_after_what_survived(
        self, store: Store, restart: Restart
    ) -> None:
        await send(store, a_message("b"), a_message("z"))
        store = await restart(store)
        await send(store, a_message("a"))
        store = await restart(store)
        await send(store, a_message("c"))
        assert names(await grab(store)) == ["b", "z", "a", "c"]

    async def test_every_kind_of_message_survives(self, store: Store, restart: Restart) -> None:
        sent = [a_message(f"{n}") for n in range(len(bodies()))]
        full = [
            type(m)(m.id, m.queue, m.job, m.visible_at, body) for m, body in zip(sent, bodies(), strict=True)
        ]
        await send(store, *full)
        store = await restart(store)
        assert [lease.message for lease in await grab(store)] == full

    async def test_what_was_acknowledged_dropped_or_closed_stays_away(
        self, store: Store, restart: Restart
    ) -> None:
        await send(store, *(a_message(name) for name in "abc"))
        a, _, _ = await grab(store)
        await store.commit(Commit(now=T0, job=a_job(), branches=(a_branch(), a_branch(opened=2))))
        gone = Commit(now=T0, job=a_job(version=2), expected=1, ack=(a,), drop=(MessageId("b"),), close=(1,))
        await store.commit(gone)
        store = await restart(store)
        assert names(await grab(store, now=at(9 * TTL))) == ["c"]
        assert list(await store.branches(J, 1)) == []
        assert list(await store.branches(J, 2)) == [a_branch(opened=2)]

    async def test_a_replaced_message_stays_replaced_and_its_old_lease_lost(
        self, store: Store, restart: Restart
    ) -> None:
        await send(store, a_message())
        old = await grab_one(store)
        await send(store, a_message(priority=1.0))
        store = await restart(store)
        with pytest.raises(LeaseLost):
            await store.commit(Commit(now=T0, ack=(old,)))
        new = await grab_one(store)
        assert (new.message, new.delivery) == (a_message(priority=1.0), 1)

    async def test_claims_survive(self, store: Store, restart: Restart) -> None:
        claim = a_claim(expires_at=at(100))
        await store.commit(Commit(now=T0, job=a_job(), claim=claim))
        store = await restart(store)
        with pytest.raises(KeyTaken) as caught:
            await store.commit(Commit(now=at(99), claim=a_claim(expires_at=at(500))))
        assert caught.value.claim == claim
        await store.commit(Commit(now=at(100), claim=a_claim(expires_at=at(500))))

    async def test_what_was_refused_is_not_there(self, store: Store, restart: Restart) -> None:
        await create(store, a_job())
        with pytest.raises(Moved):
            await store.commit(
                Commit(
                    now=T0,
                    job=a_job(client="other"),
                    facts=(a_fact(version=9),),
                    send=(a_message(),),
                    claim=a_claim(expires_at=at(9)),
                )
            )
        store = await restart(store)
        assert await store.load(J) == a_job()
        assert list(await store.facts(J)) == [a_fact()]
        assert await store.next_due("q") is None
        await store.commit(Commit(now=T0, claim=a_claim(expires_at=at(9))))

    async def test_odd_data_survives_byte_for_byte(self, store: Store, restart: Restart) -> None:
        await create(store, odd_job(), a_job("plain"))
        move = Commit(now=T0, job=odd_job(2), expected=1)
        await store.commit(move)
        store = await restart(store)
        seen = await store.load(J)
        assert seen is not None
        assert same(seen.input, odd_data())
        assert same(seen.history, odd_data())
        assert bytes(seen.last) == ODD["space"]

    async def test_every_field_of_a_job_survives(self, store: Store, restart: Restart) -> None:
        job = full_job()
        await create(store, job)
        query = JobQuery(client="c", labels=tuple(job.labels.items()))
        for _ in range(2):
            assert await store.load(J) == job
            assert (await store.find(query)).jobs == (job,)
            store = await restart(store)

    async def test_every_kind_of_event_survives(self, store: Store, restart: Restart) -> None:
        facts = tuple(Fact(J, n, at(n), event) for n, event in enumerate(events(), 1))
        await store.commit(Commit(now=T0, job=a_job(version=len(facts)), facts=facts))
        store = await restart(store)
        assert tuple(await store.facts(J)) == facts

    @pytest.mark.parametrize("durable", [True, False])
    async def test_a_job_that_was_taken_up_again_goes_on(
        self, store: Store, restart: Restart, durable: bool
    ) -> None:
        await revive(store, durable=durable)
        await store.commit(Commit(now=T0))
        store = await restart(store)
        assert await store.load(J) == revived(3)
        assert list(await store.branches(J, 3)) == [a_branch(opened=3)]
        assert await store.sweep(now=at(99), finished_before=at(99), limit=9) == 0
        await store.commit(Commit(now=T0, job=revived(4), expected=3))
        store = await restart(store)
        assert await store.load(J) == revived(4)

    async def test_a_job_is_taken_up_again_by_a_later_process(self, store: Store, restart: Restart) -> None:
        await create(store, over(), over("k"))
        store = await restart(store)
        await store.commit(Commit(now=T0, job=revived(3), expected=2, send=(a_message(),)))
        with pytest.raises(Moved):
            await store.commit(Commit(now=T0, job=revived(3), expected=2))
        store = await restart(store)
        assert await store.load(J) == revived(3)
        assert names(await grab(store)) == ["m"]

    async def test_what_was_seen_in_a_queue_is_seen_again(self, store: Store, restart: Restart) -> None:
        await send(store, a_message("b"), a_message("a", visible_at=at(5)), a_message("c"))
        await store.lease(("q",), owner="w", now=T0, ttl=TTL, limit=1)
        seen = list(await store.peek("q", limit=9))
        store = await restart(store)
        assert list(await store.peek("q", limit=9)) == seen
        assert [message.id for message in seen] == ["a", "b", "c"]

    async def test_what_was_swept_stays_away(self, store: Store, restart: Restart) -> None:
        await create(store, over(), a_job("live"))
        await store.sweep(now=at(1), finished_before=at(1), limit=9)
        store = await restart(store)
        assert await store.load(J) is None
        assert [job.id for job in (await store.find(JobQuery())).jobs] == ["live"]

    async def test_a_lease_survives_and_still_keeps_others_away(self, store: Store, restart: Restart) -> None:
        taken = Lease(a_message("taken"), "w", Token("mine"), at(TTL), 3)
        await send(store, a_message())
        lease = await grab_one(store)
        longer = await store.extend(lease, now=at(1), ttl=TTL)
        await store.commit(Commit(now=T0, take=(taken,)))
        await self.lasted(store)
        store = await restart(store)
        assert list(await grab(store, now=at(TTL - 1))) == []
        for kept in (longer, taken):
            held = await store.held(kept.message.id, now=T0)
            assert held is not None
            assert (held.token, held.owner, held.delivery) == (kept.token, kept.owner, kept.delivery)
            await store.commit(Commit(now=T0, ack=(kept,)))
        assert await store.next_due("q") is None

    async def test_the_number_of_deliveries_survives(self, store: Store, restart: Restart) -> None:
        await send(store, a_message())
        await grab_one(store)
        await grab_one(store, now=at(TTL))
        await self.lasted(store)
        store = await restart(store)
        assert (await grab_one(store, now=at(9 * TTL))).delivery == 3

    async def test_what_was_not_durable_survives_a_durable_commit_after_it(
        self, store: Store, restart: Restart
    ) -> None:
        await store.commit(
            Commit(
                now=T0,
                job=a_job(),
                facts=(a_fact(),),
                branches=(a_branch(),),
                send=(a_message(),),
                claim=a_claim(expires_at=at(9)),
                durable=False,
            )
        )
        lease = await grab_one(store, ttl=Span(1))
        await store.commit(Commit(now=T0, job=over(), expected=1, ack=(lease,), durable=False))
        await store.commit(Commit(now=T0))
        store = await restart(store)
        assert await store.load(J) == over()
        assert list(await store.facts(J)) == [a_fact()]
        assert await store.next_due("q") is None
        with pytest.raises(KeyTaken):
            await store.commit(Commit(now=T0, claim=a_claim(expires_at=at(9))))

    async def test_a_store_lives_many_times(self, store: Store, restart: Restart) -> None:
        await create(store, a_job())
        for version in range(2, 6):
            store = await restart(store)
            fact = a_fact(version=version)
            await store.commit(
                Commit(now=T0, job=a_job(version=version), expected=version - 1, facts=(fact,))
            )
        assert [fact.version for fact in await store.facts(J)] == [1, 2, 3, 4, 5]
