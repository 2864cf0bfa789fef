"""What is asked of the writer: an event for a job, and whoever waits for what comes of it."""

import asyncio
from collections.abc import Sequence
from typing import Final

from avtomatika.kernel.events import Event, TaskAbandoned
from avtomatika.kernel.model import Job
from avtomatika.kernel.progress import Ignored, Outcome
from avtomatika.ports.store import Lease

MISSED: Final = Ignored("others_told_meanwhile")


class Requested:
    """An event that is to happen in one commit with `ack`, to a job that was `known` a moment ago.

    With `heard` only when its task has had so many events before.
    """

    __slots__ = ("ack", "answer", "event", "heard", "known")

    def __init__(self, event: Event, ack: Lease | None, known: Job | None, heard: int | None = None) -> None:
        self.event, self.ack, self.known, self.heard = event, ack, known, heard
        self.answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()


def is_suspect(requests: Sequence[Requested]) -> bool:
    """True when somebody had this before and was not heard of again: it may be the handler that it makes due.

    The run is then a message of its own, whose deliveries are counted.
    """
    return any(
        isinstance(request.event, TaskAbandoned) or (request.ack is not None and request.ack.delivery > 1)
        for request in requests
    )


def refuse(requests: Sequence[Requested], error: Exception) -> None:
    """Those who still wait hear of the error."""
    for request in requests:
        if not request.answer.done():
            request.answer.set_exception(error)
