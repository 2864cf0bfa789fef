"""Servers of protocol 2 and later understand messages as they are. So do those of which nothing is known.

Some want them signed.
"""

import msgspec

from rxon.codec import decode, encode
from rxon.errors import RxonError
from rxon.http.speech.signed import Pen
from rxon.messages import Heartbeat, HeartbeatAnswer, Registration, TaskOffer, TaskResult, WorkerEvent
from rxon.signing.message import Signable, signed

__all__ = ["SignedToday", "Today", "Unknown"]


class Today:
    """Nothing is translated."""

    batches = True
    forgets = False

    def registration(self, registration: Registration) -> bytes:
        """The message as it is."""
        return encode(registration)

    def heartbeat(self, beat: Heartbeat) -> bytes:
        """The message as it is."""
        return encode(beat)

    def result(self, result: TaskResult) -> bytes:
        """The message as it is."""
        return encode(result)

    def event(self, event: WorkerEvent) -> bytes:
        """The message as it is."""
        return encode(event)

    def offer(self, body: bytes) -> TaskOffer:
        """The task as it is."""
        return decode(TaskOffer, body)

    def heard(self, answer: HeartbeatAnswer) -> HeartbeatAnswer:
        """The answer as it is."""
        return answer

    def repeated(self, error: RxonError) -> bool:
        """Never: such a server answers a repetition as it answered the first time."""
        return False


class Unknown(Today):
    """A server may do without batches, and the very first ones did without a version."""

    batches = False


class SignedToday(Today):
    """The same, with every message signed when it is sent, and with the time of then, unless others vouch
    for it.
    """

    def __init__(self, pen: Pen) -> None:
        self._pen = pen

    def registration(self, registration: Registration) -> bytes:
        """The message, signed."""
        return encode(self.sealed(registration))

    def heartbeat(self, beat: Heartbeat) -> bytes:
        """The message, signed."""
        return encode(self.sealed(beat))

    def result(self, result: TaskResult) -> bytes:
        """The message, signed."""
        return encode(self.sealed(result))

    def event(self, event: WorkerEvent) -> bytes:
        """The message, signed."""
        return encode(self.sealed(event))

    def sealed(self, message: Signable) -> Signable:
        """The message with its signature."""
        if message.timestamp is None or not (message.security and message.security.hops):
            message = msgspec.structs.replace(message, timestamp=int(self._pen.now()))
        return signed(message, self._pen.key, self._pen.worker_id)
