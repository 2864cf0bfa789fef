"""How loaded the machine is, and when that is worth telling."""

import logging
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rxon.messages import DeviceUsage, ResourcesUsage

__all__ = ["Deadband", "UsageChecker", "UsageMeter"]

UsageChecker = Callable[[], ResourcesUsage | None]

FIRST_AFTER = 0.2  # seconds: a load needs a span to be measured over

_log = logging.getLogger(__name__)


class UsageMeter:
    """Calls ``checker`` in a thread of its own every ``interval`` seconds: it may take its time."""

    def __init__(self, checker: UsageChecker, interval: float) -> None:
        self.latest: ResourcesUsage | None = None
        self._checker = checker
        self._interval = interval
        self._stopped = threading.Event()
        self._failing = False

    @contextmanager
    def running(self) -> Generator[None]:
        """``latest`` is kept up to date while the block runs."""
        thread = threading.Thread(target=self._work, name="avtomatika-usage", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()

    def _work(self) -> None:
        pause = min(FIRST_AFTER, self._interval)
        while not self._stopped.wait(pause):
            pause = self._interval
            try:
                self.latest = self._checker()
                self._failing = False
            except Exception:  # noqa: BLE001 - the user's checker, or a driver
                level = logging.DEBUG if self._failing else logging.WARNING
                _log.log(level, "The usage of the machine cannot be found out", exc_info=True)
                self._failing, self.latest = True, None


class Deadband:
    """What one orchestrator was told, and whether the news differ enough to be told.

    They do when the CPU or a GPU is busier or idler by more than ``width`` points, when memory changed
    by more than ``width`` percent, when a device came or went, and after ``force_interval`` seconds.
    """

    def __init__(self, width: float, force_interval: float) -> None:
        self._width = width
        self._force_interval = force_interval
        self._told: ResourcesUsage | None = None
        self._told_at = 0.0

    def news(self, usage: ResourcesUsage | None, now: float) -> ResourcesUsage | None:
        """``usage`` if it is to be told, which then counts as done; ``now`` is in monotonic seconds."""
        told = self._told
        if usage is None:
            return None
        forced = told is None or now - self._told_at >= self._force_interval
        if not forced and told is not None and not self._differ(told, usage):
            return None
        self._told, self._told_at = usage, now
        return usage

    def forget(self) -> None:
        """Nothing was told yet."""
        self._told = None

    def _differ(self, old: ResourcesUsage, new: ResourcesUsage) -> bool:
        if abs(new.cpu_load_percent - old.cpu_load_percent) > self._width:
            return True
        if self._moved(old.ram_used_gb, new.ram_used_gb):
            return True
        before = {device.unit_id: device for device in old.devices_usage or ()}
        after = {device.unit_id: device for device in new.devices_usage or ()}
        return before.keys() != after.keys() or any(
            self._device_differs(before[unit], device) for unit, device in after.items()
        )

    def _device_differs(self, old: DeviceUsage, new: DeviceUsage) -> bool:
        if abs(new.load_percent - old.load_percent) > self._width:
            return True
        return self._moved(_memory(old), _memory(new))

    def _moved(self, old: float, new: float) -> bool:
        return abs(new - old) * 100 > self._width * abs(old) if old else new != old


def _memory(device: DeviceUsage) -> float:
    found = (device.metrics or {}).get("memory_used_gb", 0.0)
    return float(found) if isinstance(found, int | float) else 0.0
