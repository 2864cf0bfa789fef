"""Workers that are driven by the SDK, beside those that are not."""

import contextvars
from collections.abc import Sequence

from avtomatika.testing.crew import Hand, anybody
from avtomatika.testing.loop import OWNER
from avtomatika.testing.network import Network
from avtomatika.testing.stage import Stage
from tests.sim.sdk_process import SdkProcess
from tests.sim.sdk_runner import SimSpool


class SdkWorker:
    """A worker with some skills. Its process may die; a new one of the same name follows."""

    def __init__(self, stage: Stage, network: Network, name: str, skills: Sequence[str]) -> None:
        self._stage, self._network, self._name, self._skills = stage, network, name, skills
        self._capacity = stage.rng.choice((1, 2, 3, 8))
        self._streams = stage.rng.random() < stage.options.streams
        self._spool = SimSpool() if stage.rng.random() < 0.5 else None
        self._life = 0
        self._process: SdkProcess | None = None

    def start(self) -> None:
        """A process of the worker is at work."""
        self._life += 1
        context = contextvars.copy_context()
        context.run(OWNER.set, self._owner)
        process = SdkProcess(self._stage, self._network, self._skills, self._name, self._die)
        self._process = process
        context.run(process.run, self._life, self._capacity, self._spool, streams=self._streams)

    def unsettled(self) -> Sequence[str]:
        """Tasks that the process has something to say or to hear of."""
        return () if self._process is None else self._process.rules.unsettled()

    @property
    def _owner(self) -> str:
        return f"{self._name}.{self._life}"

    def _die(self) -> None:
        """The process is gone with all that it held, and another will come."""
        if self._process is None:
            return
        self._stage.fault("worker_dies", self._name)
        self._process.gone()
        self._process = None
        self._stage.loop.kill(self._owner)
        self._stage.soon(self._stage.rng.randint(500, 5_000), self.start)


def hire(stage: Stage, network: Network, name: str, skills: Sequence[str]) -> Hand:
    """A worker of the SDK or another, as chance and the options of the world have it."""
    if stage.rng.random() < stage.options.sdk:
        return SdkWorker(stage, network, name, skills)
    return anybody(stage, network, name, skills)
