"""Several orchestrators that die, hang, refuse and come back, and whom the worker takes work from then."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from avtomatika_worker import Worker, WorkerConfig
from avtomatika_worker.conversation import backoff, choosing, room
from avtomatika_worker.errors import ConfigError
from rxon.errors import RateLimitError
from rxon.messages import Heartbeat, HeartbeatAnswer, TaskOffer
from rxon.stream import switching
from rxon.testing.gateway import MemoryGateway
from rxon.transport import Credentials, PollRequest
from tests.integration.stream.conftest import Server
from tests.integration.worker.conftest import working

BOTH_WAYS = pytest.mark.parametrize("way", ["poll", "stream"])


class Moody(MemoryGateway):
    """Hangs while ``answers`` is not set, and refuses to give work while ``refuses``."""

    def __init__(self) -> None:
        super().__init__(lease_seconds=3.0)
        self.answers = asyncio.Event()
        self.answers.set()
        self.refuses = 0.0

    async def poll(
        self, credentials: Credentials, worker_id: str, request: PollRequest
    ) -> Sequence[TaskOffer]:
        await self.answers.wait()
        if self.refuses:
            raise RateLimitError("too often", retry_after=self.refuses)
        return await super().poll(credentials, worker_id, request)

    async def heartbeat(
        self, credentials: Credentials, worker_id: str, beat: Heartbeat | None
    ) -> HeartbeatAnswer:
        await self.answers.wait()
        return await super().heartbeat(credentials, worker_id, beat)

    def ended(self) -> set[str]:
        return {result.task_id for result in self.results}


class Orchestrators:
    """Two of them, the first of which comes first, and a worker for both."""

    def __init__(self, folder: Path) -> None:
        self.gateways = Moody(), Moody()
        self.servers = [Server(gateway) for gateway in self.gateways]
        self._folder = folder

    def worker(self, mode: str, way: str, slots: int = 2, weights: Sequence[int] = (1, 1)) -> Worker:
        worker = Worker(
            config=WorkerConfig(
                {
                    "WORKER_ID": "w1",
                    "WORKER_TOKEN": "token",
                    "WORKER_TRANSPORT": "poll" if way == "poll" else "auto",
                    "MULTI_ORCHESTRATOR_MODE": mode,
                    "MAX_CONCURRENT_TASKS": str(slots),
                    "TASK_FILES_DIR": str(self._folder / "payloads"),
                    "WORKER_SPOOL_DIR": str(self._folder / "spool"),
                    "WORKER_SKILLS_DIR": str(self._folder / "skills"),
                    "WORKER_SHUTDOWN_TIMEOUT": "5",
                    "HEARTBEAT_INTERVAL": "0.3",
                }
            )
        )
        worker.config.ORCHESTRATORS = [
            {"url": f"http://127.0.0.1:{server.port}", "priority": priority, "weight": weight}
            for priority, (server, weight) in enumerate(zip(self.servers, weights, strict=True))
        ]
        return worker


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds takes less here."""
    monkeypatch.setattr(room, "SILENCE", 0.5)
    monkeypatch.setattr(choosing, "PROBE", 0.3)
    monkeypatch.setattr(choosing, "LOOK", 0.1)
    monkeypatch.setattr(backoff, "QUICK_MAXIMUM", 0.2)
    monkeypatch.setattr(switching, "FIRST_DELAY", 0.02)
    monkeypatch.setattr(switching, "LONGEST_DELAY", 0.1)


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Orchestrators]:
    orchestrators = Orchestrators(tmp_path)
    for server in orchestrators.servers:
        await server.start()
    yield orchestrators
    for server in orchestrators.servers:
        await server.stop()


async def done(gateway: MemoryGateway, task_id: str) -> None:
    """Somebody has done the task, within a time in which everything here has to happen."""
    async with asyncio.timeout(10):
        await gateway.result_of(task_id)


def quick(worker: Worker) -> Worker:
    worker.skill("work")(lambda: None)
    return worker


async def settled(seconds: float = 0.6) -> None:
    """Time in which something that must not happen would have happened."""
    await asyncio.sleep(seconds)


@BOTH_WAYS
async def test_failover_takes_work_from_the_first_alone(two: Orchestrators, way: str) -> None:
    first, second = two.gateways
    waiting = await second.offer("work")
    async with working(quick(two.worker("FAILOVER", way))):
        for _ in range(5):
            await done(first, await first.offer("work"))
        await settled()
        assert second.ended() == set()
        await second.seen(lambda: len(second.beats) > 2)  # whom it is registered with hears that it is alive
    assert waiting not in second.ended()


@BOTH_WAYS
async def test_failover_goes_to_the_next_when_the_first_dies_and_back(two: Orchestrators, way: str) -> None:
    first, second = two.gateways
    async with working(quick(two.worker("FAILOVER", way))):
        await done(first, await first.offer("work"))
        await two.servers[0].stop()
        await done(second, await second.offer("work"))
        await two.servers[0].start()
        await done(first, await first.offer("work"))
        await settled()
        waiting = await second.offer("work")
        await done(first, await first.offer("work"))
        await settled(0.2)
        assert waiting not in second.ended()


@BOTH_WAYS
async def test_failover_goes_to_the_next_when_the_first_hangs_and_back(two: Orchestrators, way: str) -> None:
    first, second = two.gateways
    async with working(quick(two.worker("FAILOVER", way))):
        await done(first, await first.offer("work"))
        first.answers.clear()
        await done(second, await second.offer("work"))
        first.answers.set()
        await done(first, await first.offer("work"))
        await settled()
        waiting = await second.offer("work")
        await settled(0.2)
        assert waiting not in second.ended()


async def test_failover_goes_to_the_next_for_as_long_as_the_first_wants_to_be_left_alone(
    two: Orchestrators,
) -> None:
    first, second = two.gateways
    first.refuses = 1.5
    clock = asyncio.get_running_loop().time
    async with working(quick(two.worker("FAILOVER", "poll"))):
        await done(second, await second.offer("work"))
        first.refuses = 0.0
        began = clock()
        await done(first, await first.offer("work"))
        assert clock() - began > 0.5
        await settled()
        waiting = await second.offer("work")
        await settled(0.2)
        assert waiting not in second.ended()


async def test_an_orchestrator_that_was_not_there_at_the_start_comes_first_when_it_is(
    two: Orchestrators,
) -> None:
    first, second = two.gateways
    await two.servers[0].stop()
    async with working(quick(two.worker("FAILOVER", "poll"))):
        await done(second, await second.offer("work"))
        await two.servers[0].start()
        await done(first, await first.offer("work"))


@BOTH_WAYS
async def test_a_result_goes_to_who_gave_the_task_also_when_work_comes_from_another_by_then(
    two: Orchestrators, way: str
) -> None:
    first, second = two.gateways
    worker, go_on, began = two.worker("FAILOVER", way), asyncio.Event(), asyncio.Event()

    @worker.skill
    async def slow() -> None:
        began.set()
        await go_on.wait()

    async with working(quick(worker)):
        slow_task = await first.offer("slow")
        await began.wait()
        await two.servers[0].stop()
        await done(second, await second.offer("work"))
        go_on.set()
        await done(second, await second.offer("work"))
        await two.servers[0].start()
        await done(first, slow_task)
    assert [result.task_id for result in second.results] == ["task-1", "task-2"]


@BOTH_WAYS
async def test_waterfall_takes_from_the_second_what_the_first_leaves_room_for(
    two: Orchestrators, way: str
) -> None:
    first, second = two.gateways
    async with working(quick(two.worker("WATERFALL", way))):
        for _ in range(3):
            await done(second, await second.offer("work"))
            await done(first, await first.offer("work"))
        await two.servers[0].stop()
        await done(second, await second.offer("work"))


@BOTH_WAYS
async def test_waterfall_leaves_the_second_alone_while_the_first_has_work(
    two: Orchestrators, way: str
) -> None:
    first, second = two.gateways
    worker = two.worker("WATERFALL", way)
    worker.skill("work")(brief)
    async with working(worker):
        await done(first, await first.offer("work"))
        mine = [await first.offer("work") for _ in range(60)]
        await settled(0.05)
        others = [await second.offer("work") for _ in range(20)]
        await done(first, mine[-1])
        assert len(second.ended()) <= 4
        for task_id in others:
            await done(second, task_id)


async def brief() -> None:
    await asyncio.sleep(0.01)


@BOTH_WAYS
async def test_round_robin_divides_by_weight_and_leaves_nobody_idle(two: Orchestrators, way: str) -> None:
    first, second = two.gateways
    worker = two.worker("ROUND_ROBIN", way, slots=3, weights=(100, 50))
    worker.skill("work")(brief)
    tasks = [[await gateway.offer("work") for _ in range(120)] for gateway in (first, second)]
    async with working(worker):
        await done(first, tasks[0][99])
        share = len(second.ended())
        for gateway, ids in zip(two.gateways, tasks, strict=True):
            for task_id in ids:
                await done(gateway, task_id)
        for gateway in two.gateways:  # and who has work alone is served at once
            await done(gateway, await gateway.offer("work"))
    assert 40 <= share <= 60, share


@asynccontextmanager
async def counting(worker: Worker, running: Callable[[int], None]) -> AsyncIterator[None]:
    """``running`` hears how many handlers run."""
    count = 0

    async def work() -> None:
        nonlocal count
        count += 1
        running(count)
        await asyncio.sleep(0.005)
        count -= 1

    worker.skill("work")(work)
    async with working(worker):
        yield


@BOTH_WAYS
@pytest.mark.parametrize("mode", ["FAILOVER", "WATERFALL", "ROUND_ROBIN"])
async def test_hardly_anything_waits_in_the_worker_that_another_could_do(
    two: Orchestrators, mode: str, way: str
) -> None:
    """The slots are shared: together the orchestrators do not hand out much more than there are."""
    highest = 0

    def running(count: int) -> None:
        nonlocal highest
        highest = max(highest, sum(map(held, two.gateways)))

    def held(gateway: MemoryGateway) -> int:
        return len(gateway._open)

    for gateway in two.gateways:
        for _ in range(60):
            await gateway.offer("work")
    async with counting(two.worker(mode, way, slots=4), running):
        await done(two.gateways[0], "task-60")
    assert highest <= 4 + 4 + 2, highest


async def test_the_mode_must_be_one_of_three() -> None:
    config = WorkerConfig({"WORKER_TOKEN": "token", "MULTI_ORCHESTRATOR_MODE": "random"})
    with pytest.raises(ConfigError, match="must be one of FAILOVER, WATERFALL, ROUND_ROBIN, not 'RANDOM'"):
        await Worker(config=config).main()
