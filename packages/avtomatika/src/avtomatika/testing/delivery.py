"""The way of webhooks to the simulated servers of clients: they fail, hang, refuse, or answer too late."""

import asyncio
from collections.abc import Mapping
from typing import Final

from avtomatika.kernel.time import Span
from avtomatika.ports.delivery import Delivered, Outcome, Refused, TryAgain
from avtomatika.testing.stage import Stage

TIMEOUT: Final = Span(2_000)


class SimDelivery:
    """One node's way out."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def check(self, url: str) -> None:
        """Every URL will do."""

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """What came of it. A server that is said to have failed may have got the news all the same."""
        stage, options = self._stage, self._stage.options
        sink = stage.ledger.sink
        await stage.pass_time(1, 30)
        if stage.chance(options.hook_hang):
            stage.fault("hook_hang", headers["webhook-id"])
            if stage.rng.random() < 0.5:
                sink.came(headers, body)
            await asyncio.sleep(TIMEOUT / 1_000)
            return TryAgain("no answer came in time")
        if stage.chance(options.hook_fail):
            stage.fault("hook_fail", headers["webhook-id"])
            if stage.rng.random() < 0.5:
                sink.came(headers, body)
            return TryAgain("it failed", stage.rng.choice((None, Span(1_000))))
        sink.came(headers, body)
        if stage.chance(options.hook_refuse):
            stage.fault("hook_refuse", headers["webhook-id"])
            sink.refused(headers)
            return Refused("it is gone")
        sink.took(headers)
        stage.log("told", headers["webhook-id"])
        return Delivered()
