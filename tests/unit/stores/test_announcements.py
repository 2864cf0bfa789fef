"""Other nodes hear of what concerns those who wait there, and not of what they said themselves."""

import asyncio

from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Commit
from avtomatika.stores.announcements import MOST_TOPICS, Announcements
from avtomatika.stores.hints import Hints
from avtomatika.testing.contract.values import T0, a_job, a_message, at

FAR = at(3_600_000)


def node(name: str) -> tuple[Hints, Announcements]:
    hints = Hints(lambda: T0)
    return hints, Announcements(hints, name)


async def woken(hints: Hints, announcements: Announcements, payload: bytes | None, topic: str) -> bool:
    waiter = asyncio.ensure_future(hints.wait((topic,), until=FAR))
    await asyncio.sleep(0)
    if payload is not None:
        announcements.hear(payload)
    await asyncio.sleep(0)
    woke = waiter.done()
    waiter.cancel()
    return woke


async def test_a_commit_is_heard_of_at_another_node_and_told_once() -> None:
    _, here = node("a")
    there, heard = node("b")
    here.commit(Commit(now=T0, job=a_job(), send=(a_message("m", "f:one"),)), robbed=("worker:w",))
    payload = here.payload()
    for topic in ("job:j", "f:one", "f", "owner:worker:w"):
        assert await woken(there, heard, payload, topic), topic
    assert not await woken(there, heard, payload, "job:other")
    assert here.payload() is None


async def test_a_node_does_not_hear_itself_nor_what_makes_no_sense() -> None:
    hints, here = node("a")
    here.topics(("t",))
    assert not await woken(hints, here, here.payload(), "t")
    for nonsense in (b"", b"{}", b"[1]", b"\xff", b'["b", ["t"]]'):
        assert not await woken(hints, here, nonsense, "t")


async def test_what_is_visible_later_does_not_wake_those_who_look_again_before() -> None:
    _, here = node("a")
    there, heard = node("b")
    here.commit(Commit(now=T0, send=(a_message("m", "q", visible_at=Instant(FAR + 1)),)))
    assert not await woken(there, heard, here.payload(), "q")
    here.commit(Commit(now=T0, send=(a_message("m", "q", visible_at=Instant(FAR + 1)), a_message("n", "q"))))
    assert await woken(there, heard, here.payload(), "q")


async def test_a_payload_has_a_bound() -> None:
    _, here = node("a")
    here.topics([f"t{n}" for n in range(10 * MOST_TOPICS)])
    payload = here.payload()
    assert payload is not None
    assert payload.count(b":0") == MOST_TOPICS
