"""A machine that asks a store and the model the same, whatever comes to its mind."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from itertools import permutations
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Raw

from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Job, Status
from avtomatika.kernel.time import Span
from avtomatika.ports.registry import Doc, Registry
from avtomatika.ports.store import Commit, JobQuery, Lease, MessageId, Page, Token
from avtomatika.stores.memory import MemoryStore
from avtomatika.stores.registry import MemoryRegistry
from avtomatika.testing.contract.values import (
    CountedTokens,
    VirtualClock,
    a_branch,
    a_claim,
    a_fact,
    a_job,
    a_message,
    branch_id,
)
from tests.contract.comparing import Call, Translation, answer
from tests.contract.stateful.lives import Life
from tests.contract.stateful.plans import (
    JOBS,
    OWNERS,
    QUEUES,
    Filing,
    Plan,
    Shelving,
    filings,
    labels,
    plans,
    shelvings,
    small,
    spans,
    ttls,
)

T = TypeVar("T")
LONG_ENOUGH_S = 60


class StorePair(RuleBasedStateMachine):
    """MemoryStore is the model. It does not die: what a death does to leases is done to it by `survive`."""

    def __init__(self, life: Life) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = VirtualClock()
        self.memory = MemoryStore(now=self.clock.now, tokens=CountedTokens())
        self.filed = MemoryRegistry()
        self.life = life
        self.translation = Translation()
        self.leases: list[Lease] = []
        self.granted: list[Lease] = []
        self.ttl: dict[Token, Span] = {}
        self.taken = 0
        self.versions: dict[tuple[str, str], list[tuple[int, int]]] = {}

    @initialize(slow=st.booleans())
    def begin(self, slow: bool) -> None:
        self.run(self.life.begin(self.clock, slow=slow))

    def teardown(self) -> None:
        self.run(self.life.end())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, LONG_ENOUGH_S))

    def both(self, verb: str, **arguments: Any) -> Any:
        """The one answer that both stores give."""
        (expected,) = self.all([Call(verb, arguments)])
        return expected

    def all(self, calls: Sequence[Call]) -> list[Any]:
        """The answers that both stores give to calls that change nothing, or to a single one."""

        async def ask_model() -> list[Any]:
            return [await answer(call.of(self.memory)) for call in calls]

        async def ask_store() -> list[Any]:
            store = self.life.store
            return await asyncio.gather(*(answer(self.translation.there(call).of(store)) for call in calls))

        expected, found = self.run(ask_model()), self.run(ask_store())
        for call, one, other in zip(calls, expected, found, strict=True):
            self.agree(call, one, other)
        return expected

    def agree(self, call: Call, expected: Any, found: Any) -> None:
        if call.verb == "next_due":
            expected, found = self.as_due(expected), self.as_due(found)
        assert self.translation.same(call.verb, expected, found), (call, expected, found)

    def as_due(self, due: Any) -> Any:
        """Since when something has been available is not kept by every store over every death."""
        return "now" if self.life.forgets and due is not None and due <= self.clock.now() else due

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
        if not self.life.forgets:
            return
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

    @rule(plan=plans)
    def commit(self, plan: Plan) -> None:
        self.both("commit", commit=self.build(plan))

    @rule(several=st.lists(plans, min_size=2, max_size=4))
    def commit_at_once(self, several: Sequence[Plan]) -> None:
        commits = [self.build(plan) for plan in several]
        calls = [Call("commit", {"commit": commit}) for commit in commits]

        async def at_once() -> list[Any]:
            store = self.life.store
            await store.commit(Commit(now=self.clock.now()))
            return await asyncio.gather(*(answer(self.translation.there(call).of(store)) for call in calls))

        expected = {n: self.run(answer(calls[n].of(self.memory))) for n in self.life.order(commits)}
        assert self.run(at_once()) == [expected[n] for n in range(len(commits))]

    @rule(
        queues=st.lists(st.sampled_from(QUEUES), min_size=1, max_size=3),
        owner=st.sampled_from(OWNERS),
        ttl=ttls,
        limit=small,
    )
    def lease(self, queues: list[str], owner: str, ttl: Span, limit: int) -> None:
        now = self.clock.now()
        given = self.both("lease", queues=queues, owner=owner, now=now, ttl=ttl, limit=limit)
        self.granted += given
        self.ttl.update({lease.token: ttl for lease in given})

    @precondition(lambda self: self.leases)
    @rule(back=st.integers(0, 8), ttl=ttls)
    def extend(self, back: int, ttl: Span) -> None:
        lease = self.leases[-1 - back % len(self.leases)]
        if isinstance(self.both("extend", lease=lease, now=self.clock.now(), ttl=ttl), Lease):
            self.ttl[lease.token] = ttl

    @rule(span=spans)
    def time_passes(self, span: Span) -> None:
        self.run(self.clock.advance(span))

    @rule(limit=small, age=st.sampled_from([0, 0, 10, -1]))
    def sweep(self, limit: int, age: int) -> None:
        now = self.clock.now()
        self.both("sweep", now=now, finished_before=type(now)(now - age), limit=limit)

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
            page = self.both("find", query=query)
            if not isinstance(page, Page) or page.next is None:
                break
            query = msgspec.structs.replace(query, after=page.next)

    @rule(queue=st.sampled_from(QUEUES), above=st.sampled_from([None, "m0", "m2"]), limit=small)
    def peek(self, queue: str, above: str | None, limit: int) -> None:
        self.both("peek", queue=queue, after=None if above is None else MessageId(above), limit=limit)

    @rule(after=small, limit=st.sampled_from([None, 0, 1, 2]))
    def page_facts(self, after: int, limit: int | None) -> None:
        self.all([Call("facts", {"job": JobId(name), "after": after, "limit": limit}) for name in JOBS])

    @rule(several=st.lists(shelvings, min_size=1, max_size=4))
    def shelve(self, several: list[Shelving]) -> None:
        async def at_once() -> tuple[list[Any], Any]:
            shelf = self.life.store.shelf
            answers = await asyncio.gather(*(answer(each(shelf)) for each in several))
            return answers, await answer(shelf.items("s"))

        found = self.run(at_once())
        before = dict(self.run(self.memory.shelf.items("s")))
        at_will = permutations(range(len(several)))  # at a server there is one order, whichever it is
        orders = [tuple(range(len(several)))] if self.life.forgets else at_will
        assert any(self.run(self.shelved(before, several, order)) == found for order in orders), found

    async def shelved(
        self, before: Mapping[str, Raw], several: Sequence[Shelving], order: Sequence[int]
    ) -> tuple[list[Any], Any]:
        """What the model answers when the calls take effect in that order, and what is there then."""
        shelf = self.memory.shelf
        for key in await shelf.items("s"):
            await shelf.delete("s", key)
        for key, value in before.items():
            await shelf.put("s", key, value)
        answers = {n: await answer(several[n](shelf)) for n in order}
        return [answers[n] for n in range(len(several))], await answer(shelf.items("s"))

    @precondition(lambda self: self.life.registry is not None)
    @rule(filing=filings)
    def file(self, filing: Filing) -> None:
        """Versions are those of each registry; which is later is the same."""
        place = filing.kind, filing.key
        written = self.versions.get(place, [])
        since = (0, 0) if filing.since is None or filing.since >= len(written) else written[-1 - filing.since]

        async def ask(registry: Registry, version: int) -> Any:
            return await answer(asked(filing, registry, version, self.clock))

        registry = self.life.registry
        assert registry is not None
        expected, found = self.run(ask(self.filed, since[0])), self.run(ask(registry, since[1]))
        assert unversioned(expected) == unversioned(found), (filing, expected, found)
        self.look_at(place, registry)

    def look_at(self, place: tuple[str, str], registry: Registry) -> None:
        now = self.clock.now()
        one = self.run(self.filed.get(*place, now=now))
        other = self.run(registry.get(*place, now=now))
        assert unversioned(one) == unversioned(other)
        written = self.versions.setdefault(place, [])
        if one is None or other is None:
            return
        if not written or written[-1] != (one.version, other.version):
            assert not written or (written[-1][0] < one.version and written[-1][1] < other.version)
            written.append((one.version, other.version))

    @rule()
    def come_back(self) -> None:
        self.run(self.life.come_back())
        self.survive()

    @rule()
    def be_killed(self) -> None:
        self.run(self.life.be_killed())
        self.survive()

    @rule()
    def go_elsewhere(self) -> None:
        self.run(self.life.go_elsewhere())

    @invariant()
    def they_agree(self) -> None:
        self.leases += self.granted
        self.granted = []
        now = self.clock.now()
        calls = [Call(verb, {"client": name}) for verb in ("tally", "unfinished") for name in (None, *"012")]
        calls.append(Call("items", {"store": "s"}, shelf=True))
        for job in map(JobId, JOBS):
            calls += [Call("load", {"job": job}), Call("facts", {"job": job})]
            calls += [Call("branches", {"job": job, "opened": opened}) for opened in range(4)]
            calls.append(Call("branch", {"job": job, "task": branch_id(job, 1, 0)}))
        calls += [Call("held", {"message": MessageId(f"m{n}"), "now": now}) for n in range(4)]
        calls += [Call("next_due", {"queue": queue}) for queue in QUEUES]
        calls += [Call("backlog", {"family": "f", "now": now, "most": most}) for most in (1, 10)]
        calls.append(Call("queues", {"family": "f"}))
        self.all(calls)


def asked(filing: Filing, registry: Registry, version: int, clock: VirtualClock) -> Awaitable[object]:
    """The filing as a call of a registry that knows the version by this number."""
    now = clock.now()
    doc = Doc(filing.kind, filing.key, filing.body, type(now)(now + filing.ttl))
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "get": lambda: registry.get(filing.kind, filing.key, now=now),
        "put": lambda: registry.put(doc),
        "replace": lambda: registry.replace(doc, expected=version, now=now),
        "take": lambda: registry.take(filing.kind, filing.key, now=now),
        "delete": lambda: registry.delete(filing.kind, filing.key),
        "scan": lambda: registry.scan(filing.kind, now=now),
        "sweep": lambda: registry.sweep(now=now),
    }
    return calls[filing.verb]()


def unversioned(answer: Any) -> Any:
    """The documents without what each registry counts by itself."""
    if isinstance(answer, Doc):
        return msgspec.structs.replace(answer, version=0)
    return [unversioned(doc) for doc in answer] if isinstance(answer, list) else answer
