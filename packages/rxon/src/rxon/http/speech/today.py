"""Servers of protocol 2 and later understand messages as they are. So do those of which nothing is known."""

from rxon.codec import decode, encode
from rxon.errors import RxonError
from rxon.messages import Heartbeat, HeartbeatAnswer, Registration, TaskOffer, TaskResult, WorkerEvent

__all__ = ["Today", "Unknown"]


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
