"""What a worker says over a stream, frame by frame."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from rxon.codec import encode
from rxon.errors import ProtocolError, TooLargeError, TransportError, UnavailableError
from rxon.messages import Heartbeat, HeartbeatAnswer, ResultAnswer, TaskOffer, TaskResult, WorkerCommand
from rxon.stream.calling import CallingStream
from rxon.stream.channel import CloseCode
from rxon.stream.frames import (
    Answers,
    Beat,
    Beaten,
    Bye,
    Cancel,
    ClientFrame,
    Commands,
    Error,
    Ready,
    Results,
    Tasks,
    Welcome,
    decode_client_frame,
)
from rxon.testing.channels import MemoryChannel, channel_pair
from rxon.transport import PollRequest
from rxon.vocabulary import AnswerStatus

ACCEPTED = ResultAnswer(status=AnswerStatus.ACCEPTED)


class Host:
    """A server that says what a test says."""

    def __init__(self) -> None:
        here, self._channel = channel_pair()
        self.cancelled: list[str] = []
        self.told: list[WorkerCommand] = []
        self.stream = CallingStream(here, cancelled=self.cancelled.extend, told=self.told.extend)
        self.channel: MemoryChannel = self._channel

    async def say(self, frame: msgspec.Struct) -> None:
        await self._channel.send(encode(frame))
        for _ in range(20):
            await asyncio.sleep(0)

    async def heard(self) -> ClientFrame:
        async with asyncio.timeout(5):
            return decode_client_frame(await self._channel.receive())

    async def silent(self) -> bool:
        """Whether the worker has nothing to say."""
        for _ in range(20):
            await asyncio.sleep(0)
        return not self._channel._arrived


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    host = Host()
    await host.say(Welcome(version="2.0.0", max_frame=1_000))
    await host.stream.open()
    yield host
    await host.stream.close()


def offers(*numbers: int) -> Tasks:
    return Tasks(tasks=tuple(TaskOffer(job_id="j", task_id=f"t{n}", type="work") for n in numbers))


async def test_a_credit_is_said_once_and_again_only_when_there_is_news(host: Host) -> None:
    polling = asyncio.ensure_future(host.stream.poll(PollRequest(30.0, limit=3)))
    assert await host.heard() == Ready(credits=3)
    host.stream.ready(PollRequest(limit=3))
    assert await host.silent()
    await host.say(offers(1))
    assert [offer.task_id for offer in await polling] == ["t1"]
    host.stream.ready(PollRequest(limit=2))  # which the server knows: it has sent one
    assert await host.silent()
    host.stream.ready(PollRequest(limit=3))  # the task is over
    assert await host.heard() == Ready(credits=3, seen=1)
    host.stream.ready(PollRequest(limit=3, available_skills=frozenset({"b", "a"})))
    assert await host.heard() == Ready(credits=3, seen=1, available_skills=("a", "b"))


async def test_tasks_that_nobody_has_fetched_yet_take_up_credits(host: Host) -> None:
    host.stream.ready(PollRequest(limit=5))
    assert await host.heard() == Ready(credits=5)
    await host.say(offers(1, 2))
    host.stream.ready(PollRequest(limit=5))  # what is free, but for the two that wait here
    assert await host.silent()
    assert len(await host.stream.poll(PollRequest(limit=5))) == 2


async def test_what_is_said_within_a_turn_is_said_once(host: Host) -> None:
    for limit in range(1, 50):
        host.stream.ready(PollRequest(limit=limit))
    assert await host.heard() == Ready(credits=49)
    assert await host.silent()


async def test_a_poll_that_is_given_up_takes_its_credits_back(host: Host) -> None:
    polling = asyncio.ensure_future(host.stream.poll(PollRequest(30.0, limit=3)))
    assert await host.heard() == Ready(credits=3)
    polling.cancel()
    assert await host.heard() == Ready(credits=0)


async def test_a_poll_ends_in_time(host: Host) -> None:
    assert await host.stream.poll(PollRequest(0.01, limit=1)) == []


async def test_trouble_with_tasks_is_told_by_the_poll(host: Host) -> None:
    polling = asyncio.ensure_future(host.stream.poll(PollRequest(30.0, limit=3)))
    await host.heard()
    await host.say(Error(code="unavailable", message="full", retry_after=4.0))
    with pytest.raises(UnavailableError, match="full"):
        await polling
    await host.say(offers(1))
    assert len(await host.stream.poll(PollRequest(limit=2))) == 1


def results(count: int, size: int = 1) -> list[TaskResult]:
    data = msgspec.Raw(b'"' + b"x" * size + b'"')
    return [TaskResult(job_id="j", task_id=f"t{n}", data=data) for n in range(count)]


async def test_as_many_results_go_into_a_frame_as_the_server_takes(host: Host) -> None:
    reporting = asyncio.ensure_future(host.stream.report(results(10, 200)))
    frame = await host.heard()
    assert isinstance(frame, Results)
    assert len(encode(frame)) <= 1_000
    assert 1 < len(frame.results) < 10
    await host.say(Answers(seq=frame.seq, answers=(ACCEPTED,) * len(frame.results)))
    assert len(await reporting) == len(frame.results)
    with pytest.raises(TooLargeError):
        await host.stream.report(results(1, 2_000))


async def test_answers_find_their_calls_in_any_order(host: Host) -> None:
    beating = asyncio.ensure_future(host.stream.heartbeat(Heartbeat()))
    reporting = asyncio.ensure_future(host.stream.report(results(1)))
    said = [await host.heard(), await host.heard()]
    beat = next(frame for frame in said if isinstance(frame, Beat))
    report = next(frame for frame in said if isinstance(frame, Results))
    await host.say(Error(code="invalid_message", message="why", seq=report.seq))
    with pytest.raises(ProtocolError, match="why"):
        await reporting
    await host.say(Beaten(seq=beat.seq, answer=HeartbeatAnswer("ok", cancel_task_ids=("t",))))
    assert (await beating).cancel_task_ids == ("t",)


async def test_a_wrong_number_of_answers_decides_nothing(host: Host) -> None:
    reporting = asyncio.ensure_future(host.stream.report(results(2)))
    frame = await host.heard()
    assert isinstance(frame, Results)
    await host.say(Answers(seq=frame.seq, answers=(ACCEPTED,)))
    with pytest.raises(TransportError):
        await reporting


async def test_what_is_called_back_is_told_at_once(host: Host) -> None:
    await host.say(Cancel(task_ids=("t1", "t2")))
    assert host.cancelled == ["t1", "t2"]


async def test_after_a_goodbye_calls_under_way_are_answered_and_no_new_ones_made(host: Host) -> None:
    reporting = asyncio.ensure_future(host.stream.report(results(1)))
    frame = await host.heard()
    assert isinstance(frame, Results)
    await host.say(Bye(after=2.0))
    assert not host.stream.is_open
    assert await host.stream.poll(PollRequest(30.0, limit=1)) == []
    with pytest.raises(TransportError):
        await host.stream.heartbeat(None)
    await host.say(Answers(seq=frame.seq, answers=(ACCEPTED,)))
    assert await reporting == (ACCEPTED,)


async def test_a_server_that_cannot_be_understood_is_left(host: Host) -> None:
    await host.channel.send(b"what")
    for _ in range(20):
        await asyncio.sleep(0)
    assert not host.stream.is_open
    assert host.stream.close_code == CloseCode.MALFORMED


async def test_a_stream_begins_with_a_welcome() -> None:
    host = Host()
    await host.say(offers(1))
    with pytest.raises(ProtocolError):
        await host.stream.open()
    other = Host()
    other.channel.cut(CloseCode.RESTART)
    with pytest.raises(TransportError):
        await other.stream.open()
    assert other.stream.close_code == CloseCode.RESTART


async def test_commands_are_passed_on_with_what_came_with_them(host: Host) -> None:
    told = WorkerCommand(command="reload", params=msgspec.Raw(b'{"n":1.0}'), id="c-1")
    await host.say(Commands(commands=(told,)))
    assert host.told == [told]


class Later(msgspec.Struct, tag_field="frame", tag="later"):
    """A frame that servers of today do not send."""

    what: str = "news"


async def test_a_frame_of_later_servers_is_skipped(host: Host) -> None:
    await host.say(Later())
    await host.say(Cancel(task_ids=("t1",)))
    assert host.cancelled == ["t1"]
    assert host.stream.is_open


@pytest.mark.parametrize(
    "frame", [b'{"frame":"cancel"}', b'{"frame":7}', b'{"name":"later"}', b"[]", b"later"]
)
async def test_after_any_other_frame_that_cannot_be_understood_the_stream_is_closed(
    host: Host, frame: bytes
) -> None:
    await host.say(msgspec.Raw(frame))  # type: ignore[arg-type] - sent as it is
    assert not host.stream.is_open
    assert host.stream.close_code == CloseCode.MALFORMED
