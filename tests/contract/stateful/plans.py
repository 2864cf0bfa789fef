"""What may be asked of a store, before it is known what the store holds."""

from collections.abc import Awaitable, Callable

import msgspec
from hypothesis import strategies as st
from msgspec import Raw

from avtomatika.kernel.model import Data, Done, Phase, Ready, Verdict, Waiting
from avtomatika.kernel.time import Span
from avtomatika.ports.shelf import Shelf
from avtomatika.testing.contract.values import a_task

JOBS = ("j0", "j1", "j2")
QUEUES = ("f:a", "f:b", "g")
KEYS = ("k0", "k1")
OWNERS = ("w1", "w2", "node:n1")

small = st.integers(0, 3)
labels: st.SearchStrategy[dict[str, str]] = st.sampled_from(
    [{}, {"l": "1"}, {"l": "2"}, {"l": "1", "m": "1"}, {"m": "2", "l": "1"}]
)
spans = st.sampled_from([0, 1, 5, 20, 100]).map(Span)
ttls = st.sampled_from([1, 10, 50, 1_000]).map(Span)
phases: st.SearchStrategy[Phase] = st.sampled_from(
    [Ready(), Ready(gathered=1), Waiting(a_task(), {"a": "b"}), Done(Verdict.FINISHED), Done(Verdict.FAILED)]
)
user_data: st.SearchStrategy[Data | None] = st.sampled_from(
    [None, None, {}, {"a": Raw(b"1.0")}, {"a": Raw(b"null"), "b": Raw(b'{"x": []}')}]
)


class Sent(msgspec.Struct, frozen=True):
    """What a commit sends, before it is known when."""

    name: int
    queue: str
    delay: Span
    priority: float
    owner: str | None = None
    ttl: Span = Span(1)


class Plan(msgspec.Struct, frozen=True):
    """A commit, before it is known what the store holds."""

    job: str | None
    steps: int
    wrong: int
    phase: Phase
    labels: dict[str, str]
    blueprint: str
    history: Data | None
    branches: tuple[tuple[int, int], ...]
    close: tuple[int, ...]
    sent: tuple[Sent, ...]
    drop: tuple[int, ...]
    ack: tuple[int, ...]
    key: str | None
    durable: bool


sent = st.builds(
    Sent,
    name=small,
    queue=st.sampled_from(QUEUES),
    delay=spans,
    priority=st.sampled_from([0.0, 0.0, 1.0, -1.0]),
    owner=st.sampled_from([None, None, None, *OWNERS]),
    ttl=ttls,
)
plans = st.builds(
    Plan,
    job=st.sampled_from([None, *JOBS]),
    steps=st.sampled_from([1, 1, 2]),
    wrong=st.sampled_from([0, 0, 0, 0, 1, -1]),
    phase=phases,
    labels=labels,
    blueprint=st.sampled_from(["a", "b"]),
    history=user_data,
    branches=st.lists(st.tuples(small, small), max_size=2).map(tuple),
    close=st.lists(small, max_size=1).map(tuple),
    sent=st.lists(sent, max_size=3).map(tuple),
    drop=st.lists(small, max_size=1).map(tuple),
    ack=st.lists(st.integers(0, 5), max_size=2).map(tuple),
    key=st.sampled_from([None, None, *KEYS]),
    durable=st.booleans(),
)


Shelving = Callable[[Shelf], Awaitable[object]]


def _put(key: str, value: Raw) -> Shelving:
    return lambda shelf: shelf.put("s", key, value)


def _put_new(key: str, value: Raw) -> Shelving:
    return lambda shelf: shelf.put_new("s", key, value)


def _incr(key: str, by: int) -> Shelving:
    return lambda shelf: shelf.incr("s", key, by)


def _delete(key: str) -> Shelving:
    return lambda shelf: shelf.delete("s", key)


names = st.sampled_from(KEYS)
values = st.sampled_from([Raw(b"1"), Raw(b"1.0"), Raw(b" 7"), Raw(b"null")])
shelvings: st.SearchStrategy[Shelving] = st.one_of(
    st.builds(_put, names, values),
    st.builds(_put_new, names, values),
    st.builds(_incr, names, st.sampled_from([1, -5, 2**62])),
    st.builds(_delete, names),
)


class Filing(msgspec.Struct, frozen=True):
    """What is asked of a registry: `since` is the version that a replacement expects, by its age."""

    verb: str
    kind: str
    key: str
    body: bytes
    ttl: Span
    since: int | None


filings = st.builds(
    Filing,
    verb=st.sampled_from(["get", "put", "put", "replace", "replace", "take", "delete", "scan", "sweep"]),
    kind=st.sampled_from(["d", "e"]),
    key=st.sampled_from(["", "a", "b:c"]),
    body=st.sampled_from([b"", b"{}", bytes(range(256))]),
    ttl=ttls,
    since=st.sampled_from([None, 0, 0, 1]),
)
