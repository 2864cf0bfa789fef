"""Any sequence of calls gets the same answers from SqliteStore, dying now and then, as from MemoryStore.

MemoryStore is the model. It does not die: what a death does to leases is done to it by `survive`.
`STATEFUL_EXAMPLES=2000 pytest tests/contract/test_store_stateful.py` looks longer, and elsewhere each time.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Raw

from avtomatika.errors import AvtomatikaError
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Data, Done, Job, Phase, Ready, Status, Verdict, Waiting
from avtomatika.kernel.time import Span
from avtomatika.ports.shelf import Shelf
from avtomatika.ports.store import Commit, JobQuery, KeyTaken, Lease, MessageId, Page, Store, Token
from avtomatika.stores.memory import MemoryStore
from avtomatika.stores.sql.sqlite import SqliteStore
from avtomatika.testing.contract.values import (
    CountedTokens,
    VirtualClock,
    a_branch,
    a_claim,
    a_fact,
    a_job,
    a_message,
    a_task,
)

T = TypeVar("T")
EXAMPLES = int(os.environ.get("STATEFUL_EXAMPLES", "0"))

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


async def answer(call: Awaitable[object]) -> object:
    """What the call returned, or how it was refused."""
    try:
        return await call
    except KeyTaken as taken:
        return taken.code, taken.claim
    except AvtomatikaError as refusal:
        return refusal.code


class StorePair(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.lives = 0
        self.clock = VirtualClock()
        self.tokens = CountedTokens()
        self.memory = MemoryStore(now=self.clock.now, tokens=CountedTokens())
        self.sqlite = self.open()
        self.leases: list[Lease] = []
        self.granted: list[Lease] = []
        self.ttl: dict[Token, Span] = {}
        self.taken = 0

    def open(self) -> SqliteStore:
        def broken(failure: Exception) -> None:
            raise failure

        return SqliteStore(self.path / "s.db", now=self.clock.now, tokens=self.tokens, broken=broken)

    @property
    def path(self) -> Path:
        return self.folder / str(self.lives)

    def teardown(self) -> None:
        self.run(self.sqlite.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        shutil.rmtree(self.folder)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, 60))

    def both(self, call: Callable[[Store], Awaitable[object]]) -> Any:
        """The one answer that both stores give."""

        async def ask(store: Store) -> object:
            return await answer(call(store))

        expected = self.run(ask(self.memory))
        assert self.run(ask(self.sqlite)) == expected
        return expected

    def build(self, plan: Plan) -> Commit:
        now = self.clock.now()
        messages = [
            (
                each,
                a_message(
                    f"m{each.name}",
                    each.queue,
                    visible_at=type(now)(now + each.delay),
                    priority=each.priority,
                ),
            )
            for each in plan.sent
        ]
        take: list[Lease] = []
        for each, message in messages:
            if each.owner is not None:
                self.taken += 1
                token = Token(f"taken{self.taken}")
                self.ttl[token] = each.ttl
                take.append(Lease(message, each.owner, token, type(now)(now + each.ttl), 1))
        commit = Commit(
            now=now,
            send=tuple(message for each, message in messages if each.owner is None),
            take=tuple(take),
            drop=tuple(MessageId(f"m{n}") for n in plan.drop),
            ack=tuple(self.leases[-1 - n] for n in plan.ack if n < len(self.leases)),
            claim=None if plan.key is None else a_claim(plan.key, expires_at=type(now)(now + 30)),
            durable=plan.durable,
        )
        self.granted += take
        return commit if plan.job is None else self.move(plan, plan.job, commit)

    def move(self, plan: Plan, name: str, commit: Commit) -> Commit:
        stored = self.run(self.memory.load(JobId(name)))
        version = 0 if stored is None else stored.version
        job: Job = a_job(name, created=commit.now, client=name[-1]) if stored is None else stored
        if stored is None:
            job = msgspec.structs.replace(job, labels=plan.labels, blueprint=plan.blueprint)
        expected = max(0, version + plan.wrong)
        job = msgspec.structs.replace(
            job, version=expected + plan.steps, phase=plan.phase, updated=commit.now
        )
        if plan.history is not None:
            job = msgspec.structs.replace(job, history=plan.history)
        return msgspec.structs.replace(
            commit,
            job=job,
            expected=expected,
            facts=tuple(a_fact(name, expected + n + 1, at=commit.now) for n in range(plan.steps)),
            branches=tuple(a_branch(name, opened, index) for opened, index in plan.branches),
            close=plan.close,
        )

    def survive(self) -> None:
        """The death of the process has happened to the model: workers keep their leases, nodes do not."""
        table = self.memory._image.messages
        now = self.clock.now()
        for entry in sorted(table._entries.values(), key=lambda entry: entry.order):
            lease = entry.lease
            if lease is not None and lease.owner.startswith("node:"):
                lease = None
            if lease is not None:
                until = type(now)(max(lease.until, now + self.ttl[lease.token]))
                lease = msgspec.structs.replace(lease, until=until)
            table.put(entry.message, lease, entry.delivery)

    @initialize(slow=st.booleans())
    def choose_the_mode(self, slow: bool) -> None:
        self.sqlite._writer._commit_s = 1e9 if slow else -1e9

    @rule(plan=plans)
    def commit(self, plan: Plan) -> None:
        commit = self.build(plan)
        self.both(lambda store: store.commit(commit))

    @rule(several=st.lists(plans, min_size=2, max_size=4))
    def commit_at_once(self, several: Sequence[Plan]) -> None:
        commits = [self.build(plan) for plan in several]

        async def at_once(store: Store) -> list[object]:
            return list(await asyncio.gather(*(answer(store.commit(commit)) for commit in commits)))

        # What need not be durable takes effect at once, before what waits for the disk.
        order = sorted(range(len(commits)), key=lambda n: commits[n].durable or commits[n].claim is not None)
        expected: dict[int, object] = {}
        for n in order:
            expected[n] = self.run(answer(self.memory.commit(commits[n])))  # type: ignore[arg-type]
        self.run(self.sqlite.commit(Commit(now=self.clock.now())))
        assert self.run(at_once(self.sqlite)) == [expected[n] for n in range(len(commits))]

    @rule(
        queues=st.lists(st.sampled_from(QUEUES), min_size=1, max_size=3),
        owner=st.sampled_from(OWNERS),
        ttl=ttls,
        limit=small,
    )
    def lease(self, queues: list[str], owner: str, ttl: Span, limit: int) -> None:
        now = self.clock.now()
        given = self.both(lambda store: store.lease(queues, owner=owner, now=now, ttl=ttl, limit=limit))
        self.granted += given
        self.ttl.update({lease.token: ttl for lease in given})

    @precondition(lambda self: self.leases)
    @rule(back=st.integers(0, 8), ttl=ttls)
    def extend(self, back: int, ttl: Span) -> None:
        lease = self.leases[-1 - back % len(self.leases)]
        now = self.clock.now()
        if isinstance(self.both(lambda store: store.extend(lease, now=now, ttl=ttl)), Lease):
            self.ttl[lease.token] = ttl

    @rule(span=spans)
    def time_passes(self, span: Span) -> None:
        self.run(self.clock.advance(span))

    @rule(limit=small, age=st.sampled_from([0, 0, 10, -1]))
    def sweep(self, limit: int, age: int) -> None:
        now = self.clock.now()
        before = type(now)(now - age)
        self.both(lambda store: store.sweep(now=now, finished_before=before, limit=limit))

    @rule(
        client=st.sampled_from([None, "0", "1"]),
        status=st.sampled_from([None, Status.RUNNING, Status.FINISHED]),
        blueprint=st.sampled_from([None, None, "a"]),
        wanted=labels,
        since=st.sampled_from([None, None, 0, 10]),
        before=st.sampled_from([None, None, 0, 10]),
        limit=st.integers(0, 3),
    )
    def find(self, **given: Any) -> None:
        now = self.clock.now()
        query = JobQuery(
            client=given["client"],
            status=given["status"],
            blueprint=given["blueprint"],
            labels=tuple(given["wanted"].items()),
            since=None if given["since"] is None else type(now)(now - given["since"]),
            before=None if given["before"] is None else type(now)(now - given["before"]),
            limit=given["limit"],
        )
        while True:
            page = self.both(lambda store, query=query: store.find(query))
            if not isinstance(page, Page) or page.next is None:
                break
            query = msgspec.structs.replace(query, after=page.next)

    @rule(queue=st.sampled_from(QUEUES), above=st.sampled_from([None, "m0", "m2"]), limit=small)
    def peek(self, queue: str, above: str | None, limit: int) -> None:
        place = None if above is None else MessageId(above)
        self.both(lambda store: store.peek(queue, after=place, limit=limit))

    @rule(after=small, limit=st.sampled_from([None, 0, 1, 2]))
    def page_facts(self, after: int, limit: int | None) -> None:
        for name in JOBS:
            self.both(lambda store, name=name: store.facts(JobId(name), after=after, limit=limit))

    @rule(several=st.lists(shelvings, min_size=1, max_size=4))
    def shelve(self, several: list[Shelving]) -> None:
        async def at_once(shelf: Shelf) -> list[object]:
            return list(await asyncio.gather(*(answer(each(shelf)) for each in several)))

        expected = self.run(at_once(self.memory.shelf))
        assert self.run(at_once(self.sqlite.shelf)) == expected

    @rule()
    def come_back(self) -> None:
        self.run(self.sqlite.close())
        self.sqlite = self.open()
        self.survive()

    @rule()
    def be_killed(self) -> None:
        self.run(self.sqlite.commit(Commit(now=self.clock.now())))
        dead, there = self.sqlite, self.path
        self.lives += 1
        self.path.mkdir()
        for file in there.glob("s.db*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, self.path)
        self.sqlite = self.open()
        self.survive()
        self.run(dead.close())
        self.both(lambda store: answer(store.commit(Commit(now=self.clock.now()))))

    @invariant()
    def they_agree(self) -> None:
        for client in (None, "0", "1", "2"):
            self.both(lambda store, client=client: store.tally(client))
        assert self.run(self.sqlite.shelf.items("s")) == self.run(self.memory.shelf.items("s"))
        self.leases += self.granted
        self.granted = []
        now = self.clock.now()
        for name in JOBS:
            job = JobId(name)
            self.both(lambda store, job=job: store.load(job))
            self.both(lambda store, job=job: store.facts(job))
            for opened in range(4):
                self.both(lambda store, job=job, opened=opened: store.branches(job, opened))
        for n in range(4):
            self.both(lambda store, n=n: store.held(MessageId(f"m{n}"), now=now))
        for queue in QUEUES:
            self.both(lambda store, queue=queue: self.due(store, queue))
        self.both(self.queues)

    async def due(self, store: Store, queue: str) -> object:
        due = await store.next_due(queue)
        return due if due is None or due > self.clock.now() else "now"

    async def queues(self, store: Store) -> object:
        found = await store.queues("f")
        assert all(message.queue == queue for queue, message in found.items())
        return set(found)


TestStorePair = StorePair.TestCase
TestStorePair.settings = settings(
    max_examples=EXAMPLES or 50,
    stateful_step_count=50 if EXAMPLES else 25,
    derandomize=not EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestStorePair.pytestmark = [pytest.mark.timeout(120 if not EXAMPLES else 0)]
