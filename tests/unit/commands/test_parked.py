"""What waits for versions of blueprints that a node does not have."""

import pytest

from avtomatika.commands import parked as module
from avtomatika.commands.outbox import message_of
from avtomatika.commands.parked import Parked, parked
from avtomatika.kernel.effects import Effect, RunHandler, StartTimer
from avtomatika.kernel.events import Deadline
from avtomatika.kernel.ids import JobId, TaskId
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Commit, Message
from avtomatika.stores.memory import MemoryStore


def run(job: str, blueprint: str, edition: str) -> Message:
    return message_of(RunHandler(JobId(job), 1, blueprint, edition, Instant(0), 0.0))


async def store_of(*messages: Message) -> MemoryStore:
    store = MemoryStore(now=lambda: Instant(0), tokens=lambda: "t")
    await store.commit(Commit(now=Instant(0), send=messages))
    return store


async def test_each_version_that_is_not_loaded_is_told_with_its_jobs() -> None:
    timer: Effect = StartTimer(JobId("t"), TaskId("t"), 1, Deadline.RESULT, Instant(5))
    runs = [run("a", "b", "1"), run("c", "b", "2"), run("d", "b", "2"), run("e", "a@b", "1")]
    store = await store_of(*runs, message_of(timer))
    assert await parked(store, [("b", "1"), ("a", "b@1")]) == [
        Parked("a@b", "1", 1, JobId("e")),
        Parked("b", "2", 2, JobId("c")),
    ]
    assert await parked(store, [("b", "1"), ("b", "2"), ("a@b", "1")]) == []


@pytest.mark.parametrize(("count", "told"), [(3, 3), (4, 4), (9, 6)])
async def test_jobs_are_counted_page_by_page_up_to_a_limit(
    count: int, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    monkeypatch.setattr(module, "MAX_JOBS", 6)
    store = await store_of(*(run(f"j{n}", "b", "1") for n in range(count)))
    assert [each.jobs for each in await parked(store, [])] == [told]
