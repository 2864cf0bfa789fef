"""The trace of a world: every call of its memory store that touches data, with what came of it.

Calls are heard inside of the store, where nothing awaits: their order is that in which they took effect,
and moments are those by which the store judged.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest

from avtomatika.errors import AvtomatikaError
from avtomatika.ports.store import Commit, JobQuery
from avtomatika.stores.memory import MemoryStore
from avtomatika.stores.shelf import MemoryShelf
from avtomatika.testing.options import draw
from avtomatika.testing.world import run_world
from tests.contract.comparing import Call, kept, refusal_of
from tests.sim.sdk_worker import hire

VERBS = (
    *("load", "commit", "lease", "extend", "held", "next_due", "peek", "queues", "backlog", "branch"),
    *("branches", "facts", "find", "tally", "unfinished", "sweep"),
)
SHELF_VERBS = ("get", "put", "put_new", "incr", "delete", "items")
ALL = 100_000


class Answered(msgspec.Struct, frozen=True):
    """A call, and what came of it."""

    call: Call
    answer: Any


class Recorder:
    """What all memory stores of this process are asked, and what they answer, within `recording`."""

    def __init__(self) -> None:
        self.trace: list[Answered] = []
        self.stores: list[MemoryStore] = []

    def hear(self, owner: type, verb: str) -> Callable[..., Awaitable[Any]]:
        """The verb, which tells of itself."""
        real = getattr(owner, verb)
        signature, shelf = inspect.signature(real), owner is MemoryShelf

        async def call(store: Any, *words: Any, **named: Any) -> Any:
            if not shelf and store not in self.stores:
                self.stores.append(store)
            given = dict(signature.bind(store, *words, **named).arguments)
            del given["self"]
            asked = Call(verb, given, shelf)
            try:
                answer = await real(store, *words, **named)
            except AvtomatikaError as error:
                self.trace.append(Answered(asked, refusal_of(error)))
                raise
            self.trace.append(Answered(asked, kept(answer)))
            if verb == "commit":
                await look_into_queues(store, given["commit"])
            return answer

        return call


async def look_into_queues(store: MemoryStore, commit: Commit) -> None:
    """What is in the queues to which the commit sent: a message that nobody ever asks for counts too."""
    for queue in sorted({message.queue for message in commit.send}):
        await MemoryStore.peek(store, queue, limit=ALL)


@contextmanager
def recording() -> Iterator[Recorder]:
    """Everything that memory stores are asked is heard."""
    recorder = Recorder()
    with pytest.MonkeyPatch.context() as patch:
        for owner, verbs in ((MemoryStore, VERBS), (MemoryShelf, SHELF_VERBS)):
            for verb in verbs:
                patch.setattr(owner, verb, recorder.hear(owner, verb))
        yield recorder


def trace_of(seed: int) -> list[Answered]:
    """Everything that the store of the seed's world was asked, and in the end all that is in it."""
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        recorder = stack.enter_context(recording())
        outcome = run_world(draw(seed), Path(folder), hire)
        assert outcome.violations == ()
        (store,) = recorder.stores
        asked = [answered.call for answered in recorder.trace]
        asyncio.run(take_stock(store, asked))
    return recorder.trace


async def take_stock(store: MemoryStore, calls: list[Call]) -> None:
    """The store was asked for everything that it may hold after such calls."""
    commits: list[Commit] = [call.arguments["commit"] for call in calls if call.verb == "commit"]
    now = max(commit.now for commit in commits)
    jobs = {commit.job.id: commit.job.version for commit in commits if commit.job is not None}
    messages = [message for commit in commits for message in commit.send]
    messages += [lease.message for commit in commits for lease in commit.take]
    for job, version in jobs.items():
        await MemoryStore.load(store, job)
        await MemoryStore.facts(store, job)
        for opened in range(version + 1):
            await MemoryStore.branches(store, job, opened)
    for queue in sorted({message.queue for message in messages}):
        await MemoryStore.peek(store, queue, limit=ALL)
        await MemoryStore.next_due(store, queue)
        await MemoryStore.queues(store, queue.partition(":")[0])
        await MemoryStore.backlog(store, queue.partition(":")[0], now=now, most=ALL)
    for message in sorted({message.id for message in messages}):
        await MemoryStore.held(store, message, now=now)
    await MemoryStore.tally(store)
    await MemoryStore.unfinished(store)
    query: JobQuery | None = JobQuery(limit=3)
    while query is not None:
        page = await MemoryStore.find(store, query)
        query = None if page.next is None else msgspec.structs.replace(query, after=page.next)
