"""The fifth generation, 1.0b28 to 1.0b30, with the protocol from 1.0b15 on.

It remembers for about a minute which messages came, by their nonce (of events, by their id), and refuses
those that come again: also the retry of a worker whose answer got lost. Such a refusal is good news.
"""

from typing import Any
from uuid import uuid4

import msgspec

from rxon.codec import encode
from rxon.errors import ForbiddenError, RxonError
from rxon.http.speech.signed import Signed
from rxon.messages import TaskResult, WorkerEvent

__all__ = ["FifthGeneration"]


class FifthGeneration(Signed):
    """Every message has a nonce, which stays the same while nothing is known about what became of it."""

    def event(self, event: WorkerEvent) -> bytes:
        """The message, signed; with another id than before if the server had an error with that one."""
        known = self._memory.nonce(event.event_id, event.event_id)
        return super().event(msgspec.structs.replace(event, event_id=known))

    def repeated(self, error: RxonError) -> bool:
        """Whether that is what the server says."""
        return isinstance(error, ForbiddenError) and "duplicate message" in error.message.lower()

    def _written(self, message: Any) -> bytes:
        body = encode(message)
        if isinstance(message, WorkerEvent):
            return body
        nonce = uuid4().hex
        if isinstance(message, TaskResult):
            nonce = self._memory.nonce(message.task_id, nonce)
        return b'{"nonce":' + encode(nonce) + b"," + body[1:]
