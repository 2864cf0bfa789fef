"""The fifth generation, 1.0b15 to 1.0b17: tasks may be signed, results may tell their costs."""

from typing import ClassVar

import msgspec

from rxon.codec import encode
from rxon.generations.g4 import Fourth
from rxon.generations.generation import Generation
from rxon.messages import TaskOffer

__all__ = ["Fifth"]


class Fifth(Fourth):
    """As the fourth, and its tasks keep the signature."""

    generation: ClassVar[Generation] = Generation.G5

    def offered(self, offer: TaskOffer) -> bytes:
        """A task."""
        return encode(msgspec.structs.replace(offer, lease_token=None, lease_seconds=None))
