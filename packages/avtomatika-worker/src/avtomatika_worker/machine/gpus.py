"""NVIDIA GPUs, as far as the extra ``hardware`` and the driver are there."""

import importlib
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from rxon.messages import DeviceUsage, HardwareDevice

__all__ = ["Gpus", "open_gpus"]

GIB: Final = 2**30

_log = logging.getLogger(__name__)


class _Gpu(msgspec.Struct, frozen=True):
    id: str
    handle: Any  # what the driver knows the device by


class Gpus:
    """The GPUs that this process may use. Every call asks the driver and may take milliseconds."""

    def __init__(self, nvml: Any, environ: Mapping[str, str]) -> None:
        self._nvml = nvml
        self._wanted = _wanted(environ)
        self._gpus = [
            gpu for index in range(self._ask(nvml.nvmlDeviceGetCount, 0)) for gpu in self._at(index)
        ]

    def devices(self) -> tuple[HardwareDevice, ...]:
        """Model and memory of each, with its number as its id."""
        return tuple(self._device(gpu) for gpu in self._gpus)

    def usage(self) -> tuple[DeviceUsage, ...]:
        """Load and used memory of each, at this moment."""
        return tuple(self._usage(gpu) for gpu in self._gpus)

    def close(self) -> None:
        """The driver is let go of."""
        self._ask(self._nvml.nvmlShutdown, None)

    def _at(self, index: int) -> list[_Gpu]:
        handle = self._ask(lambda: self._nvml.nvmlDeviceGetHandleByIndex(index), None)
        if handle is None:
            return []
        if self._wanted is not None and str(index) not in self._wanted:
            uuid = _text(self._ask(lambda: self._nvml.nvmlDeviceGetUUID(handle), ""))
            if not any(word.startswith("GPU-") and uuid.startswith(word) for word in self._wanted):
                return []
        return [_Gpu(str(index), handle)]

    def _device(self, gpu: _Gpu) -> HardwareDevice:
        name = _text(self._ask(lambda: self._nvml.nvmlDeviceGetName(gpu.handle), ""))
        memory = self._ask(lambda: self._nvml.nvmlDeviceGetMemoryInfo(gpu.handle).total, 0)
        # A card of 24 GiB has 23.99: rounded, or a task that asks for 24 would never find it.
        properties = {"memory_gb": round(memory / GIB, 1)} if memory else None
        return HardwareDevice("gpu", name or None, gpu.id, properties=properties)

    def _usage(self, gpu: _Gpu) -> DeviceUsage:
        load = self._ask(lambda: self._nvml.nvmlDeviceGetUtilizationRates(gpu.handle).gpu, 0)
        memory = self._ask(lambda: self._nvml.nvmlDeviceGetMemoryInfo(gpu.handle).used, None)
        metrics = None if memory is None else {"memory_used_gb": round(memory / GIB, 2)}
        return DeviceUsage(gpu.id, float(load), metrics)

    def _ask(self, call: Callable[[], Any], otherwise: Any) -> Any:
        """What the driver says; cards differ in what they can say, and may fall off the bus."""
        try:
            return call()
        except self._nvml.NVMLError as error:
            _log.debug("The NVIDIA driver does not say: %s", error)
            return otherwise


def open_gpus(environ: Mapping[str, str] | None = None) -> Gpus | None:
    """The GPUs, or None when the extra or the driver is missing, which is nothing to speak of.

    CUDA_VISIBLE_DEVICES is heeded: what handlers cannot use is not reported.
    """
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        _log.debug("There is no NVIDIA driver: %s", error)
        return None
    return Gpus(nvml, os.environ if environ is None else environ)


def _wanted(environ: Mapping[str, str]) -> tuple[str, ...] | None:
    """Numbers and beginnings of UUIDs; None for all. Parts of cards (MIG) are not told apart."""
    given = environ.get("CUDA_VISIBLE_DEVICES")
    if given is None or "MIG-" in given:
        return None
    return tuple(word.strip() for word in given.split(",") if word.strip())


def _text(said: Any) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
