"""While the event loop stands still, its heartbeats come from a thread."""

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest

from avtomatika_worker.conversation import keeper as module
from avtomatika_worker.conversation.keeper import Keeper, Kept
from avtomatika_worker.conversation.session import Session
from avtomatika_worker.conversation.steps import Pace
from rxon.errors import TransportError
from rxon.messages import Heartbeat, HeartbeatAnswer, TaskOffer
from rxon.testing.gateway import MemoryGateway
from rxon.testing.loopback import LoopbackTransport


class Line(LoopbackTransport):
    """Answers heartbeats of any thread; ``fails`` as often as that."""

    def __init__(self, answer: HeartbeatAnswer, fails: int = 0) -> None:
        super().__init__(MemoryGateway(), "w1", "token")
        self.beats: list[tuple[str, Heartbeat]] = []
        self._answer, self._fails = answer, fails

    async def heartbeat(self, beat: Heartbeat | None) -> HeartbeatAnswer:
        assert beat is not None
        self.beats.append((threading.current_thread().name, beat))
        if len(self.beats) <= self._fails:
            raise TransportError("gone")
        return self._answer


class Tasks:
    def __init__(self) -> None:
        self.warned: list[str] = []

    def warn(self, task_ids: Sequence[str]) -> None:
        self.warned += task_ids


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK", 0.02)
    monkeypatch.setattr(module, "STUCK", 0.1)


def holding(lease: float) -> Session:
    session = Session(Pace(), lambda: 0.0)
    now = time.monotonic()
    session.register_answered(now)
    offer = TaskOffer(job_id="j", task_id="t1", type="x", lease_token="l", lease_seconds=lease)
    session.poll_answered([offer], now)
    return session


async def test_leases_are_kept_while_the_loop_is_blocked_and_no_longer() -> None:
    line, tasks = Line(HeartbeatAnswer("ok", cancel_task_ids=("t1",))), Tasks()
    stopped: list[Sequence[str]] = []
    kept = Kept(holding(0.3), tasks, lambda: line, stopped.append, lambda commands: None)
    keeper = Keeper("w1", [kept])
    keeper.start()
    try:
        await asyncio.sleep(0.06)
        assert line.beats == []
        time.sleep(0.6)
        count = len(line.beats)
        assert 2 <= count <= 7
        assert {(name, beat.current_tasks) for name, beat in line.beats} == {("avtomatika-keeper", ("t1",))}
        assert tasks.warned[0] == "t1", "threads hear of it while the loop is blocked"
        assert stopped == []
        await asyncio.sleep(0.1)
        assert stopped[0] == ("t1",), "and coroutines when it runs again"
        assert len(line.beats) - count <= 1
    finally:
        keeper.stop()


async def test_what_is_read_right_after_the_loop_stood_still_is_doubtful() -> None:
    keeper = Keeper("w1", [])
    keeper.start()
    try:
        await asyncio.sleep(0.06)
        assert not keeper.is_doubtful()
        time.sleep(0.2)
        assert keeper.is_doubtful()
        await asyncio.sleep(0.05)
        assert keeper.is_doubtful()
        await asyncio.sleep(0.15)
        assert not keeper.is_doubtful()
    finally:
        keeper.stop()


async def test_a_heartbeat_that_failed_is_repeated() -> None:
    line = Line(HeartbeatAnswer("ok"), fails=2)
    keeper = Keeper(
        "w1", [Kept(holding(0.3), Tasks(), lambda: line, lambda ids: None, lambda commands: None)]
    )
    keeper.start()
    try:
        time.sleep(0.4)
        assert len(line.beats) >= 3
    finally:
        keeper.stop()
