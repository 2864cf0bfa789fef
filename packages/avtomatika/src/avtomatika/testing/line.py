"""The way of a node to a server: calls are late, fail, succeed without an answer, or kill the node."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from avtomatika.errors import Unavailable
from avtomatika.testing.processes import Died, Process

T = TypeVar("T")


class Line:
    """The connection of a process to a server that other nodes reach too."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._stage = process.stage
        options = self._options = process.stage.options
        self._rng = process.stage.rng
        rates = (
            options.store_fail,
            options.lose_reply,
            options.crash_before,
            options.crash_after,
            options.store_delay,
        )
        self._thresholds = [sum(rates[: n + 1]) for n in range(len(rates))]

    async def call(self, verb: str, work: Coroutine[Any, Any, T]) -> T:
        """What the server answers. Raises Unavailable, Died."""
        process = self._process
        dice = self._rng.random()
        if dice >= self._thresholds[-1] and not process.dead and not process.stands_still:
            return await work
        try:
            return await self._troubled(verb, work, dice)
        finally:
            work.close()

    async def _troubled(self, verb: str, work: Coroutine[Any, Any, T], dice: float) -> T:
        process, stage = self._process, self._stage
        stood, calm = process.stands_still, stage.ledger.messages.unrest
        await process.awake()
        fail, lose, before, after, _ = self._thresholds
        faulty = stage.faulty
        if not faulty or dice >= after:
            slow = await self._delay()
            stood = stood or slow or process.stands_still or stage.ledger.messages.unrest != calm
            await process.awake()
            try:
                return await work
            finally:
                stage.ledger.messages.unrest += stood  # the time that the call names may be long ago
        if dice < fail:
            stage.fault("store_fail", verb)
            await self._delay()
            raise Unavailable("The store could not be reached.")
        if dice < lose:
            await work
            stage.fault("lose_reply", verb)
            await self._delay()
            raise Unavailable("The store did not answer.")
        if dice < before:
            process.kill(f"before {verb}")
            raise Died
        await work
        process.kill(f"after {verb}")
        raise Died

    async def _delay(self) -> bool:
        """True when it took long."""
        if self._options.store_delay:
            if self._options.slow_delay and self._rng.random() < 0.03:
                self._stage.fault("slow_store")
                messages = self._stage.ledger.messages
                messages.slow += 1
                try:
                    await self._stage.pass_time(0, 2_500)
                finally:
                    messages.slow -= 1
                    messages.unrest += 1  # also for what others did meanwhile
                return True
            await self._stage.pass_time(0, 6)
        return False
