"""A stand-in for `pynvml`, the module of nvidia-ml-py: machines of the tests have no NVIDIA GPU.

It has the functions that the worker calls, under their names, and fails where the real one fails.
"""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec
import pytest

GIB = 2**30


class Card(msgspec.Struct):
    """A GPU as the driver would describe it; ``lost`` when it has fallen off the bus."""

    name: str | bytes = "NVIDIA GeForce RTX 4090"
    uuid: str = "GPU-0000"
    total: int = 24 * GIB - 20 * 2**20
    used: int = 0
    load: int = 0
    lost: bool = False
    tells_load: bool = True


class FakePynvml(ModuleType):
    """The module. ``driver`` says whether there is one."""

    class NVMLError(Exception):
        pass

    def __init__(self, *cards: Card, driver: bool = True) -> None:
        super().__init__("pynvml")
        self.cards = cards
        self.driver = driver
        self.is_open = False

    def nvmlInit(self) -> None:
        if not self.driver:
            raise self.NVMLError("NVML Shared Library Not Found")
        self.is_open = True

    def nvmlShutdown(self) -> None:
        self._check()
        self.is_open = False

    def nvmlDeviceGetCount(self) -> int:
        self._check()
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:
        return self._check(self.cards[index])

    def nvmlDeviceGetName(self, card: Card) -> str | bytes:
        return self._check(card).name

    def nvmlDeviceGetUUID(self, card: Card) -> str:
        return self._check(card).uuid

    def nvmlDeviceGetMemoryInfo(self, card: Card) -> Any:
        self._check(card)
        return SimpleNamespace(total=card.total, used=card.used)

    def nvmlDeviceGetUtilizationRates(self, card: Card) -> Any:
        if not self._check(card).tells_load:
            raise self.NVMLError("Not Supported")
        return SimpleNamespace(gpu=card.load, memory=0)

    def _check(self, card: Any = None) -> Any:
        if not self.is_open:
            raise self.NVMLError("Uninitialized")
        if card is not None and card.lost:
            raise self.NVMLError("GPU is lost")
        return card


def install(monkeypatch: pytest.MonkeyPatch, *cards: Card, driver: bool = True) -> FakePynvml:
    """The module is the one that is imported as `pynvml`."""
    module = FakePynvml(*cards, driver=driver)
    monkeypatch.setitem(sys.modules, "pynvml", module)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return module


def without(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """The modules cannot be imported, as if they were not installed."""
    for name in modules:
        monkeypatch.setitem(sys.modules, name, None)
