"""Faults of streams, at the server and at the worker."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from avtomatika.commands.offers import Offers
from rxon.errors import RxonError
from rxon.messages import HeartbeatAnswer, ResultAnswer, TaskOffer
from rxon.stream import calling, pushing
from rxon.stream.calling import CallingStream
from rxon.stream.frames import Answers, Beat, Beaten, Ready, Tasks
from rxon.stream.frames import Results as ResultsFrame
from rxon.stream.pushing import Pusher
from rxon.stream.serving import ServedStream
from rxon.vocabulary import AnswerStatus
from tests.sim.planting import mutant, without


@mutant(9)
def credits_are_not_used_up() -> AbstractContextManager[Any]:
    """Every frame of tasks is taken for the first one."""
    return patch.object(Pusher, "_credits", lambda self: self._ready.credits)


@mutant(9)
def credits_are_used_up_twice() -> AbstractContextManager[Any]:
    """Tasks that the worker has seen are counted as if they were still on their way."""
    return patch.object(Pusher, "_credits", lambda self: self._ready.credits - self._sent)


@mutant(9)
def a_worker_asks_once_only() -> AbstractContextManager[Any]:
    """What there is room for is said once; then the server is believed to know."""
    real = calling._means

    def means(wanted: Ready, said: Ready) -> bool:
        return real(wanted, said) or (said.credits > 0 and wanted.credits > 0)

    return patch.object(calling, "_means", means)


@mutant(80)
def tasks_that_cannot_be_sent_are_lost() -> AbstractContextManager[Any]:
    """Nothing is given back when the connection is closed."""

    async def hand_over(self: Pusher, offers: Sequence[TaskOffer], max_frame: int) -> None:
        self._sent += len(offers)
        self.hold(offer.task_id for offer in offers)
        for frame in pushing.task_frames(offers, max_frame):
            await self._send(frame)

    return patch.object(Pusher, "_hand_over", hand_over)


@mutant(7)
def results_are_acknowledged_before_their_commit() -> AbstractContextManager[Any]:
    """The answer goes out while the result is on its way to the disk."""

    async def report(self: ServedStream, frame: ResultsFrame) -> Answers:
        self._group.create_task(self._gateway.report(self._credentials, frame.results))
        accepted = ResultAnswer(status=AnswerStatus.ACCEPTED)
        return Answers(seq=frame.seq, answers=tuple(accepted for _ in frame.results))

    return patch.object(ServedStream, "_report", report)


@mutant(71)
def heartbeats_over_a_stream_keep_no_lease() -> AbstractContextManager[Any]:
    """That the connection stands is taken for enough."""

    async def beat(self: ServedStream, frame: Beat) -> Beaten:
        await self._gateway.heartbeat(self._credentials, self._worker_id, None)
        return Beaten(seq=frame.seq, answer=HeartbeatAnswer("ok"))

    return patch.object(ServedStream, "_beat", beat)


@mutant(134)
def a_stream_without_store_gives_nothing_any_more() -> AbstractContextManager[Any]:
    """The first poll that fails is the last one."""
    real = Pusher._poll

    async def poll(self: Pusher, ready: Ready, limit: int, max_frame: int) -> Any:
        found = await real(self, ready, limit, max_frame)
        if isinstance(found, RxonError):
            await asyncio.Event().wait()
        return found

    return patch.object(Pusher, "_poll", poll)


@mutant(497)
def tasks_take_the_place_of_others() -> AbstractContextManager[Any]:
    """Tasks that were not fetched yet are lost when the next ones come."""
    real = CallingStream._take

    def take(self: CallingStream, frame: Any) -> None:
        if isinstance(frame, Tasks):
            self._inbox = []
        real(self, frame)

    return patch.object(CallingStream, "_take", take)


@mutant(183)
def the_last_frame_of_tasks_is_not_sent() -> AbstractContextManager[Any]:
    """Of tasks that do not fit into one frame, those of the last are never sent."""
    real = pushing.task_frames

    def task_frames(offers: Any, max_frame: int) -> Any:
        frames = list(real(offers, max_frame))
        return frames[:-1] if len(frames) > 1 else frames

    return patch.object(pushing, "task_frames", task_frames)


@mutant(30)
def nothing_is_called_back_by_heartbeats_over_a_stream() -> AbstractContextManager[Any]:
    """A worker is not told which of the tasks in its heartbeat it has lost."""
    real = ServedStream._beat

    async def beat(self: ServedStream, frame: Beat) -> Beaten:
        answer = await real(self, frame)
        return without(answer, answer=without(answer.answer, cancel_task_ids=None))

    return patch.object(ServedStream, "_beat", beat)


@mutant(20)
def tasks_given_back_stay_away() -> AbstractContextManager[Any]:
    """What is given back over a stream waits until its lease has run out."""

    async def release(self: Offers, leases: Any) -> None:
        await self.serve()

    return patch.object(Offers, "release", release)
