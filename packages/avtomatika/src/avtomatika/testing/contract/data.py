"""User data is kept byte for byte, whatever JSON it is, and however much."""

import json
import math
from typing import get_args

import msgspec
import pytest
from msgspec import Raw

from avtomatika.errors import InvalidInput
from avtomatika.kernel.decisions import Decision, Dispatch, FanOut, Finish, GoTo, Listen, Sleep
from avtomatika.kernel.effects import OfferTask, RunHandler, StartAlarm, StartTimer
from avtomatika.kernel.events import (
    AlarmRang,
    CancelRequested,
    Deadline,
    DeadlinePassed,
    Decided,
    Event,
    HandlerCrashed,
    RunAbandoned,
    SignalReceived,
    Submitted,
    TaskAbandoned,
    TaskAccepted,
    TaskReported,
    TaskSignalled,
)
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import (
    Branch,
    Data,
    Done,
    Failure,
    Gathering,
    Job,
    Listening,
    Order,
    Phase,
    Ready,
    Report,
    Signal,
    Sleeping,
    Verdict,
    Waiting,
)
from avtomatika.kernel.time import Span
from avtomatika.ports.store import Body, Commit, Fact, JobQuery, Message, MessageId, Store
from avtomatika.testing.contract.values import (
    T0,
    a_branch,
    a_job,
    a_message,
    a_task,
    at,
    branch_id,
    create,
    grab_one,
    send,
)

J = JobId("j")
MIB = 1024 * 1024

ODD: dict[str, bytes] = {
    "null": b"null",
    "null member": b'{"a":null}',
    "float that is whole": b"1.0",
    "float with zeros": b"1.500",
    "large exponent": b"1e300",
    "capital exponent": b"1E+30",
    "beyond floats": b"1e999",
    "minus zero": b"-0.0",
    "beyond 64 bits": str(2**63).encode(),
    "hundred digits": b"9" * 100,
    "many decimals": b"0.1000000000000000055511151231257827",
    "escape": rb'"\u00e9\n\/"',
    "plain unicode": '"é 漢 \U0001f680"'.encode(),
    "surrogate pair": rb'"\ud83d\ude80"',
    "nul": rb'"\u0000"',
    "empty": b'""',
    "empty members": b'[{},[],""]',
    "member twice": b'{"a":1,"a":2}',
    "order of members": b'{"b":1,"a":2}',
    "space": b'{ "a" :\t[1 ,\n2] }',
    "nested": b"[" * 200 + b"]" * 200,
    "looks like ours": b'{"type":"Job","id":"x","version":-1}',
    "quotes": json.dumps("'\"; DROP TABLE job; --").encode(),
    "prototype": b'{"__proto__":{"a":1}}',
}


def same(one: Data, other: Data) -> bool:
    """True when both have the same members with the same bytes in the same order."""
    return [(k, bytes(v)) for k, v in one.items()] == [(k, bytes(v)) for k, v in other.items()]


ODD_KEYS = ["", " ", "a.b", "$a", "é", "\U0001f680", "\x00", '"', "__proto__", "type", "a" * 1000]


def odd_data() -> Data:
    """Every odd value under a name, and an odd name for every value."""
    named = {name: Raw(value) for name, value in ODD.items()}
    return {**named, **{key: Raw(b"1") for key in ODD_KEYS}}


def odd_job(version: int = 1) -> Job:
    """A job full of odd data."""
    return a_job(version=version, user_input=odd_data(), history=odd_data(), last=Raw(ODD["space"]))


def events() -> list[Event]:
    """One of every kind of event, with as much in it as there can be."""
    name = branch_id("j", 1, 0)
    failure = Failure(code="C", message="m\x00\U0001f680", task=name, details=Raw(b'{"a":1.0}'))
    order = Order(skill="s", params=Raw(b'{"a":1.0,"b":null}'), max_cost=0.1, priority=-2.5, retries=0)
    return [
        Submitted(odd_job(0)),
        Decided(1, Dispatch(order, {"a": "b"}), odd_data(), odd_data(), Raw(b"1.0")),
        Decided(2, FanOut((order, order), "then", transitions={"": "x"})),
        Decided(3, Finish(Verdict.FAILED, Raw(b"[1.0]"), failure)),
        Decided(3, GoTo("é")),
        Decided(3, Sleep(Span(1), at(9), "then")),
        Decided(3, Listen("name", {"success": "a"}, Span(5))),
        HandlerCrashed(4, failure),
        RunAbandoned(5, 6),
        TaskAccepted(name, 1, "worker"),
        TaskReported(name, 1, 2, Report("failure", "worker", Raw(b"1e300"), failure)),
        TaskSignalled(name, 1, 2, "worker", "progress", Raw(ODD["space"])),
        TaskAbandoned(name, 1, 9),
        DeadlinePassed(name, 1, Deadline.EXECUTION),
        AlarmRang(3),
        SignalReceived("name", Raw(ODD["space"])),
        CancelRequested("because"),
    ]


def bodies() -> list[Body]:
    """One of every kind of message body."""
    order = Order(skill="s", params=Raw(ODD["space"]), strategy="x", execution_timeout=Span(1))
    return [
        RunHandler(J, 3, "b", "1", at(3)),
        OfferTask(J, a_task(order=order), at(4)),
        StartTimer(J, branch_id("j", 1, 0), 1, Deadline.RESULT, at(5)),
        StartAlarm(J, 3, at(6)),
    ]


def phases() -> list[Phase]:
    """One of every kind of phase."""
    return [
        Ready(2, 1),
        Waiting(a_task(), {"a": "b"}),
        Gathering(opened=1, width=3, left=2, then="t", transitions={"a": "b"}),
        Sleeping(1, at(7), "then"),
        Listening(1, "name", {"success": "a"}, at(8)),
        Done(Verdict.QUARANTINED, Raw(ODD["space"])),
    ]


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

    async def test_a_job_keeps_every_field(self, store: Store) -> None:
        job = msgspec.structs.replace(
            odd_job(),
            webhook_url="https://example.org/?a=1&b=ü",
            tracing={"traceparent": "00-1-2-01", "": ""},
            steps=7,
            signals=(Signal("name", Raw(ODD["space"])), Signal("other")),
            failure=Failure(code="C", message="m", details=Raw(b"1.0")),
            policy=msgspec.structs.replace(a_job().policy, dispatch_timeout=Span(1), max_steps=2),
        )
        await create(store, job)
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

    @pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("where", ["message", "priority", "max_cost"])
    async def test_a_number_that_could_not_be_read_back_is_refused_and_leaves_nothing(
        self, store: Store, durable: bool, where: str, number: float
    ) -> None:
        if where == "message":
            sent = a_message(priority=number)
        elif where == "priority":
            sent = a_message(order=Order(skill="s", priority=number))
        else:
            sent = a_message(order=Order(skill="s", max_cost=number))
        with pytest.raises(InvalidInput):
            await store.commit(
                Commit(now=T0, job=a_job(), facts=(), send=(a_message("a"), sent), durable=durable)
            )
        assert await store.load(J) is None
        assert await store.next_due("q") is None
