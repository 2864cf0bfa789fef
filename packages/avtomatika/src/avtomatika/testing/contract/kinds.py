"""One of every kind of stored value, and user data that is easily damaged."""

import json

import msgspec
from msgspec import Raw

from avtomatika.kernel.decisions import (
    Ask,
    Dispatch,
    FanOut,
    Finish,
    GoTo,
    Listen,
    RunChild,
    Sleep,
)
from avtomatika.kernel.effects import (
    CancelChild,
    OfferTask,
    PurgeFiles,
    RunHandler,
    SendWebhook,
    StartAlarm,
    StartChild,
    StartTimer,
    TellParent,
)
from avtomatika.kernel.events import (
    AlarmRang,
    CancelRequested,
    ChildEnded,
    Deadline,
    DeadlinePassed,
    Decided,
    Event,
    HandlerCrashed,
    HumanDecided,
    Requeued,
    Rewound,
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
    AwaitingChild,
    AwaitingHuman,
    Data,
    Done,
    Failure,
    Gathering,
    Job,
    Listening,
    Order,
    Parent,
    Phase,
    Ready,
    Report,
    Signal,
    Sleeping,
    Status,
    Verdict,
    Waiting,
)
from avtomatika.kernel.time import Span
from avtomatika.ports.fact import Standing
from avtomatika.ports.store import (
    Body,
    Fact,
    Record,
    Tick,
)
from avtomatika.testing.contract.values import (
    a_job,
    a_task,
    at,
    branch_id,
)

J = JobId("j")

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
        Decided(
            1,
            Dispatch(order, {"a": "b"}, {"progress": "x"}),
            odd_data(),
            odd_data(),
            Raw(b"1.0"),
            (Signal("told", Raw(ODD["space"])), Signal("again")),
        ),
        Decided(2, FanOut((order, order), "then", transitions={"": "x"})),
        Decided(3, Finish(Verdict.FAILED, Raw(b"[1.0]"), failure)),
        Decided(3, GoTo("é")),
        Decided(3, Sleep(Span(1), at(9), "then")),
        Decided(3, Listen("name", {"success": "a"}, Span(5))),
        Decided(3, RunChild("b", odd_data(), {"success": "a"}, "1", "s", Span(1), Span(2), Span(3))),
        Decided(3, Ask("i", "m", {"approved": "a"}, Span(5), Raw(ODD["space"]))),
        HandlerCrashed(4, failure),
        RunAbandoned(5, 6),
        TaskAccepted(name, 1, "worker"),
        TaskReported(name, 1, 2, Report("failure", "worker", Raw(b"1e300"), failure)),
        TaskSignalled(name, 1, 2, "worker", "progress", Raw(ODD["space"])),
        TaskAbandoned(name, 1, 9),
        DeadlinePassed(name, 1, Deadline.EXECUTION),
        AlarmRang(3),
        SignalReceived("name", Raw(ODD["space"])),
        ChildEnded(3, JobId("child"), Verdict.FAILED, "s", Raw(ODD["space"]), failure),
        HumanDecided(3, "approved", Raw(ODD["space"]), "é"),
        Requeued("operator"),
        Rewound(2, "s", odd_data(), odd_data(), Raw(ODD["space"]), "operator"),
        CancelRequested("because"),
    ]


def bodies() -> list[Body]:
    """One of every kind of message body, with as much in it as there can be."""
    order = Order(skill="s", params=Raw(ODD["space"]), strategy="x", execution_timeout=Span(1))
    failure = Failure(code="C", message="m\x00\U0001f680", details=Raw(ODD["space"]))
    facts = tuple(Fact(J, n, at(n), event) for n, event in enumerate(events(), 1))
    return [
        RunHandler(J, 3, "b", "1", at(3), -1.5),
        OfferTask(J, a_task(order=order), at(4), {"traceparent": "00-1-2-01"}, 2.5),
        StartTimer(J, branch_id("j", 1, 0), 1, Deadline.RESULT, at(5)),
        StartAlarm(J, 3, at(6)),
        StartChild(J, full_job(0), at(7)),
        CancelChild(J, JobId("child"), "no longer wanted", at(8)),
        TellParent(J, JobId("parent"), 2, Verdict.QUARANTINED, "s", Raw(ODD["space"]), failure, at(9)),
        SendWebhook(
            job=J,
            version=4,
            url="https://example.org/?a=1&b=ü",
            event="job_finished",
            status="finished",
            client="c",
            result=Raw(ODD["space"]),
            failure=failure,
            question=3,
            attempt=2,
            at=at(10),
            first_try=at(11),
            trouble="the server answered 500 é",
        ),
        PurgeFiles(J, at(12)),
        Tick("schedule é", at(11), "digest", JobId("earlier")),
        Record(facts, tuple(Standing("é", status) for status in Status), "c", "b"),
        Record(()),
    ]


def full_job(version: int = 1) -> Job:
    """A job with a value of its own in every field."""
    return msgspec.structs.replace(
        odd_job(version),
        client="c",
        webhook_url="https://example.org/?a=1&b=ü",
        tracing={"traceparent": "00-1-2-01", "": ""},
        labels={"team": "a b", "": "", "é": "\U0001f680", "nul": "\x00", "quote": "'"},
        priority=-2.5,
        due=at(10**9),
        parent=Parent(JobId("p"), 3, 2),
        source="schedule:s",
        steps=7,
        signals=(Signal("name", Raw(ODD["space"])), Signal("other")),
        failure=Failure(code="C", message="m", details=Raw(b"1.0")),
        policy=msgspec.structs.replace(a_job().policy, dispatch_timeout=Span(1), max_steps=2),
    )


def phases() -> list[Phase]:
    """One of every kind of phase."""
    return [
        Ready(2, 1),
        Waiting(a_task(), {"a": "b"}, {"progress": "c"}),
        Gathering(opened=1, width=3, left=2, then="t", transitions={"a": "b"}),
        Sleeping(1, at(7), "then"),
        Listening(1, "name", {"success": "a"}, at(8)),
        AwaitingChild(1, JobId("child"), {"success": "a"}, at(9)),
        AwaitingHuman(1, "i", "m", {"approved": "a"}, Raw(ODD["space"]), at(10)),
        Done(Verdict.QUARANTINED, Raw(ODD["space"]), 4),
    ]
