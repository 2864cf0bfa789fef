"""What handlers of simulated workers do: they work, tell, fail, hang, stall or kill their process."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from avtomatika.testing.stage import Stage
from avtomatika.testing.workload import STATUSES
from avtomatika_worker.errors import (
    HandlerError,
    InvalidInputError,
    PermanentError,
    TimedOutError,
    TransientError,
)
from avtomatika_worker.skills.outcome import Outcome, outcome_of_error, outcome_of_value
from tests.sim.sdk_turns import SimProcess

HUNG_S: Final = 10_000.0


class OddError(HandlerError):
    """A failure of a code that nobody knows."""

    code = "NOBODY_KNOWS"


ERRORS: Final[tuple[type[Exception], ...]] = (
    TransientError,
    TransientError,
    RuntimeError,
    PermanentError,
    InvalidInputError,
    TimedOutError,
    OddError,
)


async def handle(stage: Stage, process: SimProcess, name: str, tell: Callable[[], None]) -> Outcome:
    """What comes of a task, whose data is *name*. Raises CancelledError when the handler gives in to it."""
    options = stage.options
    longest = 6_000 if stage.chance(options.long) else 900
    await _stubbornly(stage, process, stage.pass_time(1, longest))
    if stage.chance(options.tell):
        for _ in range(stage.rng.randint(1, 4)):
            stage.counts["told"] += 1
            tell()
            await stage.pass_time(0, 300)
    if stage.chance(options.die):
        process.die()
        await asyncio.sleep(0)
    if stage.chance(options.hang):
        stage.fault("hang", name)
        await asyncio.sleep(HUNG_S)
    if stage.chance(options.stall):
        stage.fault("stall", name)
        process.stall(stage.rng.randint(options.task_lease // 2, options.task_lease * 3))
        await asyncio.sleep(0)
    if stage.chance(options.fail):
        return outcome_of_error(stage.rng.choice(ERRORS)(f"{name} did not work"))
    if stage.chance(options.custom):
        return outcome_of_value({"status": stage.rng.choice((*STATUSES, "cancelled")), "data": name}, "any")
    return outcome_of_value(name, "any")


async def _stubbornly(stage: Stage, process: SimProcess, work: Awaitable[None]) -> None:
    """Some work goes on for a while when it is cancelled, as that of a thread does."""
    try:
        await work
    except asyncio.CancelledError:
        if not process.alive or not stage.chance(stage.options.stubborn):
            raise
        stage.counts["stubborn"] += 1
        await stage.pass_time(100, 3_000)
