"""User data is kept byte for byte, whatever JSON it is, and however much."""

from typing import get_args

import msgspec
import pytest
from msgspec import Raw

from avtomatika.kernel.decisions import (
    Decision,
)
from avtomatika.kernel.events import (
    Decided,
    Event,
    Submitted,
)
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import (
    Branch,
    Done,
    Failure,
    Order,
    Phase,
    Report,
    Verdict,
)
from avtomatika.kernel.time import Span
from avtomatika.ports.store import (
    Body,
    Commit,
    Fact,
    JobQuery,
    Message,
    MessageId,
    Store,
)
from avtomatika.testing.contract.kinds import ODD, bodies, events, full_job, odd_data, odd_job, phases, same
from avtomatika.testing.contract.values import (
    T0,
    a_branch,
    a_job,
    a_message,
    a_task,
    at,
    create,
    grab_one,
    send,
)

J = JobId("j")
MIB = 1024 * 1024


class DataContract:
    """Stored values come back as they were."""

    @pytest.mark.parametrize("name", ODD)
    async def test_user_data_is_kept_byte_for_byte(self, store: Store, name: str, durable: bool) -> None:
        raw = Raw(ODD[name])
        done = Done(Verdict.FINISHED, raw)
        job = a_job(user_input={"a": raw}, history={"b": raw}, last=raw, phase=done)
        await store.commit(Commit(now=T0, job=job, durable=durable))
        seen = await store.load(J)
        assert seen is not None
        assert isinstance(seen.phase, Done)
        assert same(seen.input, job.input)
        assert same(seen.history, job.history)
        assert (bytes(seen.last), bytes(seen.phase.result)) == (ODD[name], ODD[name])

    async def test_data_that_changes_while_the_job_moves_is_the_latest(
        self, store: Store, durable: bool
    ) -> None:
        job = odd_job()
        await create(store, job)
        for version, history in ((2, {"a": Raw(b"1")}), (3, None), (4, {})):
            kept = job.history if history is None else history
            job = msgspec.structs.replace(job, version=version, history=kept)
            await store.commit(Commit(now=T0, job=job, expected=version - 1, durable=durable))
            (listed,) = (await store.find(JobQuery())).jobs
            for seen in (await store.load(J), listed):
                assert seen is not None
                assert seen == job
                assert same(seen.input, odd_data())

    async def test_a_job_keeps_every_field(self, store: Store, durable: bool) -> None:
        job = full_job()
        plain = {name for name in job.__struct_fields__ if getattr(job, name) == getattr(a_job(), name)}
        assert plain == {"id", "blueprint", "edition", "state", "phase", "created", "updated", "version"}
        await store.commit(Commit(now=T0, job=job, durable=durable))
        assert await store.load(J) == job
        assert (await store.find(JobQuery())).jobs == (job,)

    async def test_every_kind_of_phase_is_kept(self, store: Store, durable: bool) -> None:
        assert {type(phase) for phase in phases()} == set(get_args(Phase))
        jobs = [a_job(f"j{n}", phase=phase) for n, phase in enumerate(phases())]
        for job in jobs:
            await store.commit(Commit(now=T0, job=job, durable=durable))
        assert [await store.load(job.id) for job in jobs] == jobs
        assert (await store.find(JobQuery())).jobs == tuple(reversed(jobs))

    async def test_every_kind_of_event_is_kept_as_a_fact(self, store: Store) -> None:
        assert {type(event) for event in events()} == set(get_args(Event))
        decisions = {type(event.decision) for event in events() if isinstance(event, Decided)}
        assert decisions == set(get_args(Decision))
        facts = tuple(Fact(J, n, at(n), event) for n, event in enumerate(events(), 1))
        await store.commit(Commit(now=T0, job=a_job(version=len(facts)), facts=facts))
        assert tuple(await store.facts(J)) == facts

    async def test_every_kind_of_message_is_given_as_it_was_sent(self, store: Store) -> None:
        assert {type(body) for body in bodies()} == set(get_args(Body))
        for body in bodies():
            message = Message(MessageId("m \x00 é"), "q: é", JobId("j/é"), at(1), body, 0.1)
            await send(store, message)
            assert (await grab_one(store, "q: é", now=at(1))).message == message

    async def test_a_branch_keeps_its_report(self, store: Store) -> None:
        report = Report("ok", "w", Raw(ODD["space"]), Failure(code="C", message="m"))
        await store.commit(Commit(now=T0, job=a_job(), branches=(a_branch(report=report),)))
        assert list(await store.branches(J, 1)) == [a_branch(report=report)]

    @pytest.mark.parametrize("name", ["é", "a b", "\U0001f680", "x" * 500, "'", "%", "j-1-2"])
    async def test_any_text_can_be_the_id_of_a_job(self, store: Store, name: str) -> None:
        await create(store, a_job(name, client=name, blueprint=name))
        assert await store.load(JobId(name)) == a_job(name, client=name, blueprint=name)
        assert [fact.job for fact in await store.facts(JobId(name))] == [name]
        assert len(await store.tally(name)) == 1

    async def test_large_values_are_kept(self, store: Store) -> None:
        big = Raw(b'"' + b"x" * MIB + b'"')
        job = a_job(user_input={"a": big}, history={"a": big, "b": big}, last=big)
        order = Order(skill="s", params=big)
        branch = Branch(a_task(order=order), Report("ok", data=big))
        sent = a_message(order=order)
        await store.commit(
            Commit(
                now=T0,
                job=job,
                branches=(branch,),
                send=(sent,),
                facts=(Fact(J, 1, T0, Submitted(job)),),
            )
        )
        assert await store.load(J) == job
        assert (await grab_one(store)).message == sent
        assert await store.branch(J, branch.task.id) == branch
        assert list(await store.facts(J)) == [Fact(J, 1, T0, Submitted(job))]

    async def test_many_branches_are_kept(self, store: Store) -> None:
        branches = tuple(a_branch(index=n) for n in range(2_000))
        sent = tuple(a_message(f"m{n}", visible_at=T0) for n in range(2_000))
        await store.commit(Commit(now=T0, job=a_job(), branches=branches, send=sent))
        assert tuple(await store.branches(J, 1)) == branches
        assert len(await store.lease(("q",), owner="w", now=T0, ttl=Span(1), limit=3_000)) == 2_000
