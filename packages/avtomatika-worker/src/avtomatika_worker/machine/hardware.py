"""What the machine has and how loaded it is, as far as can be found out here."""

import importlib
import math
import os
from pathlib import Path
from typing import Any, Final

import msgspec

from avtomatika_worker.machine.gpus import GIB, Gpus, open_gpus
from rxon.messages import HardwareDevice, ResourcesUsage

__all__ = ["Hardware", "Machine"]

CGROUP: Final = Path("/sys/fs/cgroup")
MEMINFO: Final = Path("/proc/meminfo")


class Hardware(msgspec.Struct, frozen=True):
    """Processor cores, memory in GiB, and GPUs; None where it cannot be found out."""

    cpu_cores: int | None = None
    ram_gb: float | None = None
    gpus: tuple[HardwareDevice, ...] = ()


class Machine:
    """The machine of this process; within a container, its share of it.

    With the extra ``hardware`` psutil and the NVIDIA driver are asked, without it the standard library.
    The calls may take milliseconds.
    """

    def __init__(self, cgroup: Path = CGROUP) -> None:
        self._cgroup = cgroup
        self._psutil = _psutil()
        self._gpus: Gpus | None = open_gpus()
        if self._psutil is not None:
            self._psutil.cpu_percent(None)  # the load is that since the last time it was asked for

    def hardware(self) -> Hardware:
        """What there is."""
        gpus = () if self._gpus is None else self._gpus.devices()
        return Hardware(self._cores(), self._memory(), gpus)

    def usage(self) -> ResourcesUsage | None:
        """How loaded it is, since it was last asked for; None when that cannot be found out."""
        cpu, used = self._load(), self._used()
        if cpu is None and used is None:
            return None
        devices = None if self._gpus is None else self._gpus.usage() or None
        return ResourcesUsage(cpu or 0.0, used or 0.0, devices)

    def close(self) -> None:
        """The driver of the GPUs is let go of."""
        if self._gpus is not None:
            self._gpus.close()

    # ------------------------------------------------------------ processor

    def _cores(self) -> int | None:
        try:
            usable = len(os.sched_getaffinity(0))
        except AttributeError:  # not on this system
            usable = os.cpu_count() or 0
        quota = self._quota()
        if quota is not None:
            usable = min(usable, max(1, math.floor(quota)))
        return usable or None

    def _quota(self) -> float | None:
        """How many cores the container may use."""
        quota, _, period = _read(self._cgroup / "cpu.max").partition(" ")
        return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() and int(period) else None

    def _load(self) -> float | None:
        if self._psutil is not None:
            return float(self._psutil.cpu_percent(None))
        try:
            waiting, cores = os.getloadavg()[0], os.cpu_count()
        except (AttributeError, OSError):
            return None
        return min(100.0, round(100 * waiting / cores, 1)) if cores else None

    # ------------------------------------------------------------ memory

    def _memory(self) -> float | None:
        limit, total = self._memory_limit(), self._total()
        bytes_ = min(total or limit, limit or total)
        return round(bytes_ / GIB, 1) if bytes_ else None

    def _total(self) -> int:
        if self._psutil is not None:
            return int(self._psutil.virtual_memory().total)
        return _figures(MEMINFO).get("MemTotal:", 0) * 1024

    def _memory_limit(self) -> int:
        limit = _read(self._cgroup / "memory.max")
        return int(limit) if limit.isdecimal() else 0

    def _used(self) -> float | None:
        used = self._used_by_container() if self._memory_limit() else self._used_by_all()
        return None if used is None else round(used / GIB, 2)

    def _used_by_container(self) -> int | None:
        current = _read(self._cgroup / "memory.current")
        # The cache of files counts as used there, although it gives way.
        cache = _figures(self._cgroup / "memory.stat").get("inactive_file", 0)
        return max(0, int(current) - cache) if current.isdecimal() else None

    def _used_by_all(self) -> int | None:
        if self._psutil is not None:
            memory = self._psutil.virtual_memory()
            return int(memory.total - memory.available)
        found = _figures(MEMINFO)
        if "MemTotal:" not in found or "MemAvailable:" not in found:
            return None
        return (found["MemTotal:"] - found["MemAvailable:"]) * 1024


def _psutil() -> Any:
    try:
        return importlib.import_module("psutil")
    except ImportError:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def _figures(path: Path) -> dict[str, int]:
    """The figures of a file whose lines are names and figures; empty when there is no such file."""
    parts = (line.split() for line in _read(path).splitlines())
    return {words[0]: int(words[1]) for words in parts if len(words) > 1 and words[1].isdecimal()}
