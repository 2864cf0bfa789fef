"""The fourth generation, 1.0b8 to 1.0b14: what holds its default is left out, times are whole seconds."""

from typing import ClassVar, Final

import msgspec

from rxon.codec import encode
from rxon.generations.dialect import Dialect, Said, settled
from rxon.generations.generation import Generation
from rxon.messages import HeartbeatAnswer, Registered, ResultAnswer, TaskOffer

__all__ = ["Fourth"]

_LATER: Final = {"lease_token": None, "lease_seconds": None}
_FIFTH: Final = {"policy": None, "sig": None, "step": 0, "depth": 0, "parent_hash": None}


class Fourth(Dialect):
    """Its workers register again when they hear that they are not found."""

    generation: ClassVar[Generation] = Generation.G4
    knows_leases: ClassVar[bool] = False

    def registered(self, answer: Registered) -> Said:
        """The answer to a registration."""
        return Said(encode(Registered(answer.status, answer.version, answer.warning)))

    def beaten(self, answer: HeartbeatAnswer, worker_id: str, body: bytes) -> Said:
        """The answer to a heartbeat."""
        known = HeartbeatAnswer(answer.status, answer.require_full_sync, answer.cancel_task_ids)
        return Said(encode(known))

    def offered(self, offer: TaskOffer) -> bytes:
        """A task."""
        return encode(msgspec.structs.replace(offer, **_LATER, **_FIFTH))

    def judged(self, answer: ResultAnswer) -> Said:
        """What became of a result."""
        return settled(answer)
