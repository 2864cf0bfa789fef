"""What a worker works in: its machine, and those who watch it at work."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from avtomatika_worker.config import WorkerConfig
from avtomatika_worker.conversation.task_signatures import SignedTasksOnly
from avtomatika_worker.errors import ConfigError
from avtomatika_worker.machine.hardware import Hardware, Machine
from avtomatika_worker.machine.usage import UsageChecker, UsageMeter
from avtomatika_worker.watching.health import DISABLED, Figures, NoFigures
from avtomatika_worker.watching.watch import TaskWatch
from rxon.transport import WorkerTransport

if TYPE_CHECKING:
    from avtomatika_worker.watching.metrics import Metrics

__all__ = ["Surroundings", "surroundings"]

MEASURED_EVERY: Final = 5.0  # seconds, or as often as heartbeats come
AT_MOST_EVERY: Final = 0.5
WITHOUT_EXTRA: Final = NoFigures(501, "Metrics need the extra: pip install 'avtomatika-worker[metrics]'")

_log = logging.getLogger(__name__)


class Surroundings:
    """What was found, and who listens. Where nothing is enabled, nothing is between worker and transport."""

    def __init__(self, config: WorkerConfig, hardware: Hardware, meter: UsageMeter) -> None:
        self.hardware = hardware
        self.meter = meter
        self.watches: tuple[TaskWatch, ...] = ()
        self.figures: Figures | NoFigures = DISABLED
        self._config = config
        self._count = _metrics(config) if config.WORKER_ENABLE_METRICS else None
        if self._count is not None:
            self.watches += (self._count,)
            self.figures = self._count.text
        elif config.WORKER_ENABLE_METRICS:
            _log.warning("%s", WITHOUT_EXTRA.text)
            self.figures = WITHOUT_EXTRA

    def way(self, orchestrator: str, transport: WorkerTransport) -> WorkerTransport:
        """``transport`` with what the settings want between it and the worker."""
        config = self._config
        if self._count is not None:
            transport = self._count.counting(orchestrator, transport)
        key = config.ORCHESTRATOR_SECRET_KEY or config.SECRET_KEY
        if key and config.REQUIRE_TASK_SIGNATURE:
            transport = SignedTasksOnly(transport, config.WORKER_ID, key)
        return transport


@asynccontextmanager
async def surroundings(config: WorkerConfig, checker: UsageChecker | None) -> AsyncGenerator[Surroundings]:
    """The machine is known and measured while the block runs; by ``checker`` if there is one.

    Raises ConfigError when WORKER_ENABLE_TRACING is true and its extra is not installed.
    """
    async with AsyncExitStack() as stack:
        machine = await asyncio.to_thread(Machine)
        stack.callback(machine.close)
        interval = max(AT_MOST_EVERY, min(MEASURED_EVERY, config.HEARTBEAT_INTERVAL))
        meter = UsageMeter(checker or machine.usage, interval)
        stack.enter_context(meter.running())
        found = Surroundings(config, await asyncio.to_thread(machine.hardware), meter)
        if config.WORKER_ENABLE_TRACING or config.OTEL_EXPORTER_OTLP_ENDPOINT:
            found.watches += _tracing(config, stack)
        yield found


def _metrics(config: WorkerConfig) -> "Metrics | None":
    try:
        from avtomatika_worker.watching.metrics import Metrics
    except ImportError:
        return None
    return Metrics(config.MAX_CONCURRENT_TASKS)


def _tracing(config: WorkerConfig, stack: AsyncExitStack) -> tuple[TaskWatch, ...]:
    try:
        from avtomatika_worker.watching.tracing import Tracing, export_to
    except ImportError:
        hint = "Tracing needs the extra: pip install 'avtomatika-worker[otel]'"
        if config.WORKER_ENABLE_TRACING:
            raise ConfigError(hint) from None
        _log.warning("OTEL_EXPORTER_OTLP_ENDPOINT is set. %s", hint)
        return ()
    if config.OTEL_EXPORTER_OTLP_ENDPOINT:
        flush = export_to(config.OTEL_EXPORTER_OTLP_ENDPOINT, config.WORKER_ID)
        stack.push_async_callback(asyncio.to_thread, flush)
    return (Tracing(config.WORKER_ID),)
