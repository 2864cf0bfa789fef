"""What goes wrong inside handlers."""

import asyncio
from collections.abc import Callable

from avtomatika.testing.loop import OWNER
from avtomatika.testing.stage import Stage

Kill = Callable[[str, str], None]
"""Called with the owner of the process that is to die, and why."""


class Mishaps:
    """Called by handlers: chance decides what happens."""

    def __init__(self, stage: Stage, kill: Kill) -> None:
        self._stage, self._kill = stage, kill

    async def happen(self) -> None:
        """The handler took its time, or raised."""
        stage, options = self._stage, self._stage.options
        if stage.chance(options.slow):
            stage.counts["slow_handler"] += 1
            longest = options.run_lease * 2 if stage.rng.random() < 0.2 else 60
            await stage.pass_time(1, longest)
        if stage.chance(options.raising):
            stage.fault("handler_raises")
            raise RuntimeError("a handler raised")

    async def die(self) -> None:
        """The process that runs the handler is dead."""
        self._kill(OWNER.get(), "poison")
        await asyncio.sleep(3_600)
