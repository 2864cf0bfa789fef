"""Who works in a simulated world. The kind of worker is chosen by whoever starts the world."""

from collections.abc import Callable, Sequence
from typing import Protocol

from avtomatika.testing.network import Network
from avtomatika.testing.stage import Stage
from avtomatika.testing.workers import SimWorker
from avtomatika.testing.workload import SKILLS


class Hand(Protocol):
    """A simulated worker."""

    def start(self) -> None:
        """The worker is at work."""
        ...

    def unsettled(self) -> Sequence[str]:
        """Tasks that the worker believes to hold, of which it has still something to say or to hear."""
        ...


Hire = Callable[[Stage, Network, str, Sequence[str]], Hand]
"""Makes the worker of that name, with these skills."""


def anybody(stage: Stage, network: Network, name: str, skills: Sequence[str]) -> Hand:
    """A worker without an SDK."""
    return SimWorker(stage, network, name, skills)


def skills_of(stage: Stage, name: str) -> Sequence[str]:
    """The first worker has every skill; each other some."""
    return SKILLS if name == "w0" else stage.rng.sample(SKILLS, stage.rng.randint(1, 3))
