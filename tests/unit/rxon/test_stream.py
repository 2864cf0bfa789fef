"""Both ends of a stream, over a channel in memory."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest

from rxon.codec import encode
from rxon.errors import RateLimitError, TransportError, UnavailableError, WorkerUnknownError
from rxon.messages import (
    EventAnswer,
    Heartbeat,
    Registration,
    ResultAnswer,
    TaskOffer,
    TaskResult,
    WorkerEvent,
)
from rxon.stream.calling import CallingStream
from rxon.stream.channel import ChannelClosed, CloseCode
from rxon.stream.frames import (
    Answers,
    Bye,
    Cancel,
    Error,
    Events,
    Heard,
    Ready,
    Results,
    ServerFrame,
    Tasks,
    Welcome,
    decode_server_frame,
)
from rxon.stream.pushing import Pusher
from rxon.stream.serving import MAX_IN_HAND, ServedStream
from rxon.testing.channels import LoopbackOpener, MemoryChannel, channel_pair
from rxon.testing.gateway import MemoryGateway
from rxon.transport import Credentials, PollRequest
from rxon.vocabulary import AnswerStatus

ME = Credentials("token", "w1")


class Peer:
    """A worker that says what a test says."""

    def __init__(self, channel: MemoryChannel, stream: ServedStream) -> None:
        self.channel, self.stream = channel, stream
        self.offers: list[TaskOffer] = []

    async def say(self, frame: msgspec.Struct | bytes) -> None:
        await self.channel.send(frame if isinstance(frame, bytes) else encode(frame))

    async def hear(self) -> ServerFrame:
        async with asyncio.timeout(5):
            return decode_server_frame(await self.channel.receive())

    async def tasks(self, count: int) -> list[str]:
        """The next tasks, in as many frames as they come."""
        found: list[TaskOffer] = []
        while len(found) < count:
            frame = await self.hear()
            assert isinstance(frame, Tasks)
            found += frame.tasks
        self.offers += found
        return [offer.task_id for offer in found]

    async def closed(self) -> int | None:
        """The code with which the server closed."""
        try:
            while True:
                await self.hear()
        except ChannelClosed as closed:
            return closed.code

    def result(self, number: int) -> TaskResult:
        offer = self.offers[number]
        return TaskResult(
            job_id=offer.job_id, task_id=offer.task_id, worker_id="w1", lease_token=offer.lease_token
        )


@pytest.fixture
async def gateway() -> MemoryGateway:
    gateway = MemoryGateway()
    await gateway.register(ME, Registration("w1"))
    return gateway


@asynccontextmanager
async def served(gateway: MemoryGateway, max_frame: int = 10_000, room: int = 100) -> AsyncIterator[Peer]:
    here, there = channel_pair(room)
    stream = ServedStream(gateway, ME, "w1", there)
    serving = asyncio.ensure_future(stream.run(max_frame))
    peer = Peer(here, stream)
    try:
        assert await peer.hear() == Welcome(version="2.0.0", max_frame=max_frame)
        yield peer
    finally:
        await here.close()
        async with asyncio.timeout(5):
            await serving


async def settled() -> None:
    """Whatever can go on without anybody else has gone on."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_no_task_comes_without_credits_and_no_more_than_there_are(gateway: MemoryGateway) -> None:
    async with served(gateway) as peer:
        ids = [await gateway.offer("work") for _ in range(5)]
        await settled()
        assert gateway.polls == []
        await peer.say(Ready(credits=2))
        assert await peer.tasks(2) == ids[:2]
        await settled()
        assert len(gateway.polls) == 1
        await peer.say(Ready(credits=3, seen=2))
        assert await peer.tasks(3) == ids[2:]


async def test_credits_count_from_the_tasks_that_the_worker_had_seen(gateway: MemoryGateway) -> None:
    async with served(gateway) as peer:
        for _ in range(4):
            await gateway.offer("work")
        await peer.say(Ready(credits=2))
        await settled()
        await peer.say(Ready(credits=3))  # said before the two that are on their way were seen
        await peer.tasks(3)
        await settled()
        assert [poll.limit for poll in gateway.polls] == [2, 1]
        await peer.say(Ready(credits=1, seen=3))
        await peer.tasks(1)


async def test_a_poll_that_asks_for_too_much_is_given_up(gateway: MemoryGateway) -> None:
    async with served(gateway) as peer:
        await peer.say(Ready(credits=5))
        await gateway.seen(lambda: len(gateway.polls) == 1)
        await peer.say(Ready(credits=7))
        await settled()
        assert len(gateway.polls) == 1  # which loses nothing
        await peer.say(Ready(credits=2, available_skills=("b",)))
        await gateway.seen(lambda: len(gateway.polls) == 2)
        assert gateway.polls[1].limit == 2
        await gateway.offer("a")
        b = await gateway.offer("b")
        assert await peer.tasks(1) == [b]
        await gateway.seen(lambda: len(gateway.polls) == 3)
        await peer.say(Ready(credits=0, seen=1))
        await settled()
        await gateway.offer("b")
        await settled()
        assert len(gateway.polls) == 3


async def test_every_result_is_answered_under_its_number(gateway: MemoryGateway) -> None:
    async with served(gateway) as peer:
        for _ in range(3):
            await gateway.offer("work")
        await peer.say(Ready(credits=3))
        await peer.tasks(3)
        await peer.say(Results(seq=5, results=(peer.result(0), peer.result(1))))
        await peer.say(Results(seq=6, results=(peer.result(0), peer.result(2))))
        answers: dict[int, Answers] = {}
        for _ in range(2):
            frame = await peer.hear()
            assert isinstance(frame, Answers)
            answers[frame.seq] = frame
        accepted = ResultAnswer(status=AnswerStatus.ACCEPTED, transition="success_transition")
        assert answers[5].answers == (accepted, accepted)
        assert [answer.duplicate for answer in answers[6].answers] == [True, False]


class SlowGateway(MemoryGateway):
    """Commits only when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.committed: dict[str, asyncio.Event] = {}
        self.reporting = 0

    async def report(self, credentials: Credentials, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        self.reporting += 1
        await self.committed.setdefault(results[0].task_id, asyncio.Event()).wait()
        return await super().report(credentials, results)


@pytest.fixture
async def slow() -> SlowGateway:
    gateway = SlowGateway()
    await gateway.register(ME, Registration("w1"))
    return gateway


async def test_an_answer_comes_after_its_commit_and_need_not_wait_for_others(slow: SlowGateway) -> None:
    async with served(slow) as peer:
        first, second = [await slow.offer("work") for _ in range(2)]
        await peer.say(Ready(credits=2))
        await peer.tasks(2)
        await peer.say(Results(seq=1, results=(peer.result(0),)))
        await peer.say(Results(seq=2, results=(peer.result(1),)))
        await settled()
        assert slow.reporting == 2
        slow.committed[second].set()
        frame = await peer.hear()
        assert isinstance(frame, Answers)
        assert frame.seq == 2
        slow.committed[first].set()
        frame = await peer.hear()
        assert isinstance(frame, Answers)
        assert frame.seq == 1


async def test_frames_are_not_read_while_too_many_are_being_dealt_with(slow: SlowGateway) -> None:
    async with served(slow, room=5) as peer:
        results = [TaskResult(job_id="j", task_id=f"t{n}") for n in range(MAX_IN_HAND + 10)]
        sending = asyncio.ensure_future(_send_all(peer, results))
        await settled()
        assert slow.reporting == MAX_IN_HAND
        assert not sending.done()
        for result in results:
            slow.committed.setdefault(result.task_id, asyncio.Event()).set()
        heard = [await peer.hear() for _ in results]
        assert {frame.seq for frame in heard if isinstance(frame, Answers)} == set(range(len(results)))
        await sending


async def _send_all(peer: Peer, results: Sequence[TaskResult]) -> None:
    for number, result in enumerate(results):
        await peer.say(Results(seq=number, results=(result,)))


async def test_a_worker_that_does_not_read_gets_no_more_than_fits(gateway: MemoryGateway) -> None:
    async with served(gateway, max_frame=300, room=3) as peer:
        ids = [await gateway.offer("work") for _ in range(40)]
        for asked in range(1, 41):
            await peer.say(Ready(credits=asked))
            await settled()
        assert 0 < len(gateway.polls) < 10
        assert await peer.tasks(40) == ids


@pytest.mark.parametrize(
    "data", [b"", b"no json", b'{"frame":"tasks","tasks":[]}', b'{"frame":"ready"}', b"[]"]
)
async def test_what_cannot_be_understood_closes_this_connection_and_no_other(
    gateway: MemoryGateway, data: bytes
) -> None:
    await gateway.offer("work")
    async with served(gateway) as good, served(gateway) as bad:
        await bad.say(data)
        assert await bad.closed() == CloseCode.MALFORMED
        await good.say(Ready(credits=1))
        await good.tasks(1)


async def test_a_frame_with_a_number_is_refused_alone(gateway: MemoryGateway) -> None:
    async with served(gateway) as peer:
        await peer.say(b'{"frame":"results","seq":3,"results":[{"job_id":"j"}]}')
        frame = await peer.hear()
        assert isinstance(frame, Error)
        assert (frame.seq, frame.code, frame.field) == (3, "invalid_message", "results[0].task_id")
        too_many = tuple(TaskResult(job_id="j", task_id="t") for _ in range(1_001))
        await peer.say(Results(seq=4, results=too_many))
        frame = await peer.hear()
        assert isinstance(frame, Error)
        assert (frame.seq, frame.field) == (4, "results")


async def test_a_worker_that_is_not_known_any_more_is_told_by_the_code(gateway: MemoryGateway) -> None:
    async with served(gateway) as peer:
        gateway.forget_workers()
        await peer.say(Ready(credits=1))
        frame = await peer.hear()
        assert isinstance(frame, Error)
        assert (frame.seq, frame.code) == (None, "worker_not_found")
        assert await peer.closed() == CloseCode.WORKER_UNKNOWN


async def test_a_task_that_is_withdrawn_is_called_back_at_once(gateway: MemoryGateway) -> None:
    async with served(gateway) as peer:
        task = await gateway.offer("work")
        await peer.say(Ready(credits=1))
        await peer.tasks(1)
        await gateway.withdraw(task)
        assert await peer.hear() == Cancel(task_ids=(task,))


async def test_a_task_that_finds_the_connection_cut_is_available_again(gateway: MemoryGateway) -> None:
    async with served(gateway) as peer:
        await peer.say(Ready(credits=1))
        await gateway.seen(lambda: len(gateway.polls) == 1)
        task = await gateway.offer("work")
        peer.channel.cut()
    assert [offer.task_id for offer in gateway._waiting] == [task]
    assert gateway._open == {}


async def test_tasks_that_a_worker_does_not_read_are_available_again_when_its_connection_is_cut(
    gateway: MemoryGateway,
) -> None:
    tasks = [await gateway.offer("work") for _ in range(5)]
    async with served(gateway, max_frame=300, room=1) as peer:
        await peer.say(Ready(credits=5))
        await settled()
        peer.channel.cut()
    assert sorted(offer.task_id for offer in gateway._waiting) == sorted(tasks)
    assert gateway._open == {}


async def test_tasks_of_an_earlier_connection_are_called_back_too(gateway: MemoryGateway) -> None:
    task = await gateway.offer("work")
    async with served(gateway) as peer:
        await peer.say(Ready(credits=1))
        await peer.tasks(1)
    async with served(gateway) as peer:
        await peer.say(b'{"frame":"beat","seq":1,"beat":{"current_tasks":["%s"]}}' % task.encode())
        await peer.hear()
        await gateway.withdraw(task)
        assert await peer.hear() == Cancel(task_ids=(task,))


async def test_a_server_that_goes_answers_what_it_has_and_gives_nothing_new(slow: SlowGateway) -> None:
    async with served(slow) as peer:
        task = await slow.offer("work")
        await peer.say(Ready(credits=9))
        await peer.tasks(1)
        await peer.say(Results(seq=1, results=(peer.result(0),)))
        await settled()
        leaving = asyncio.ensure_future(peer.stream.leave(2.5))
        assert await peer.hear() == Bye(after=2.5)
        await slow.offer("work")
        await settled()
        slow.committed[task].set()
        assert isinstance(await peer.hear(), Answers)
        assert await peer.closed() == CloseCode.RESTART
        await leaving
        assert len(slow.results) == 1


async def test_the_place_of_a_connection_can_be_taken(gateway: MemoryGateway) -> None:
    async with served(gateway) as peer:
        await peer.stream.replaced()
        assert await peer.closed() == CloseCode.REPLACED


def event(number: int) -> WorkerEvent:
    return WorkerEvent(
        event_id=f"e{number}",
        worker_id="w1",
        origin_worker_id="w1",
        event_type="told",
        payload=msgspec.Raw(b"{}"),
        target_task_id="t" if number == 1 else None,
    )


async def test_events_are_heard_in_order_and_each_has_its_answer(gateway: MemoryGateway) -> None:
    async with served(gateway) as peer:
        await peer.say(Events(seq=1, events=(event(0), event(1), event(2))))
        frame = await peer.hear()
        assert isinstance(frame, Heard)
        assert [answer.code for answer in frame.answers] == [None, "stale_lease", None]
        assert [each.event_id for each in gateway.events] == ["e0", "e2"]


class TiredGateway(MemoryGateway):
    """Takes one event, and nothing more."""

    def __init__(self, refusal: type[RateLimitError | UnavailableError]) -> None:
        super().__init__()
        self._refusal = refusal

    async def emit(self, credentials: Credentials, event: WorkerEvent) -> EventAnswer:
        if self.events:
            raise self._refusal("enough", retry_after=3.0)
        return await super().emit(credentials, event)


@pytest.mark.parametrize("refusal", [RateLimitError, UnavailableError])
async def test_events_that_could_not_be_heard_are_to_be_sent_again(
    refusal: type[RateLimitError | UnavailableError],
) -> None:
    gateway = TiredGateway(refusal)
    await gateway.register(ME, Registration("w1"))
    async with served(gateway) as peer:
        await peer.say(Events(seq=1, events=(event(0), event(2))))
        frame = await peer.hear()
        assert isinstance(frame, Heard)
        assert len(frame.answers) == 1
        await peer.say(Events(seq=2, events=(event(2),)))
        frame = await peer.hear()
        assert isinstance(frame, Error)
        assert (frame.seq, frame.code, frame.retry_after) == (2, refusal.code, 3.0)


async def test_a_stream_cannot_be_opened_by_a_worker_that_did_not_register(gateway: MemoryGateway) -> None:
    opener = LoopbackOpener(gateway, "w2", "token")
    with pytest.raises(WorkerUnknownError):
        await opener.open()
    await opener.close()


async def test_calls_over_a_stream_that_was_cut_fail_as_if_the_server_was_away(
    gateway: MemoryGateway,
) -> None:
    opener = LoopbackOpener(gateway, "w1", "token")
    cuts: list[CallingStream] = []
    stream = CallingStream(await opener.open(), cut=cuts.append)
    await stream.open()
    polling = asyncio.ensure_future(stream.poll(PollRequest(30.0)))
    await gateway.seen(lambda: len(gateway.polls) == 1)
    opener.channels[0].cut()
    with pytest.raises(TransportError):
        await polling
    with pytest.raises(TransportError):
        await stream.heartbeat(Heartbeat())
    assert cuts == [stream]
    await stream.close()
    await opener.close()


class SlowToGiveUp(MemoryGateway):
    """A poll that is given up has just been granted a task, and takes a while to notice."""

    async def poll(
        self, credentials: Credentials, worker_id: str, request: PollRequest
    ) -> Sequence[TaskOffer]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await settled()
        return await super().poll(credentials, worker_id, msgspec.structs.replace(request, timeout=0.0))


async def test_a_task_of_a_poll_that_ends_with_its_stream_is_available_again() -> None:
    gateway = SlowToGiveUp()
    await gateway.register(ME, Registration(worker_id="w1"))
    task = await gateway.offer("work")

    async def nobody(data: bytes) -> None:
        raise AssertionError("nothing is sent")

    pusher = Pusher(gateway, ME, "w1", nobody)
    pusher.hear(Ready(credits=1))
    pushing = asyncio.create_task(pusher.push(1_000))
    await settled()
    pushing.cancel()
    await asyncio.sleep(0)
    pushing.cancel()
    await asyncio.wait((pushing,))
    await settled()
    await settled()
    assert [offer.task_id for offer in gateway._waiting] == [task]
    assert gateway._open == {}


async def test_a_task_that_is_being_sent_when_its_stream_ends_is_available_again(
    gateway: MemoryGateway,
) -> None:
    task = await gateway.offer("work")
    sending = asyncio.Event()

    async def slow_reader(data: bytes) -> None:
        sending.set()
        await asyncio.Event().wait()

    pusher = Pusher(gateway, ME, "w1", slow_reader)
    pusher.hear(Ready(credits=1))
    pushing = asyncio.create_task(pusher.push(1_000))
    await sending.wait()
    pusher.leave()
    await settled()
    assert gateway._waiting == []  # it may arrive yet
    pushing.cancel()
    await asyncio.wait((pushing,))
    assert [offer.task_id for offer in gateway._waiting] == [task]
    assert gateway._open == {}
